#include "rendezvous.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "shoal/base/format.h"

namespace shoal::p2p {
namespace {

using base::digest_of;

std::vector<std::string> urls(int count) {
  std::vector<std::string> out;
  for (int i = 0; i < count; ++i) out.push_back(base::format("http://10.0.{}.{}:5000", i / 250, i % 250));
  return out;
}

// Computed apart from this code. If one changes, nodes of two versions no longer agree on who owns what.
TEST(Rendezvous, WeightsAreTheSameOnEveryMachineAndVersion) {
  EXPECT_EQ(weight("", digest_of("")), 0x87f0389fdf99c64aU);
  EXPECT_EQ(weight("", digest_of("abc")), 0x584321faffc015a0U);
  EXPECT_EQ(weight("http://10.0.0.7:5000", digest_of("")), 0xdd8ece762222d365U);
  EXPECT_EQ(weight("http://10.0.0.7:5000", digest_of("abc")), 0x2eb5b9286585a40dU);
  EXPECT_EQ(weight("http://10.0.0.8:5000", digest_of("abc")), 0xd66d52e3f07351b9U);
  EXPECT_EQ(weight("\xff\x80", digest_of("abc")), 0x03e7f8c701f05b34U);
  EXPECT_EQ(weight("a", digest_of("abc", base::HashAlgorithm::sha512)), 0x368e160868e0f502U);
}

TEST(Rendezvous, RanksByWeightAndNeitherOrderNorLimitChangesIt) {
  auto names = urls(40);
  const auto digest = digest_of("blob");
  const auto all = ranked(names, digest, 100);
  ASSERT_EQ(all.size(), 40u);
  for (std::size_t i = 1; i < all.size(); ++i)
    EXPECT_GE(weight(names[all[i - 1]], digest), weight(names[all[i]], digest));
  for (const std::size_t limit : {0, 1, 3, 39, 40}) {
    const auto some = ranked(names, digest, limit);
    ASSERT_EQ(some.size(), limit);
    EXPECT_TRUE(std::equal(some.begin(), some.end(), all.begin()));
  }
  auto other = names;
  std::reverse(other.begin(), other.end());
  const auto reversed = ranked(other, digest, 100);
  for (std::size_t i = 0; i < all.size(); ++i) EXPECT_EQ(other[reversed[i]], names[all[i]]);
  EXPECT_TRUE(ranked({}, digest, 3).empty());
  EXPECT_EQ(ranked({"x", "x"}, digest, 2), (std::vector<std::size_t>{0, 1}));
}

TEST(Rendezvous, SpreadsDigestsEvenly) {
  const auto names = urls(8);
  std::map<std::size_t, int> owned, second;
  for (int i = 0; i < 8000; ++i) {
    const auto order = ranked(names, digest_of(std::to_string(i)), 2);
    ++owned[order[0]];
    ++second[order[1]];
  }
  for (std::size_t i = 0; i < names.size(); ++i) {
    EXPECT_NEAR(owned[i], 1000, 150);  // five standard deviations
    EXPECT_NEAR(second[i], 1000, 150);
  }
}

TEST(Rendezvous, OneThatGoesMovesOnlyItsOwnAndTheSecondTakesOver) {
  const auto names = urls(9);
  auto without = names;
  without.erase(without.begin() + 4);
  int moved = 0;
  for (int i = 0; i < 2000; ++i) {
    const auto digest = digest_of(std::to_string(i));
    const auto before = ranked(names, digest, 2);
    const auto& after = without[ranked(without, digest, 1)[0]];
    if (before[0] == 4) ++moved;
    EXPECT_EQ(after, names[before[0] == 4 ? before[1] : before[0]]);
  }
  EXPECT_GT(moved, 100);
}

}  // namespace
}  // namespace shoal::p2p
