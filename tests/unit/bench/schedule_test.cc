#include "schedule.h"

#include <gtest/gtest.h>

#include <map>

namespace shoal::bench {
namespace {

using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using std::chrono::seconds;

TEST(BenchOpenLoop, RequestsAreDueAtEqualDistances) {
  const Time begin{seconds(100)};
  const OpenLoop loop(begin, 1000, seconds(2));
  EXPECT_EQ(loop.total(), 2000U);
  EXPECT_EQ(loop.due(0), begin);
  EXPECT_EQ(loop.due(1), begin + milliseconds(1));
  EXPECT_EQ(loop.due(1999), begin + milliseconds(1999));
}

TEST(BenchOpenLoop, AnOddRateDoesNotDrift) {
  const Time begin{};
  const OpenLoop loop(begin, 3, seconds(3600));
  EXPECT_EQ(loop.total(), 10'800U);
  EXPECT_EQ(loop.due(10'797), begin + seconds(3599));
  EXPECT_NEAR(static_cast<double>((loop.due(1) - begin).count()), 1e9 / 3, 1);
}

TEST(BenchInterleave, EachRoundHasEveryTargetOnceAndBeginsWithTheNext) {
  const auto slots = interleave(4, 2);
  std::vector<unsigned> order;
  for (const auto& slot : slots) order.push_back(slot.target);
  EXPECT_EQ(order, (std::vector<unsigned>{0, 1, 1, 0, 0, 1, 1, 0}));
  for (std::size_t i = 0; i < slots.size(); ++i) EXPECT_EQ(slots[i].round, i / 2);
}

TEST(BenchInterleave, EveryPlaceInARoundIsSharedEqually) {
  std::map<std::pair<std::size_t, unsigned>, int> places;
  const auto slots = interleave(6, 3);
  for (std::size_t i = 0; i < slots.size(); ++i) ++places[{i % 3, slots[i].target}];
  EXPECT_EQ(places.size(), 9U);
  for (const auto& [place, count] : places) EXPECT_EQ(count, 2);
}

}  // namespace
}  // namespace shoal::bench
