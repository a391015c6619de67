#include "garbage.h"

#include <gtest/gtest.h>

#include "support/fake_loop.h"
#include "support/queue_loop.h"
#include "support/temp_dir.h"

namespace shoal::app {
namespace {

using namespace std::chrono_literals;

class GarbageTest : public ::testing::Test {
 protected:
  GarbageTest() {
    open();
    make();
  }
  void open() {
    store::StoreOptions options;
    options.path = dir_.file("store");
    options.min_free = 0;
    auto opened = store::Store::open(options, pool_, clock_);
    if (!opened.ok()) throw std::runtime_error(opened.error().message());
    store_ = std::move(*opened);
  }
  void make() {
    garbage_ = std::make_unique<Garbage>(*store_, loop_, clock_, metrics_);
    garbage_->set_options(24h, {}, {});
  }
  std::uint64_t rounds() { return metrics_.counter("shoal_gc_rounds_total", "").value(); }
  // Waits for what was started: a further one is refused until it ended, or starts and ends itself.
  bool ran(std::uint64_t wanted) {
    return loop_.run_until([&] { return rounds() >= wanted; });
  }

  test::TempDir dir_;
  test::FakeClock clock_;
  test::TestPool pool_{2};
  test::QueueLoop loop_;
  obs::Metrics metrics_;
  std::unique_ptr<store::Store> store_;
  std::unique_ptr<Garbage> garbage_;
};

TEST_F(GarbageTest, IsCollectedWhenTheIntervalIsOver) {
  garbage_->run_if_due();
  clock_.advance(23h);
  garbage_->run_if_due();
  loop_.run_all();
  EXPECT_EQ(rounds(), 0U);
  clock_.advance(1h);
  garbage_->run_if_due();
  EXPECT_TRUE(ran(1));
  garbage_->run_if_due();
  loop_.run_all();
  EXPECT_EQ(rounds(), 1U);
  clock_.advance(24h);
  garbage_->run_if_due();
  EXPECT_TRUE(ran(2));
}

TEST_F(GarbageTest, ARestartDoesNotPutItOff) {
  clock_.advance(20h);
  garbage_.reset();
  store_.reset();
  open();
  make();
  clock_.advance(4h);
  garbage_->run_if_due();
  EXPECT_TRUE(ran(1));
}

TEST_F(GarbageTest, AnIntervalOfZeroMeansNever) {
  garbage_->set_options(0s, {}, {});
  clock_.advance(24h * 365);
  garbage_->run_if_due();
  loop_.run_all();
  EXPECT_EQ(rounds(), 0U);
}

TEST_F(GarbageTest, TwoAtOnceAreRefused) {
  int good = 0, busy = 0;
  for (int i = 0; i < 2; ++i) {
    garbage_->run({}, [&](base::Result<admin::GcOutcome> result) {
      ++(result ? good : busy);
      if (!result) {
        EXPECT_EQ(result.error().kind(), base::ErrorKind::busy);
      }
    });
  }
  EXPECT_TRUE(loop_.run_until([&] { return good + busy == 2; }));
  EXPECT_EQ(good, 1);
}

TEST_F(GarbageTest, ADryRunDoesNotCount) {
  bool done = false;
  garbage_->run({.dry_run = true}, [&done](base::Result<admin::GcOutcome> result) { done = result.ok(); });
  EXPECT_TRUE(loop_.run_until([&] { return done; }));
  EXPECT_EQ(rounds(), 0U);
  clock_.advance(24h);
  garbage_->run_if_due();
  EXPECT_TRUE(ran(1));
}

}  // namespace
}  // namespace shoal::app
