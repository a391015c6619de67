#include "shoal/mirror/origins.h"

#include <gtest/gtest.h>

namespace shoal::mirror {
namespace {

Origins sample() {
  Origins origins;
  origins.extend(100, Origin::disk);
  origins.extend(300, Origin::upstream);
  origins.extend(350, Origin::neighbour);
  origins.extend(600, Origin::swarm);
  origins.extend(601, Origin::upstream);
  return origins;
}

TEST(Origins, EveryByteIsCountedOnceAndWhatTheSwarmBroughtIsAmongTheNeighbours) {
  EXPECT_EQ(sample().count(), (BytesFrom{100, 201, 300, 250}));
  EXPECT_EQ(sample().end(), 601U);
}

TEST(Origins, ARangeIsCutAtItsEdges) {
  const auto origins = sample();
  EXPECT_EQ(origins.count({50, 150}), (BytesFrom{50, 50, 0, 0}));
  EXPECT_EQ(origins.count({100, 101}), (BytesFrom{0, 1, 0, 0}));
  EXPECT_EQ(origins.count({340, 351}), (BytesFrom{0, 0, 11, 1}));
  EXPECT_EQ(origins.count({600, 9'999}), (BytesFrom{0, 1, 0, 0}));  // nobody knows of what has not come yet
  EXPECT_EQ(origins.count({700, 800}), BytesFrom{});
  EXPECT_EQ(origins.count({200, 200}), BytesFrom{});
  EXPECT_EQ(Origins().count({0, 10}), BytesFrom{});
}

TEST(Origins, AnEndThatIsNotFurtherChangesNothing) {
  auto origins = sample();
  origins.extend(601, Origin::disk);
  origins.extend(10, Origin::disk);
  EXPECT_EQ(origins.count(), sample().count());
}

TEST(Origins, AnAnswerIsMadeOfRangesInTheOrderTheyWereSent) {
  const auto origins = sample();
  Origins answer;
  answer.append(origins, {250, 340});
  answer.append(origins, {0, 60});
  EXPECT_EQ(answer.count(), (BytesFrom{60, 50, 40, 0}));
  EXPECT_EQ(answer.count({0, 95}), (BytesFrom{5, 50, 40, 0}));  // the last 55 were not sent
}

}  // namespace
}  // namespace shoal::mirror
