#include "request_depth.h"

#include <gtest/gtest.h>

namespace shoal::p2p {
namespace {

using std::chrono::milliseconds;

// Sends at a rate for so long, a block at a time; what the depth is in the end, and how often it changed.
struct Link {
  RequestDepth depth;
  base::SteadyTime now{std::chrono::hours(1)};
  unsigned last = RequestDepth::kFirst;
  unsigned changes = 0;
  void send(double bytes_a_second, milliseconds for_so_long) {
    constexpr std::uint64_t kBlock = 16 * 1024;
    const auto end = now + for_so_long;
    while (now < end) {
      now += std::chrono::nanoseconds(static_cast<std::int64_t>(kBlock / bytes_a_second * 1e9));
      if (const auto next = depth.sent(kBlock, now)) {
        last = *next;
        ++changes;
      }
    }
  }
};

TEST(RequestDepth, StaysShortAtTwoHundredMegabits) {
  Link link;
  link.send(25e6, milliseconds(2'000));
  EXPECT_EQ(link.changes, 0u);
}

TEST(RequestDepth, GrowsWithTheRateToWhatGoesOutInTheSpan) {
  Link link;
  link.send(125e6, milliseconds(500));
  EXPECT_EQ(link.last, 8u);  // 15 go out in 2 ms
  link.send(500e6, milliseconds(500));
  EXPECT_EQ(link.last, RequestDepth::kMost);
  EXPECT_EQ(link.changes, 3u);
}

TEST(RequestDepth, IsShortAgainWhenThePeerIsSlow) {
  Link link;
  link.send(500e6, milliseconds(200));
  link.send(10e6, milliseconds(500));
  EXPECT_EQ(link.last, RequestDepth::kFirst);
}

TEST(RequestDepth, IsNotSaidAgainWithoutEnd) {
  Link link;
  for (int i = 0; i < 200; ++i) {
    link.send(500e6, milliseconds(100));
    link.send(5e6, milliseconds(100));
  }
  EXPECT_EQ(link.changes, RequestDepth::kMostChanges);
}

}  // namespace
}  // namespace shoal::p2p
