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

TEST(Guard, LeaseOutlivesTheGuardsOwner) {
  auto guard = std::make_shared<Guard>();
  auto lease = guard->lease(kDigest);
  guard.reset();
  lease.reset();
}

}  // namespace
}  // namespace shoal::store
