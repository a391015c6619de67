// Pushes, mirror fills, evictions and removals of the same few digests at once, each on threads of its own: what a
// hosted repository shows is there and right, at any time.
#include <gtest/gtest.h>

#include <atomic>
#include <random>
#include <set>
#include <thread>

#include "support/hosted_rig.h"

namespace shoal::store {
namespace {

// Waits on a loop of its own for what a store answers.
class Actor {
 public:
  Actor(Store& store, unsigned seed) : store_(store), random_(seed) {}

 protected:
  template <class T, class F>
  base::Result<T> wait(F start) {
    std::optional<base::Result<T>> answer;
    start([&answer](base::Result<T> result) { answer.emplace(std::move(result)); });
    if (!loop_.run_until([&answer] { return answer.has_value(); })) {
      ADD_FAILURE() << "no answer";
      return base::Error(base::ErrorKind::timeout, "no answer");
    }
    return std::move(*answer);
  }
  std::string content() { return test::some_bytes(20'000, random_() % 6); }

  Store& store_;
  test::QueueLoop loop_;
  std::mt19937 random_;
};

class PushingActor : public Actor {
 public:
  PushingActor(Store& store, unsigned seed) : Actor(store, seed), repository_("team/r" + std::to_string(seed)) {}
  void step() {
    const auto bytes = content();
    const auto digest = base::digest_of(bytes);
    auto& hosted = store_.hosted();
    switch (random_() % 4) {
      case 0: {
        const auto removed =
            wait<void>([&](auto done) { hosted.remove_content(repository_, digest, {}, loop_, std::move(done)); });
        if (removed.ok()) shown_.erase(digest);
        break;
      }
      case 1: {
        const auto mounted =
            wait<void>([&](auto done) { hosted.mount(repository_, digest, "", loop_, std::move(done)); });
        if (mounted.ok()) shown_.insert(digest);
        break;
      }
      default: {
        auto upload = hosted.begin_upload(repository_, loop_);
        ASSERT_TRUE(upload.ok());
        const auto added =
            wait<std::uint64_t>([&](auto done) { (*upload)->append(test::shared(bytes), std::move(done)); });
        ASSERT_TRUE(added.ok()) << added.error().message();
        const auto pushed = wait<void>([&](auto done) { (*upload)->finish(digest, std::move(done)); });
        ASSERT_TRUE(pushed.ok()) << pushed.error().message();
        shown_.insert(digest);
      }
    }
    check();
  }
  void check() {
    for (const auto& digest : shown_) {
      const auto link = store_.find_link(repository_, digest);
      ASSERT_TRUE(link && link->hosted);
      const auto open = store_.open_blob(digest);
      ASSERT_TRUE(open.ok()) << open.error().message();
      ASSERT_EQ(base::digest_of(test::read_all(*open)), digest);
    }
  }

 private:
  const std::string repository_;
  std::set<base::Digest> shown_;
};

class MirroringActor : public Actor {
 public:
  using Actor::Actor;
  void step() {
    const auto bytes = content();
    const auto digest = base::digest_of(bytes);
    if (random_() % 3 == 0) {
      (void)store_.remove_blob(digest);  // busy, when it is hosted or in use
      return;
    }
    auto fill = store_.begin_fill(digest, loop_);
    if (!fill.ok()) return;  // the other mirroring actor has it
    const auto kept = wait<std::uint64_t>([&](auto done) { (*fill)->open(bytes.size(), std::move(done)); });
    if (!kept.ok()) return;
    if (random_() % 4 == 0) return (*fill)->discard();
    const auto added =
        wait<std::uint64_t>([&](auto done) { (*fill)->append(test::shared(bytes.substr(*kept)), std::move(done)); });
    const auto right = wait<bool>([&](auto done) { (*fill)->verify(std::move(done)); });
    ASSERT_TRUE(right.ok() && *right);
    if (!added.ok()) return;
    const auto published = wait<OpenBlob>([&](auto done) { (*fill)->publish("docker.io/library/a", std::move(done)); });
    ASSERT_TRUE(published.ok()) << published.error().message();
    ASSERT_EQ(test::read_all(*published), bytes);
  }
};

class HostedThreads : public ::testing::TestWithParam<unsigned> {};

TEST_P(HostedThreads, WhatARepositoryShowsIsThere) {
  test::TempDir dir;
  base::SystemClock clock;
  test::TestPool pool(3);
  StoreOptions options;
  options.path = dir.file("store");
  options.min_free = 0;
  options.max_size = 600'000;  // the upkeep evicts beside it
  options.high_watermark = 0.1;
  options.low_watermark = 0.05;
  options.index_size = 64ULL << 20;
  auto opened = Store::open(options, pool, clock);
  ASSERT_TRUE(opened.ok());
  auto& store = **opened;
  std::vector<std::unique_ptr<PushingActor>> pushing;
  std::vector<std::unique_ptr<MirroringActor>> mirroring;
  std::vector<std::thread> threads;
  constexpr int kSteps = 120;
  for (unsigned i = 0; i < 3; ++i) {
    pushing.push_back(std::make_unique<PushingActor>(store, GetParam() * 10 + i));
    threads.emplace_back([actor = pushing.back().get()] {
      for (int n = 0; n < kSteps && !::testing::Test::HasFatalFailure(); ++n) actor->step();
    });
  }
  for (unsigned i = 0; i < 2; ++i) {
    mirroring.push_back(std::make_unique<MirroringActor>(store, GetParam() * 10 + 5 + i));
    threads.emplace_back([actor = mirroring.back().get()] {
      for (int n = 0; n < kSteps && !::testing::Test::HasFatalFailure(); ++n) actor->step();
    });
  }
  for (auto& thread : threads) thread.join();
  for (auto& actor : pushing) actor->check();
  EXPECT_FALSE(store.usage().read_only);
}

INSTANTIATE_TEST_SUITE_P(Seeds, HostedThreads, ::testing::Range(0U, 4U));

}  // namespace
}  // namespace shoal::store
