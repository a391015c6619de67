#include "guard.h"

#include <gtest/gtest.h>

namespace shoal::store {
namespace {

const base::Digest kDigest = base::digest_of("x");

TEST(Guard, RemovalWaitsForTheLastLease) {
  const auto guard = std::make_shared<Guard>();
  auto first = guard->lease(kDigest);
  auto second = guard->lease(kDigest);
  first.reset();
  EXPECT_FALSE(guard->begin_removal(kDigest));
  second.reset();
  EXPECT_TRUE(guard->begin_removal(kDigest));
  EXPECT_EQ(guard->lease(kDigest), nullptr);
  EXPECT_FALSE(guard->begin_removal(kDigest));
  guard->end_removal(kDigest);
  EXPECT_FALSE(guard->in_use(kDigest));
  EXPECT_NE(guard->lease(kDigest), nullptr);
}

TEST(Guard, FillKeepsRemovalAwayAndMayStartDuringOne) {
  const auto guard = std::make_shared<Guard>();
  EXPECT_TRUE(guard->begin_fill(kDigest));
  EXPECT_FALSE(guard->begin_removal(kDigest));
  guard->end_fill(kDigest);
  EXPECT_TRUE(guard->begin_removal(kDigest));
  EXPECT_TRUE(guard->begin_fill(kDigest));
  EXPECT_TRUE(guard->removing_file(kDigest));
  guard->file_removed(kDigest);
  EXPECT_FALSE(guard->removing_file(kDigest));
  EXPECT_TRUE(guard->removing(kDigest));
  guard->end_removal(kDigest);
  EXPECT_FALSE(guard->removing(kDigest));
  EXPECT_TRUE(guard->in_use(kDigest));
}

TEST(Guard, WhoWaitsForThePlaceIsToldOnceWhenItIsFree) {
  const auto guard = std::make_shared<Guard>();
  int told = 0;
  const auto waiter = [&told] { ++told; };
  EXPECT_TRUE(guard->begin_publication(kDigest, waiter));
  EXPECT_FALSE(guard->begin_publication(kDigest, waiter));
  EXPECT_FALSE(guard->begin_publication(kDigest, waiter));
  auto lease = guard->lease(kDigest);
  lease.reset();
  EXPECT_EQ(told, 0) << "a reader does not free it";
  guard->end_publication(kDigest);
  EXPECT_EQ(told, 2);
  EXPECT_FALSE(guard->in_use(kDigest));
  EXPECT_TRUE(guard->begin_removal(kDigest));
  EXPECT_FALSE(guard->begin_publication(kDigest, waiter));
  guard->file_removed(kDigest);
  EXPECT_EQ(told, 3) << "before the record is gone";
  EXPECT_TRUE(guard->begin_publication(kDigest, waiter));
  EXPECT_FALSE(guard->begin_publication(kDigest, waiter));
  guard->end_removal(kDigest);
  EXPECT_EQ(told, 3);
  guard->forget_waiters();
  guard->end_publication(kDigest);
  EXPECT_EQ(told, 3);
}

TEST(Guard, LeaseOutlivesTheGuardsOwner) {
  auto guard = std::make_shared<Guard>();
  auto lease = guard->lease(kDigest);
  guard.reset();
  lease.reset();
}

}  // namespace
}  // namespace shoal::store
