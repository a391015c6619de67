// max_size holds, what is in use or pinned stays, and work is done ahead of need.
#include <gtest/gtest.h>

#include <filesystem>
#include <thread>

#include "open_store.h"
#include "support/store_rig.h"
#include "support/test_file_ops.h"

namespace shoal::store {
namespace {

namespace fs = std::filesystem;

std::uintmax_t bytes_on_disk(const std::string& path) {
  std::uintmax_t total = 0;
  std::error_code gone;  // files come and go meanwhile
  for (auto it = fs::recursive_directory_iterator(path, gone); it != fs::recursive_directory_iterator();
       it.increment(gone)) {
    const auto size = it->is_regular_file(gone) ? it->file_size(gone) : 0;
    if (!gone) total += size;
  }
  return total;
}

class Eviction : public ::testing::Test {
 protected:
  test::StoreRig rig;
};

TEST_F(Eviction, KeepsBlobsAndFillsWithinMaxSize) {
  rig.options.max_size = 1'000'000;
  rig.start();
  for (unsigned i = 0; i < 60; ++i) {
    ASSERT_TRUE(rig.put(test::some_bytes(100'000, i)).ok()) << i;
    rig.loop.run_all();
    rig.clock.advance(std::chrono::seconds(10));
    EXPECT_LE(bytes_on_disk(rig.options.path + "/blobs") + bytes_on_disk(rig.options.path + "/fills"), 1'000'000U);
  }
  const auto usage = rig.store->usage();
  EXPECT_GE(usage.evicted_blobs, 50U);
  EXPECT_EQ(usage.evicted_bytes, usage.evicted_blobs * 100'000);
  EXPECT_GE(usage.blob_bytes, 800'000U) << "it must not evict more than it needs";
  EXPECT_EQ(bytes_on_disk(rig.options.path + "/blobs"), usage.blob_bytes);
  EXPECT_TRUE(rig.store->find_blob(base::digest_of(test::some_bytes(100'000, 59))));
  const auto events = rig.events.take();
  ASSERT_EQ(events.size(), usage.evicted_blobs) << "each is told";
  EXPECT_EQ(events[0].kind, obs::EventKind::evict);
  EXPECT_EQ(events[0].size, 100'000U);
  EXPECT_EQ(events[0].reason, "space");
  EXPECT_FALSE(rig.store->find_blob(*base::Digest::parse(events[0].digest)));
}

TEST_F(Eviction, FollowsLimitsThatChange) {
  rig.options.max_size = 1'000'000;
  rig.start();
  for (unsigned i = 0; i < 9; ++i) ASSERT_TRUE(rig.put(test::some_bytes(100'000, i)).ok());
  EXPECT_EQ(rig.store->usage().evicted_blobs, 0U);
  auto smaller = rig.options;
  smaller.max_size = 500'000;
  rig.store->set_limits(smaller);
  rig.loop.run_all();
  EXPECT_LE(rig.store->usage().blob_bytes, 450'000U) << "down to the low watermark, without waiting for a fill";
  EXPECT_GE(rig.store->usage().blob_bytes, 400'000U);
  rig.store->set_limits(rig.options);
  for (unsigned i = 20; i < 25; ++i) ASSERT_TRUE(rig.put(test::some_bytes(100'000, i)).ok());
  EXPECT_GT(rig.store->usage().blob_bytes, 800'000U);
}

// They are written to the index in batches; eviction need not wait for that.
TEST_F(Eviction, CountsUsesThatAreNotInTheIndexYet) {
  rig.options.max_size = 1'000'000;
  rig.start();
  const auto loved = test::some_bytes(100'000, 1000);
  ASSERT_TRUE(rig.put(loved).ok());
  for (unsigned i = 0; i < 8; ++i) {
    ASSERT_TRUE(rig.put(test::some_bytes(100'000, i)).ok());
    rig.clock.advance(std::chrono::milliseconds(100));
  }
  for (int i = 0; i < 20; ++i) rig.store->touch_blob(base::digest_of(loved));
  for (unsigned i = 8; i < 14; ++i) {
    ASSERT_TRUE(rig.put(test::some_bytes(100'000, i)).ok());
    rig.loop.run_all();
    rig.clock.advance(std::chrono::milliseconds(100));
  }
  EXPECT_TRUE(rig.store->find_blob(base::digest_of(loved)));
}

TEST_F(Eviction, WhatIsOpenOrPinnedStaysAndTheRestPassesThrough) {
  rig.options.max_size = 400'000;
  rig.start();
  const auto open_bytes = test::some_bytes(100'000, 1), pinned_bytes = test::some_bytes(100'000, 2);
  const auto open = rig.put(open_bytes);
  ASSERT_TRUE(rig.put(pinned_bytes).ok());
  ASSERT_TRUE(rig.commit({PinBlob{base::digest_of(pinned_bytes), true}}).ok());
  EXPECT_EQ(rig.store->admit(300'000), Admission::keep);
  EXPECT_EQ(rig.store->admit(300'001), Admission::pass_through) << "100,000 are pinned";
  for (unsigned i = 10; i < 30; ++i) {
    ASSERT_TRUE(rig.put(test::some_bytes(100'000, i)).ok());
    rig.loop.run_all();
  }
  EXPECT_TRUE(rig.store->open_blob(base::digest_of(pinned_bytes)).ok());
  const auto again = rig.store->open_blob(base::digest_of(open_bytes));
  ASSERT_TRUE(again.ok()) << again.error().message();
  EXPECT_EQ(test::read_all(*again), open_bytes);
  // Nothing can go for this one: it hashes to its end and is not kept.
  const auto large = test::some_bytes(350'000, 3);
  auto fill = rig.begin(base::digest_of(large));
  ASSERT_TRUE(rig.open_fill(*fill, large.size()).ok());
  const auto kept = rig.append(*fill, large);
  ASSERT_FALSE(kept.ok()) << *kept << " bytes of it, beside " << rig.store->usage().blob_bytes << " in blobs";
  EXPECT_EQ(kept.error().kind(), base::ErrorKind::full);
  EXPECT_TRUE(rig.verify(*fill).value_or(false));
}

TEST_F(Eviction, AdmittingStartsItAheadOfNeed) {
  rig.options.max_size = 1'000'000;
  rig.start();
  for (unsigned i = 0; i < 9; ++i) ASSERT_TRUE(rig.put(test::some_bytes(100'000, i)).ok());
  rig.loop.run_all();
  EXPECT_EQ(rig.store->would_admit(300'000), Admission::keep);
  rig.loop.run_all();
  EXPECT_EQ(rig.store->usage().evicted_blobs, 0U) << "a question evicts nothing";
  EXPECT_EQ(rig.store->admit(300'000), Admission::keep);
  rig.loop.run_all();
  EXPECT_GE(rig.store->usage().evicted_blobs, 2U);
  EXPECT_EQ(rig.store->admit(1'000'001), Admission::pass_through);
}

TEST_F(Eviction, ClaimedSizeAloneDoesNotEmptyTheCache) {
  rig.options.max_size = 8ULL << 30;
  rig.start();
  for (unsigned i = 0; i < 5; ++i) ASSERT_TRUE(rig.put(test::some_bytes(100'000, i)).ok());
  EXPECT_EQ(rig.store->admit((8ULL << 30) - 1), Admission::keep);
  rig.loop.run_all();
  EXPECT_EQ(rig.store->usage().evicted_blobs, 0U);
}

// Index commits wait while a test says so.
class SlowCommits final : public test::FailingFileOps {
 public:
  base::Result<void> before_index_commit() override {
    const std::lock_guard lock(hold);
    return FailingFileOps::before_index_commit();
  }
  std::mutex hold;
};

TEST(EvictionUnderway, BlobThatComesBackBeforeItsRecordIsGoneIsCountedOnce) {
  const auto files = std::make_shared<SlowCommits>();
  test::StoreRig rig([&files](StoreOptions options, base::Executor& disk, base::Clock& clock) {
    return open_store(std::move(options), disk, clock, files);
  });
  rig.options.max_size = 1'000'000;
  rig.start();
  for (unsigned i = 0; i < 9; ++i) ASSERT_TRUE(rig.put(test::some_bytes(100'000, i)).ok());
  rig.loop.run_all();
  const std::unique_lock hold(files->hold);
  EXPECT_EQ(rig.store->admit(300'000), Admission::keep);
  rig.loop.run_all();
  const auto evicted = rig.store->usage().evicted_bytes;
  ASSERT_GT(evicted, 0U);
  std::vector<std::unique_ptr<FillFile>> fills;
  for (unsigned i = 0; i < 9; ++i) {
    const auto digest = base::digest_of(test::some_bytes(100'000, i));
    if (fs::exists(rig.blob_path(digest))) continue;
    EXPECT_TRUE(rig.store->find_blob(digest)) << "the record goes with the next commit";
    fills.push_back(rig.begin(digest));
    EXPECT_EQ(rig.open_fill(*fills.back(), 100'000).value_or(1), 0U);
  }
  EXPECT_EQ(fills.size() * 100'000, evicted);
  EXPECT_EQ(rig.store->usage().blob_bytes, 900'000 - evicted);
}

TEST_F(Eviction, ForgottenFillsGoWhenNoBlobCan) {
  rig.options.max_size = 300'000;
  rig.start();
  {
    auto fill = rig.begin(base::digest_of("never finished"));
    ASSERT_TRUE(rig.open_fill(*fill).ok());
    ASSERT_TRUE(rig.append(*fill, test::some_bytes(250'000, 1)).ok());
  }
  rig.loop.run_all();
  EXPECT_TRUE(rig.put(test::some_bytes(200'000, 2)).ok());
  EXPECT_EQ(rig.store->usage().fill_bytes, 0U);
}

TEST_F(Eviction, EvictedBlobIsAMissAndComesBack) {
  rig.options.max_size = 300'000;
  rig.start();
  const auto first = test::some_bytes(200'000, 1);
  ASSERT_TRUE(rig.put(first).ok());
  rig.clock.advance(std::chrono::hours(1));
  ASSERT_TRUE(rig.put(test::some_bytes(200'000, 2)).ok());
  rig.loop.run_all();
  EXPECT_EQ(rig.store->open_blob(base::digest_of(first)).error().kind(), base::ErrorKind::not_found);
  ASSERT_TRUE(rig.put(first).ok());
  rig.restart();
  EXPECT_EQ(test::read_all(*rig.store->open_blob(base::digest_of(first))), first);
}

TEST_F(Eviction, BlobThatComesBackIsNotTakenForNew) {
  rig.options.max_size = 300'000;
  rig.start();
  const auto first = test::some_bytes(200'000, 1);
  const auto digest = base::digest_of(first);
  ASSERT_TRUE(rig.put(first).ok());
  for (int i = 0; i < 3; ++i) rig.store->touch_blob(digest);
  rig.clock.advance(std::chrono::hours(24 * 60));
  ASSERT_TRUE(rig.put(test::some_bytes(200'000, 2)).ok());
  rig.loop.run_all();
  ASSERT_FALSE(rig.store->open_blob(digest).ok());
  ASSERT_TRUE(rig.put(first).ok());
  EXPECT_EQ(rig.store->find_blob(digest)->uses, 5U) << "four before, one now";
}

// Several threads publish at once over a small cache, others read; run it under the thread sanitizer.
TEST(ConcurrentEviction, HoldsMaxSizeAndNeverPullsABlobFromUnderAReader) {
  constexpr std::uint64_t kMax = 2'000'000;
  test::TempDir dir;
  base::SystemClock clock;
  test::TestPool pool(3);
  auto opened =
      Store::open({.path = dir.file("s"), .max_size = kMax, .min_free = 0, .index_size = 64ULL << 20}, pool, clock);
  ASSERT_TRUE(opened.ok());
  auto& store = **opened;
  std::atomic<bool> over{false}, running{true};
  std::thread watcher([&] {
    while (running) {
      const auto usage = store.usage();
      if (usage.blob_bytes + usage.fill_bytes > kMax) over = true;
      std::this_thread::yield();
    }
  });
  std::atomic<int> published{0}, wrong{0};
  const auto publisher = [&](unsigned thread) {
    test::QueueLoop loop;
    for (unsigned i = 0; i < 60; ++i) {
      const auto bytes = test::some_bytes(20'000 + 1000 * i, thread * 40 + i);  // threads overlap
      const auto digest = base::digest_of(bytes);
      if (const auto there = store.open_blob(digest); there.ok()) {
        if (test::read_all(*there) != bytes) ++wrong;
        store.touch_blob(digest);
        continue;
      }
      if (store.admit(bytes.size()) != Admission::keep) continue;
      auto begun = store.begin_fill(digest, loop);
      if (!begun.ok()) continue;
      auto& fill = **begun;
      bool done = false;
      fill.open(bytes.size(), [&](base::Result<std::uint64_t> kept) {
        if (!kept.ok()) return void(done = true);
        fill.append(test::shared(bytes.substr(*kept)), [&](base::Result<std::uint64_t> length) {
          if (!length.ok()) return void(done = true);
          fill.verify([&](base::Result<bool> right) {
            if (!right.ok() || !*right) ++wrong;
            fill.publish("r", [&](base::Result<OpenBlob> blob) {
              if (blob.ok()) {
                ++published;
                if (test::read_all(*blob) != bytes) ++wrong;
              }
              done = true;
            });
          });
        });
      });
      if (!loop.run_until([&] { return done; })) ++wrong;
    }
  };
  std::vector<std::thread> threads;
  for (unsigned t = 0; t < 4; ++t) threads.emplace_back(publisher, t);
  for (auto& thread : threads) thread.join();
  running = false;
  watcher.join();
  EXPECT_EQ(wrong, 0);
  EXPECT_FALSE(over);
  EXPECT_GT(published, 60);
  EXPECT_GT(store.usage().evicted_blobs, 0U);
}

}  // namespace
}  // namespace shoal::store
