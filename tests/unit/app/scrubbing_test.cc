#include "scrubbing.h"

#include <gtest/gtest.h>

#include <future>

#include "support/broken_index.h"
#include "support/fake_loop.h"
#include "support/open_store.h"
#include "support/queue_loop.h"

namespace shoal::app {
namespace {

using namespace std::chrono_literals;

class ScrubbingTest : public ::testing::Test {
 protected:
  ScrubbingTest() { store_ = test::open_store(dir_, disk_, clock_); }
  std::uint64_t passes() { return metrics_.counter("shoal_scrub_passes_total", "").value(); }

  test::TempDir dir_;
  test::FakeClock clock_;
  test::TestPool disk_{2};
  test::FakeExecutor pool_;
  obs::Metrics metrics_;
  std::unique_ptr<store::Store> store_;
};

TEST_F(ScrubbingTest, GoesOnWithTheTime) {
  Scrubbing scrubbing(*store_, pool_, clock_, metrics_, 1000);
  scrubbing.tick();
  EXPECT_FALSE(pool_.run_one());  // no time has passed
  clock_.advance(30s);
  scrubbing.tick();
  scrubbing.tick();  // one at a time
  pool_.run_all();
  EXPECT_EQ(passes(), 1U);
  clock_.advance(30s);
  scrubbing.tick();
  pool_.run_all();
  EXPECT_EQ(passes(), 2U);
}

TEST_F(ScrubbingTest, ARateOfZeroMeansNever) {
  Scrubbing scrubbing(*store_, pool_, clock_, metrics_, 0);
  clock_.advance(24h);
  scrubbing.tick();
  EXPECT_FALSE(pool_.run_one());
}

TEST_F(ScrubbingTest, AStepThatWasAskedForCountsLikeTheOthers) {
  Scrubbing scrubbing(*store_, pool_, clock_, metrics_, 0);
  EXPECT_TRUE(scrubbing.step(1000, admin::ScrubFrom::the_beginning).whole);
  EXPECT_TRUE(scrubbing.step(1000, admin::ScrubFrom::where_it_was).whole);
  EXPECT_EQ(passes(), 2U);
}

TEST_F(ScrubbingTest, AStepThatWaitsWhenItStopsLeavesTheStoreAlone) {
  {
    Scrubbing scrubbing(*store_, pool_, clock_, metrics_, 1000);
    clock_.advance(30s);
    scrubbing.tick();
    scrubbing.stop();
    store_.reset();
  }
  pool_.run_all();
  EXPECT_EQ(passes(), 0U);
}

TEST_F(ScrubbingTest, AnIndexThatCannotBeReadIsNoPassAndEndsTheRound) {
  Scrubbing scrubbing(*store_, pool_, clock_, metrics_, 1'000'000);
  ASSERT_EQ(test::break_index(dir_.file("store")), 1);
  std::promise<bool> committed;
  store_->commit({store::PutState{"k", "v"}}, disk_, [&](const base::Result<void>& r) { committed.set_value(r.ok()); });
  ASSERT_FALSE(committed.get_future().get());
  clock_.advance(30s);
  scrubbing.tick();
  EXPECT_TRUE(pool_.run_one());
  EXPECT_FALSE(pool_.run_one()) << "not again and again";
  EXPECT_EQ(passes(), 0U);
}

}  // namespace
}  // namespace shoal::app
