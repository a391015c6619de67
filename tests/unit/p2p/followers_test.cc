#include "followers.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <set>

#include "shoal/base/format.h"

namespace shoal::p2p {
namespace {

PeerAddress node(std::size_t number) {
  return {base::format("{:032x}", number), base::format("10.{}.{}.{}", number >> 16, number >> 8 & 255, number & 255),
          static_cast<std::uint16_t>(6881)};
}

class FollowersTest : public ::testing::Test {
 protected:
  MapPlace join(const PeerAddress& peer) {
    auto joined = followers_.join(peer);
    EXPECT_TRUE(joined.ok());
    ids_[peer.id].push_back(joined->id);
    return joined->place;
  }
  MapPlace join(std::size_t number) { return join(node(number)); }
  void join_first(std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) (void)join(i);
  }
  std::optional<PeerAddress> leave(std::size_t number) {  // the oldest of its calls
    auto& ids = ids_[node(number).id];
    const auto id = ids.front();
    ids.erase(ids.begin());
    return followers_.leave(id);
  }
  std::optional<std::uint32_t> moved(std::size_t number) {
    const auto moved = followers_.moved();
    const auto found = moved.find(ids_[node(number).id].front());
    return found == moved.end() ? std::nullopt : std::optional(found->second);
  }
  bool refused(const PeerAddress& peer) {
    const auto joined = followers_.join(peer);
    if (joined.ok()) return false;
    EXPECT_EQ(joined.error().kind(), base::ErrorKind::busy);
    return true;
  }
  Followers followers_;
  std::map<std::string, std::vector<std::uint64_t>> ids_;
};

TEST_F(FollowersTest, ANewcomerTakesTheLowestRankThatIsFreeAndStripesGoUpToTheHighest) {
  for (std::uint32_t i = 0; i < kDirect + 4; ++i) {
    const auto place = join(i);
    EXPECT_EQ(place.rank, i);
    EXPECT_EQ(place.of, std::min<std::uint32_t>(i + 1, kDirect));
    EXPECT_EQ(place.direct, i < kDirect);
  }
  (void)leave(kDirect + 2);
  (void)leave(kDirect + 1);
  EXPECT_EQ(join(100).rank, kDirect + 1);
  EXPECT_EQ(join(101).rank, kDirect + 2);
  EXPECT_EQ(join(102).rank, kDirect + 4);
}

TEST_F(FollowersTest, ANodeThatBeginsAnewKeepsItsRank) {
  join_first(3);
  EXPECT_EQ(join(1).rank, 1u);
  EXPECT_EQ(join(3).rank, 3u);
  (void)leave(1);  // its old call ends
  EXPECT_EQ(join(4).rank, 4u);
  (void)leave(1);  // and now it left
  EXPECT_EQ(join(5).rank, 1u);
}

TEST_F(FollowersTest, NoNodeIsToldOfItselfAndAllAreToldOfOthers) {
  for (std::size_t i = 0; i < 40; ++i) {
    for (int call = 0; call < 2; ++call) {
      const auto place = join(i);
      EXPECT_EQ(place.peers.empty(), i == 0);
      EXPECT_LE(place.peers.size(), kToldPeers);
      for (const auto& peer : place.peers) EXPECT_NE(peer.id, node(i).id);
    }
  }
}

TEST_F(FollowersTest, OfOneNodeThereAreSoManyCallsAndNoMore) {
  for (std::size_t i = 0; i < Followers::kMostOfOneNode; ++i) (void)join(1);
  EXPECT_TRUE(refused(node(1)));
  EXPECT_EQ(followers_.size(), Followers::kMostOfOneNode);
  auto elsewhere = node(1);
  elsewhere.ip = "10.9.9.9";  // an id is what a node says: nobody is kept out by another address
  EXPECT_FALSE(refused(elsewhere));
  EXPECT_FALSE(refused(node(2)));
  (void)leave(1);
  EXPECT_FALSE(refused(node(1)));
}

TEST_F(FollowersTest, OfOneAddressThereAreSoManyAndNoMore) {
  auto peer = node(0);
  for (std::size_t i = 0; i < Followers::kMostOfOneAddress; ++i) {
    peer.id = node(i).id;
    (void)join(peer);
  }
  peer.id = node(5'000).id;
  EXPECT_TRUE(refused(peer));
  EXPECT_FALSE(refused(node(5'001)));
  (void)leave(3);
  EXPECT_FALSE(refused(peer));
}

TEST(Followers, ThereAreSoManyInAllAndNoMore) {
  Followers followers(3);
  for (std::size_t i = 0; i < 2; ++i) ASSERT_TRUE(followers.join(node(i)).ok());
  const auto third = followers.join(node(2));
  ASSERT_TRUE(third.ok());
  EXPECT_EQ(followers.join(node(3)).error().kind(), base::ErrorKind::busy);
  EXPECT_EQ(followers.size(), 3u);
  (void)followers.leave(third->id);
  EXPECT_TRUE(followers.join(node(3)).ok());
}

TEST_F(FollowersTest, WhenOneLeavesAnotherOfItsStripeGetsPiecesStraight) {
  join_first(2 * kDirect);
  EXPECT_EQ(leave(3), node(kDirect + 3));
  EXPECT_EQ(moved(kDirect + 3), 3u) << "a newcomer would have the same stripe";
  EXPECT_EQ(join(100).rank, kDirect + 3);
  EXPECT_FALSE(leave(kDirect + 5)) << "it got none";
  EXPECT_EQ(followers_.moved().size(), 1u);
}

TEST_F(FollowersTest, IfNoneOfItsStripeWaitsAnyOtherTakesItsRankAndGetsPiecesStraight) {
  join_first(kDirect + 2);
  EXPECT_EQ(leave(9), node(kDirect));
  EXPECT_EQ(moved(kDirect), 9u);
  EXPECT_EQ(leave(10), node(kDirect + 1));
  EXPECT_EQ(moved(kDirect + 1), 10u);
  EXPECT_FALSE(leave(11)) << "all get them";
  const auto place = join(100);
  EXPECT_TRUE(place.direct);
  EXPECT_EQ(place.rank, 11u);
  EXPECT_EQ(followers_.stripes(), kDirect);
}

TEST_F(FollowersTest, WhoReplacesItsOwnOldCallHasItsRankStill) {
  join_first(kDirect);
  for (std::size_t i = 0; i < 5; ++i) (void)join(200 + i);  // one of them of the same stripe
  EXPECT_FALSE(join(4).direct);
  EXPECT_EQ(leave(4), node(4));
  EXPECT_TRUE(followers_.moved().empty());
}

TEST_F(FollowersTest, StripesStayAsManyUntilHalfOfThemHaveNoOwnerAndThenRanksAreGivenAnew) {
  join_first(8);
  for (const std::size_t number : {1, 2, 4}) {
    (void)leave(number);
    EXPECT_EQ(followers_.stripes(), 8u);
    EXPECT_TRUE(followers_.moved().empty());
  }
  (void)leave(6);
  EXPECT_EQ(followers_.stripes(), 4u);
  EXPECT_FALSE(moved(0));
  EXPECT_EQ(moved(3), 1u);
  EXPECT_EQ(moved(5), 2u);
  EXPECT_EQ(moved(7), 3u);
  const auto place = join(100);
  EXPECT_EQ(place.rank, 4u);
  EXPECT_EQ(place.of, 5u);
}

TEST_F(FollowersTest, ANodeOfTwoCallsHasOneRankInBoth) {
  join_first(4);
  (void)join(3);
  (void)leave(0);
  (void)leave(1);
  EXPECT_EQ(followers_.stripes(), 2u);
  EXPECT_EQ(moved(3), 1u);
  (void)leave(3);
  EXPECT_EQ(moved(3), 1u);
  EXPECT_EQ(join(4).rank, 2u);
}

TEST_F(FollowersTest, WhoIsLeftAloneHasAllOfIt) {
  join_first(3);
  (void)join(2);
  (void)leave(0);
  EXPECT_EQ(followers_.stripes(), 3u);
  (void)leave(1);
  EXPECT_EQ(followers_.stripes(), 1u);
  EXPECT_EQ(moved(2), 0u);
  EXPECT_EQ(join(4).rank, 1u);
  for (const std::size_t number : {2, 2, 4}) (void)leave(number);
  EXPECT_EQ(followers_.stripes(), 0u);
  EXPECT_EQ(join(5).rank, 0u);
}

// Whoever comes and goes: those that get pieces straight are as many as may be, each of another stripe, and of the
// stripes more than half have an owner.
TEST_F(FollowersTest, StripesHaveOwnersWhoeverComesAndGoes) {
  std::mt19937 random(7);
  struct Has {
    std::size_t number;
    std::uint32_t rank;
    bool direct;
  };
  std::vector<Has> all;
  std::size_t next = 0;
  for (int turn = 0; turn < 3'000; ++turn) {
    if (all.empty() || random() % 64 < (turn / 300 % 2 == 0 ? 40 : 24)) {
      const auto place = join(next);
      all.push_back({next++, place.rank, place.direct});
    } else {
      const auto at = all.begin() + static_cast<std::ptrdiff_t>(random() % all.size());
      const auto number = at->number;
      all.erase(at);
      const auto call = leave(number);
      for (auto& has : all) {
        if (call && node(has.number) == *call) has.direct = true;
        has.rank = moved(has.number).value_or(has.rank);
      }
    }
    std::set<std::uint32_t> ranks, owned;
    std::size_t direct = 0;
    for (const auto& has : all) {
      ranks.insert(has.rank);
      if (!has.direct) continue;
      ++direct;
      EXPECT_TRUE(owned.insert(stripe_of(has.rank, followers_.stripes()).rank).second) << turn;
    }
    ASSERT_EQ(ranks.size(), all.size()) << turn;
    ASSERT_EQ(direct, std::min(all.size(), kDirect)) << turn;
    ASSERT_TRUE(all.empty() || 2 * owned.size() > followers_.stripes()) << turn;
  }
}

TEST_F(FollowersTest, WhoDidNotJoinDoesNotLeave) {
  join_first(2);
  EXPECT_FALSE(followers_.leave(77));
  EXPECT_EQ(followers_.size(), 2u);
  EXPECT_EQ(followers_.stripes(), 2u);
  followers_.clear();
  EXPECT_TRUE(followers_.empty());
  EXPECT_FALSE(leave(0));
  EXPECT_EQ(join(7).of, 1u);
}

}  // namespace
}  // namespace shoal::p2p
