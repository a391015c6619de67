// LMDB gives up an environment whose meta page it could not write; from then on nothing can be read. What is stored
// stays, and nobody is told that it is not there.
#include <gtest/gtest.h>

#include <chrono>
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
  std::vector<std::optional<base::Result<void>>> answers(uploads.size());
  for (std::size_t i = 0; i < uploads.size(); ++i) {
    uploads[i]->finish(digest, [&answers, i](base::Result<void> result) { answers[i] = std::move(result); });
  }
  for (const auto& answer : answers) {
    ASSERT_TRUE(rig.loop.run_until([&answer] { return answer.has_value(); }));
    EXPECT_EQ(answer->error().kind(), ErrorKind::gone);
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

}  // namespace
}  // namespace shoal::store
