#include "shoal/p2p/rates.h"

#include <gtest/gtest.h>

namespace shoal::p2p {
namespace {

RatePlan::Window window(std::string_view when, std::optional<std::uint64_t> up, std::optional<std::uint64_t> down) {
  auto parsed = base::TimeWindow::parse(when);
  EXPECT_TRUE(parsed) << when;
  return {*parsed, up, down};
}

base::LocalTime monday(unsigned hour) { return {0, hour * 60}; }

TEST(RatePlan, TheFirstWindowThatHoldsCounts) {
  const RatePlan plan{{100, 200},
                      {window("mon 08:00-12:00", 10, 20), window("daily 10:00-18:00", 11, 0),
                       window("daily 00:00-24:00", std::nullopt, 30)}};
  EXPECT_EQ(plan.at(monday(9)), (Rates{10, 20}));
  EXPECT_EQ(plan.at(monday(11)), (Rates{10, 20})) << "not the second, which holds too";
  EXPECT_EQ(plan.at(monday(12)), (Rates{11, 0})) << "0 in a window: no limit";
  EXPECT_EQ(plan.at(monday(20)), (Rates{100, 30})) << "what a window does not tell is as at other times";
}

TEST(RatePlan, WithoutAWindowThatHoldsItIsAsAtOtherTimes) {
  EXPECT_EQ((RatePlan{{1, 2}, {}}).at(monday(1)), (Rates{1, 2}));
  EXPECT_EQ((RatePlan{{1, 2}, {window("tue 00:00-24:00", 3, 4)}}).at(monday(1)), (Rates{1, 2}));
}

}  // namespace
}  // namespace shoal::p2p
