#include "cache_status.h"

#include <gtest/gtest.h>

namespace shoal::bench {
namespace {

TEST(BenchCacheStatus, SaysWhereTheBytesCameFrom) {
  EXPECT_EQ(source_of("shoal; hit"), Source::cache);
  EXPECT_EQ(source_of("shoal; hit; detail=\"stale: upstream, down\""), Source::cache);
  EXPECT_EQ(source_of("shoal; fwd=miss; stored"), Source::upstream);
  EXPECT_EQ(source_of("shoal; fwd=miss; stored; collapsed"), Source::upstream);
  EXPECT_EQ(source_of("shoal; fwd=miss; stored; detail=\"neighbour http://10.0.0.2:5000\""), Source::neighbours);
  EXPECT_EQ(source_of("shoal; fwd=miss; detail=\"swarm, neighbour http://10.0.0.2:5000\""), Source::neighbours);
  EXPECT_EQ(source_of(""), Source::untold);
  EXPECT_EQ(source_of("shoal; detail=\"hit\""), Source::untold);
}

TEST(BenchCacheStatus, OfSeveralCachesTheNearestCounts) {
  EXPECT_EQ(source_of("origin; hit, shoal; fwd=miss"), Source::upstream);
  EXPECT_EQ(source_of("origin; fwd=miss, shoal; ttl=5"), Source::untold);
  EXPECT_EQ(source_of("origin; fwd=miss; detail=\"a, b; hit\", shoal; hit"), Source::cache);
  EXPECT_EQ(source_of("shoal; fwd=miss; detail=\"quote \\\" neighbour, x; hit\""), Source::neighbours);
}

}  // namespace
}  // namespace shoal::bench
