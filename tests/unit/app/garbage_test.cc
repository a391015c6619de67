#include "garbage.h"

#include <gtest/gtest.h>

#include "support/fake_loop.h"
#include "support/hosted_rig.h"
#include "support/open_store.h"
#include "support/queue_loop.h"

namespace shoal::app {
namespace {

using namespace std::chrono_literals;

class GarbageTest : public ::testing::Test {
 protected:
  GarbageTest() {
    open();
    make();
  }
  void open() { store_ = test::open_store(dir_, pool_, clock_); }
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

// Two images of one repository, of which the rule keeps the later one.
class RetainedGarbage : public ::testing::Test {
 protected:
  void SetUp() override {
    rig.start();
    garbage = std::make_unique<Garbage>(*rig.store, rig.loop, rig.clock, metrics);
    for (const char* tag : {"old", "new"}) {
      rig.clock.advance(1h);
      const std::string own = std::string("layer of ") + tag, shared = "shared";
      for (const auto& bytes : {own, shared}) ASSERT_TRUE(rig.push_blob("team/app", bytes).ok());
      const std::vector<base::Digest> blobs{base::digest_of(own), base::digest_of(shared)};
      ASSERT_TRUE(rig.push_manifest("team/app", test::image_of(blobs), blobs, {tag}).ok());
    }
  }
  admin::GcOutcome run(bool dry_run, std::chrono::seconds grace) {
    sync::RetentionOptions retention;
    retention.rules.emplace_back();
    retention.rules.back().keep = registry::RetentionRule::Keep::latest_pushed;
    retention.rules.back().count = 1;
    garbage->set_options(24h, {}, retention);
    std::optional<base::Result<admin::GcOutcome>> outcome;
    garbage->run({.dry_run = dry_run, .grace = grace}, [&](auto result) { outcome.emplace(std::move(result)); });
    EXPECT_TRUE(rig.loop.run_until([&] { return outcome.has_value(); }));
    EXPECT_TRUE(outcome->ok());
    return outcome->ok() ? **outcome : admin::GcOutcome{};
  }

  test::HostedRig rig;
  obs::Metrics metrics;
  std::unique_ptr<Garbage> garbage;
};

TEST_F(RetainedGarbage, ADryRunCountsWhatTheTagsThatGoLeadTo) {
  const auto young = run(true, 24h);
  EXPECT_EQ(young.retention.names, std::vector<std::string>{"team/app:old"});
  EXPECT_EQ(young.garbage.bytes_freed, 0U);
  EXPECT_EQ(young.in_time.manifests_removed, 1U);
  EXPECT_EQ(young.in_time.bytes_freed, 12U);
  EXPECT_EQ(young.grace, 24h);
  rig.clock.advance(1s);
  const auto dry = run(true, 0s);
  EXPECT_EQ(dry.garbage.manifests_removed, 1U);
  EXPECT_EQ(dry.garbage.blobs_removed, 1U);
  EXPECT_EQ(dry.garbage.bytes_freed, 12U);
  EXPECT_TRUE(rig.store->find_tag("team/app", "old"));
  const auto real = run(false, 0s);
  EXPECT_EQ(real.retention.tags_removed, dry.retention.tags_removed);
  EXPECT_EQ(real.garbage.manifests_removed, dry.garbage.manifests_removed);
  EXPECT_EQ(real.garbage.links_removed, dry.garbage.links_removed);
  EXPECT_EQ(real.garbage.blobs_removed, dry.garbage.blobs_removed);
  EXPECT_EQ(real.garbage.bytes_freed, dry.garbage.bytes_freed);
  EXPECT_FALSE(rig.store->find_tag("team/app", "old"));
  EXPECT_EQ(run(true, 0s).garbage.bytes_freed, 0U);
}

TEST_F(RetainedGarbage, ForeseeingNeedsNotWaitForACollectionAndStopsWithTheRest) {
  int answers = 0;
  garbage->run({.grace = 24h}, [&](const auto& result) { answers += result.ok() ? 1 : 100; });
  garbage->foresee({.grace = 24h}, [&](const auto& result) { answers += result.ok() ? 1 : 100; });
  EXPECT_TRUE(rig.loop.run_until([&] { return answers == 2; }));
  garbage->foresee({.grace = 24h}, [&](const auto&) { ++answers; });
  garbage->stop();
  rig.close();
  rig.loop.run_all();
  EXPECT_EQ(answers, 2);
}

}  // namespace
}  // namespace shoal::app
