#include "space.h"

#include <gtest/gtest.h>

namespace shoal::store {
namespace {

TEST(Space, MaxSizeBoundsBlobsAndFillsTogether) {
  Space space({.max_size = 100});
  space.add_blob(60);
  EXPECT_TRUE(space.take(40));
  EXPECT_FALSE(space.take(1));
  space.give_back(10);
  EXPECT_TRUE(space.take(10));
  space.fill_to_blob(40);
  EXPECT_EQ(space.use().blob_bytes, 100U);
  EXPECT_EQ(space.use().fill_bytes, 0U);
  space.remove_blob(100);
  EXPECT_TRUE(space.take(100));
}

TEST(Space, EvictionRunsFromTheHighToTheLowWatermark) {
  Space space({.max_size = 1000});
  space.add_blob(950);
  EXPECT_EQ(space.to_evict(0), 0U);
  EXPECT_EQ(space.to_evict(1), 51U);
  EXPECT_EQ(space.above_low(0), 50U);
  space.remove_blob(50);
  EXPECT_EQ(space.above_low(0), 0U);
}

TEST(Space, MinFreeIsKeptBetweenSamples) {
  Space space({.min_free = 1000});
  EXPECT_TRUE(space.take(1ULL << 40));  // nothing is known yet
  space.sample_free(1500);
  EXPECT_TRUE(space.take(500));
  EXPECT_FALSE(space.take(1));
  EXPECT_GT(space.to_evict(0), 0U);
  space.add_blob(200);
  space.remove_blob(200);
  EXPECT_TRUE(space.take(200));
}

TEST(Space, RoomIsWhatIsFreeAndWhatMayGoButNotPinsAndNotWhatStaysFree) {
  Space space({.min_free = 100});
  EXPECT_EQ(space.room(0), UINT64_MAX) << "nothing is known yet";
  space.sample_free(300);
  space.add_blob(500);
  EXPECT_EQ(space.room(0), 700U);
  EXPECT_EQ(space.room(200), 500U);
  space.set_limits({.max_size = 600, .min_free = 100});
  EXPECT_EQ(space.room(200), 400U);
  space.set_limits({});
  EXPECT_EQ(space.room(0), 800U) << "a full disk is one without min_free, too";
  space.sample_free(0);
  EXPECT_EQ(space.room(500), 0U);
}

TEST(Space, LimitsMayChange) {
  Space space({.max_size = 1000});
  space.add_blob(900);
  EXPECT_EQ(space.to_evict(0), 0U);
  space.set_limits({.max_size = 500});
  EXPECT_EQ(space.to_evict(0), 450U);
  EXPECT_FALSE(space.take(1));
  EXPECT_FALSE(space.can_ever_fit(501, 0));
  space.set_limits({.max_size = 2000});
  EXPECT_TRUE(space.take(1100));
}

TEST(Space, WhatCanNeverFitIsKnown) {
  Space space({.max_size = 1000, .min_free = 100});
  EXPECT_TRUE(space.can_ever_fit(1000, 0));
  EXPECT_FALSE(space.can_ever_fit(1001, 0));
  EXPECT_FALSE(space.can_ever_fit(901, 100));
  space.add_blob(300);
  space.sample_free(200);
  EXPECT_TRUE(space.can_ever_fit(400, 0));
  EXPECT_FALSE(space.can_ever_fit(401, 0));
  EXPECT_FALSE(space.can_ever_fit(101, 300));
}

TEST(Space, NoLimitsMeanNoRefusals) {
  Space space({});
  EXPECT_TRUE(space.take(1ULL << 50));
  EXPECT_EQ(space.to_evict(1ULL << 50), 0U);
  EXPECT_TRUE(space.can_ever_fit(1ULL << 60, 0));
}

}  // namespace
}  // namespace shoal::store
