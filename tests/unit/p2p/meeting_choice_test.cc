#include "meeting_choice.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <set>

namespace shoal::p2p {
namespace {

TEST(MeetingChoice, InASmallSiteANewcomerIsToldOfEverybody) {
  EXPECT_TRUE(told_of(0, kToldPeers).empty());
  for (std::size_t earlier = 1; earlier <= kToldPeers; ++earlier) {
    const auto told = told_of(earlier, kToldPeers);
    EXPECT_EQ(std::set(told.begin(), told.end()).size(), earlier);
    EXPECT_LT(*std::max_element(told.begin(), told.end()), earlier);
  }
}

TEST(MeetingChoice, InALargeOneItIsToldOfSomeNearAndFar) {
  for (const std::size_t earlier : {17, 21, 100, 300, 2'600, 10'000, 1'000'000}) {
    const auto told = told_of(earlier, kToldPeers);
    EXPECT_EQ(std::set(told.begin(), told.end()).size(), told.size()) << earlier;
    EXPECT_GE(told.size(), 6u) << earlier;
    EXPECT_LE(told.size(), kToldPeers) << earlier;
    EXPECT_EQ(told.front(), earlier - 1);
    if (earlier <= 10'000) {
      EXPECT_LE(told.back(), earlier / 2) << earlier;  // of the first half
    }
  }
}

// What the newest-first rule had wrong: it made a chain, whose end was far from its beginning.
TEST(MeetingChoice, NobodyIsFarFromAnybody) {
  constexpr std::size_t kNodes = 2'600;
  std::vector<std::vector<std::size_t>> met(kNodes);
  for (std::size_t node = 0; node < kNodes; ++node)
    for (const auto other : told_of(node, kToldPeers)) {
      met[node].push_back(other);
      met[other].push_back(node);
    }
  std::vector<int> hops(kNodes, -1);
  std::deque<std::size_t> next{kNodes - 1};
  hops[kNodes - 1] = 0;
  for (; !next.empty(); next.pop_front())
    for (const auto other : met[next.front()])
      if (hops[other] < 0) {
        hops[other] = hops[next.front()] + 1;
        next.push_back(other);
      }
  EXPECT_GE(*std::min_element(hops.begin(), hops.end()), 0);
  EXPECT_LE(*std::max_element(hops.begin(), hops.end()), 6);
}

TEST(MeetingChoice, ThereAreAsManyStripesAsFollowersThatGetThemFirstHand) {
  EXPECT_EQ(stripe_of(0, 0).of, 0u);
  EXPECT_EQ(stripe_of(2, 3).rank, 2u);
  EXPECT_EQ(stripe_of(2, 3).of, 3u);
  EXPECT_EQ(stripe_of(kDirect + 3, 1'000).rank, 3u);
  EXPECT_EQ(stripe_of(kDirect + 3, 1'000).of, kDirect);
}

TEST(MeetingChoice, ANewcomerTakesTheLowestRankThatIsFree) {
  EXPECT_EQ(free_rank({}), 0u);
  EXPECT_EQ(free_rank({0, 1, 2}), 3u);
  EXPECT_EQ(free_rank({2, 0}), 1u);
  EXPECT_EQ(free_rank({7, 9}), 0u);
}

TEST(MeetingChoice, StripesGoUpToTheHighestRankAndNoFurtherThanTheAuthorSends) {
  EXPECT_EQ(sharing({}), 0u);
  EXPECT_EQ(sharing({0}), 1u);
  EXPECT_EQ(sharing({4, 1}), 5u);
  EXPECT_EQ(sharing({100, 1}), kDirect);
}

}  // namespace
}  // namespace shoal::p2p
