#include "scrubbing.h"

#include <gtest/gtest.h>

#include "support/fake_loop.h"
#include "support/queue_loop.h"
#include "support/temp_dir.h"

namespace shoal::app {
namespace {

using namespace std::chrono_literals;

class ScrubbingTest : public ::testing::Test {
 protected:
  ScrubbingTest() {
    store::StoreOptions options;
    options.path = dir_.file("store");
    options.min_free = 0;
    auto opened = store::Store::open(options, disk_, clock_);
    if (!opened.ok()) throw std::runtime_error(opened.error().message());
    store_ = std::move(*opened);
  }
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

}  // namespace
}  // namespace shoal::app
