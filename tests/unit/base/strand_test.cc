#include <gtest/gtest.h>

#include "support/fake_loop.h"

namespace shoal::base {
namespace {

TEST(Strand, RunsInOrderOneItemPerTurn) {
  test::FakeExecutor executor;
  Strand strand(executor);
  std::string order;
  strand.post([&] { order += 'a'; });
  strand.post([&] { order += 'b'; });
  EXPECT_EQ(order, "");
  EXPECT_TRUE(executor.run_one());
  EXPECT_EQ(order, "a");
  executor.run_all();
  EXPECT_EQ(order, "ab");
}

TEST(Strand, DroppedStrandStillRunsWhatWasPosted) {
  test::FakeExecutor executor;
  int runs = 0;
  {
    Strand strand(executor);
    strand.post([&] { ++runs; });
    strand.post([&] { ++runs; });
  }
  executor.run_all();
  EXPECT_EQ(runs, 2);
}

TEST(Strand, WorkPostedFromInsideRunsAfterwards) {
  test::FakeExecutor executor;
  Strand strand(executor);
  std::string order;
  strand.post([&] {
    strand.post([&] { order += 'b'; });
    order += 'a';
  });
  executor.run_all();
  EXPECT_EQ(order, "ab");
}

}  // namespace
}  // namespace shoal::base
