// LMDB gives up an environment whose meta page it could not write; from then on nothing can be read. What is stored
// stays, and nobody is told that it is not there.
#include <gtest/gtest.h>

#include <chrono>
#include <mutex>
#include <thread>

#include "local_store.h"
#include "open_store.h"
#include "support/broken_index.h"
#include "support/hosted_rig.h"
#include "support/test_file_ops.h"

namespace shoal::store {
namespace {

using base::ErrorKind;
using test::Op;

class UnreadableIndex : public ::testing::Test {
 protected:
  UnreadableIndex()
      : rig([this](StoreOptions options, base::Executor& disk,
                   base::Clock& clock) -> base::Result<std::unique_ptr<Store>> {
          auto opened = open_core(std::move(options), disk, clock, files);
          if (!opened.ok()) return opened.error();
          core = *opened;
          return std::unique_ptr<Store>(std::make_unique<LocalStore>(core));
        }) {
    rig.start();
    EXPECT_TRUE(rig.push_blob("own/app", bytes).ok());
  }
  // Before the store hears of it: the next commit would turn it read-only.
  void lose_index() {
    ASSERT_EQ(test::break_index(rig.options.path), 1);
    {
      auto txn = core->index->write();
      txn.put(Table::state, "k", "v");
      ASSERT_FALSE(txn.commit().ok());
    }
    ASSERT_FALSE(core->index->read().ok());
    ASSERT_FALSE(core->health.read_only());
  }
  void expect_held() {
    core.reset();
    rig.restart();
    const auto blob = rig.store->open_blob(digest);
    ASSERT_TRUE(blob.ok()) << blob.error().message();
    EXPECT_EQ(test::read_all(*blob), bytes);
    EXPECT_EQ(rig.store->usage().blob_bytes, bytes.size());
  }
  std::shared_ptr<test::FailingFileOps> files = std::make_shared<test::FailingFileOps>();
  std::shared_ptr<Core> core;
  test::HostedRig rig;
  const std::string bytes = test::some_bytes(50'000, 12);  // less than what makes an upload write to the index
  const base::Digest digest = base::digest_of(bytes);
};

TEST_F(UnreadableIndex, PushOfABlobThatIsThereDoesNotReplaceIt) {
  lose_index();
  const auto renames = files->count(Op::rename);
  const auto pushed = rig.push_blob("own/other", bytes);
  ASSERT_FALSE(pushed.ok());
  EXPECT_EQ(pushed.error().kind(), ErrorKind::gone);
  EXPECT_EQ(files->count(Op::rename), renames);
  EXPECT_EQ(rig.store->usage().fill_bytes, 0U);
  expect_held();
}

TEST_F(UnreadableIndex, SeveralPushesAtOnceDoNotEither) {
  std::vector<std::unique_ptr<Upload>> uploads;
  for (int i = 0; i < 6; ++i) {
    uploads.push_back(rig.begin_upload("own/other"));
    ASSERT_TRUE(rig.add(*uploads.back(), bytes).ok());
  }
  lose_index();
  for (const auto& result : rig.finish_all(uploads, std::vector(uploads.size(), digest))) {
    ASSERT_FALSE(result.ok());
    EXPECT_EQ(result.error().kind(), ErrorKind::gone);
  }
  expect_held();
}

TEST_F(UnreadableIndex, FillOfABlobThatIsThereDoesNotReplaceIt) {
  auto fill = rig.begin(digest);
  ASSERT_TRUE(rig.open_fill(*fill, bytes.size()).ok());
  ASSERT_TRUE(rig.append(*fill, bytes).ok());
  ASSERT_TRUE(rig.verify(*fill).value_or(false));
  lose_index();
  const auto published = rig.publish(*fill);
  ASSERT_FALSE(published.ok());
  EXPECT_EQ(published.error().kind(), ErrorKind::gone) << "its own bytes are safe, and its readers may go on";
  fill.reset();
  expect_held();
}

TEST_F(UnreadableIndex, MountSaysWhy) {
  lose_index();
  const auto mounted =
      rig.wait<void>([&](auto done) { rig.hosted().mount("own/other", digest, "own/app", rig.loop, std::move(done)); });
  ASSERT_FALSE(mounted.ok());
  EXPECT_EQ(mounted.error().kind(), ErrorKind::gone) << mounted.error().message();
}

TEST_F(UnreadableIndex, ReadsTellThatTheyFailed) {
  const auto& store = *rig.store;
  const auto before = store.failed_reads();
  EXPECT_TRUE(store.find_link("own/app", digest).has_value());
  EXPECT_FALSE(store.find_link("own/none", digest).has_value());
  EXPECT_FALSE(rig.hosted().is_hosted("own/none"));
  EXPECT_FALSE(store.find_link(std::string(600, 'x'), digest).has_value()) << "no key is so long";
  EXPECT_TRUE(store.list_tags(std::string(600, 'x'), "", 10).empty());
  EXPECT_EQ(store.failed_reads(), before) << "not there is no failure";
  lose_index();
  for (const auto& read : std::vector<std::function<bool()>>{
           [&] { return store.find_link("own/app", digest).has_value(); },
           [&] { return store.find_blob(digest).has_value(); },
           [&] { return rig.hosted().is_hosted("own/app"); },
           [&] { return !store.list_blobs(std::nullopt, 1).empty(); },
       }) {
    const auto failed = store.failed_reads();
    EXPECT_FALSE(read());
    EXPECT_GT(store.failed_reads(), failed);
  }
}

TEST_F(UnreadableIndex, BlobThatCannotBeLookedAtIsNotReplacedEither) {
  auto upload = rig.begin_upload("own/other");
  ASSERT_TRUE(rig.add(*upload, bytes).ok());
  files->fail(Op::stat, EIO);
  const auto renames = files->count(Op::rename);
  EXPECT_FALSE(rig.finish(*upload, digest).ok());
  EXPECT_EQ(files->count(Op::rename), renames);
  files->heal();
  expect_held();
}

// What has gone from the disk and stays in the index is counted as long as it does.
TEST_F(UnreadableIndex, EvictionWhoseCommitFailsIsCountedUntilItsRecordGoes) {
  constexpr std::uint64_t kSize = 200'000;
  for (unsigned seed = 1; seed <= 3; ++seed) ASSERT_TRUE(rig.put(test::some_bytes(kSize, seed)).ok());
  const auto held = rig.store->usage().blob_bytes;
  files->fail(Op::commit, EIO, 0, 1);
  rig.options.max_size = kSize * 3 / 2;
  rig.store->set_limits(rig.options);
  ASSERT_TRUE(rig.loop.run_until([this] { return rig.store->usage().read_only; }));
  rig.loop.run_all();
  for (int i = 0; i < 5000 && rig.store->usage().blob_bytes != held; ++i) {  // the writer's thread tells
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  EXPECT_EQ(rig.store->usage().blob_bytes, held) << "as much as has a record";
}

// One page only: who needs it is refused, nobody else.
class DamagedPage : public UnreadableIndex {
 protected:
  static constexpr int kKeys = 100;
  static std::string key(int n) { return "key" + std::to_string(1000 + n); }
  static std::string value(int n) { return "value" + std::to_string(1000 + n) + std::string(900, '.'); }
  DamagedPage() {
    std::vector<Write> writes;
    for (int n = 0; n < kKeys; ++n) writes.emplace_back(PutState{key(n), value(n)});
    EXPECT_TRUE(rig.commit(std::move(writes)).ok());
    EXPECT_GE(test::damage_pages(rig.options.path, "value1050"), 1);
  }
  bool read_only() const { return rig.store->usage().read_only; }
};

TEST_F(DamagedPage, IsNoAbsence) {
  const ReadWatch before(*rig.store);
  EXPECT_EQ(rig.store->find_state(key(1)), value(1));
  EXPECT_FALSE(rig.store->find_state("key1")) << "never there";
  EXPECT_FALSE(before.failed());
  EXPECT_FALSE(rig.store->find_state(key(50)));
  EXPECT_TRUE(before.failed());
}

TEST_F(DamagedPage, WriteThatNeedsItIsRefusedAndTheStoreGoesOn) {
  const auto errors = rig.store->usage().write_errors;
  EXPECT_FALSE(rig.commit({PutState{key(50), "new"}}).ok());
  EXPECT_FALSE(rig.commit({PutState{key(50), {}}}).ok());
  EXPECT_FALSE(read_only());
  EXPECT_EQ(rig.store->usage().write_errors - errors, 2U);
  EXPECT_TRUE(rig.commit({PutState{key(1), "new"}}).ok());
  EXPECT_TRUE(rig.push_blob("own/app", "pushed").ok());
  EXPECT_EQ(rig.store->find_state(key(1)), "new");
}

TEST_F(DamagedPage, NeighboursInItsTransactionAreNotRefused) {
  std::mutex gate;
  const int keys[] = {1, 50, 99};
  std::vector<bool> taken(3);
  std::vector<base::Digest> unshown;  // none: no repository goes
  {
    const std::lock_guard closed(gate);
    core->writer->submit({[&gate](IndexEdit&) { const std::lock_guard wait(gate); }, {}});  // the others wait together
    for (std::size_t i = 0; i < taken.size(); ++i) {
      core->writer->submit({[&, i](IndexEdit& edit) {
                              edit.apply(PutState{key(keys[i]), "new"}, unshown);
                            },
                            [&taken, i](const base::Result<void>& result) { taken[i] = result.ok(); }});
    }
  }
  EXPECT_TRUE(core->writer->submit_and_wait([](IndexEdit&) {}).ok());
  EXPECT_EQ(taken, (std::vector<bool>{true, false, true}));
  EXPECT_EQ(rig.store->find_state(key(1)), "new");
  EXPECT_EQ(rig.store->find_state(key(99)), "new");
  EXPECT_FALSE(read_only());
}

// Whatever is written then: each commit writes the totals.
TEST_F(UnreadableIndex, DamagedPageThatEveryWriteNeedsTurnsTheStoreReadOnly) {
  ASSERT_GE(test::damage_pages(rig.options.path, "totals"), 1);
  EXPECT_FALSE(rig.commit({PutState{"k", "v"}}).ok());
  EXPECT_TRUE(rig.store->usage().read_only);
}

}  // namespace
}  // namespace shoal::store
