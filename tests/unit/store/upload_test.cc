// Pushes in progress: what they survive, what bounds them, and what else may happen to the same digest meanwhile.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "open_store.h"
#include "support/hosted_rig.h"
#include "support/test_file_ops.h"

namespace shoal::store {
namespace {

namespace fs = std::filesystem;
using base::ErrorKind;

const std::string kApp = "team/app";

class Uploads : public ::testing::Test {
 protected:
  Uploads() : rig([this](auto options, auto& disk, auto& clock) { return open_store(options, disk, clock, files); }) {}
  [[nodiscard]] std::string upload_path(const std::string& id) const { return rig.options.path + "/uploads/" + id; }
  [[nodiscard]] std::size_t upload_files() const {
    return static_cast<std::size_t>(std::distance(fs::directory_iterator(rig.options.path + "/uploads"), {}));
  }
  const std::shared_ptr<test::FailingFileOps> files = std::make_shared<test::FailingFileOps>();
  test::HostedRig rig;
};

TEST_F(Uploads, SessionGoesOnAfterARestart) {
  rig.start();
  const auto bytes = test::some_bytes(5'000'000, 1);
  for (const auto algorithm : {base::HashAlgorithm::sha256, base::HashAlgorithm::sha512}) {
    auto upload = rig.begin_upload(kApp);
    const auto id = upload->id();
    ASSERT_TRUE(rig.add(*upload, bytes.substr(0, 3'000'000)).ok());
    upload.reset();
    rig.restart();
    EXPECT_EQ(rig.store->usage().fill_bytes, 3'000'000U);
    EXPECT_EQ(rig.resume_upload("team/other", id), nullptr);
    upload = rig.resume_upload(kApp, id);
    ASSERT_NE(upload, nullptr);
    EXPECT_EQ(rig.length(*upload).value_or(0), 3'000'000U);
    ASSERT_TRUE(rig.add(*upload, bytes.substr(3'000'000)).ok());
    ASSERT_TRUE(rig.finish(*upload, base::digest_of(bytes, algorithm)).ok());
    EXPECT_EQ(test::read_all(*rig.store->open_blob(base::digest_of(bytes, algorithm))), bytes);
    EXPECT_EQ(rig.store->usage().fill_bytes, 0U);
    rig.restart();
    EXPECT_EQ(rig.resume_upload(kApp, id), nullptr);
    EXPECT_EQ(upload_files(), 0U);
  }
}

TEST_F(Uploads, SmallSessionIsRememberedOnceItsHolderWent) {
  rig.start();
  auto upload = rig.begin_upload(kApp);
  const auto id = upload->id();
  ASSERT_TRUE(rig.add(*upload, "some").ok());
  upload.reset();
  rig.loop.run_all();
  rig.restart();
  upload = rig.resume_upload(kApp, id);
  ASSERT_NE(upload, nullptr);
  EXPECT_EQ(rig.length(*upload).value_or(0), 4U);
  EXPECT_TRUE(rig.cancel(*upload).ok());
  rig.restart();
  EXPECT_EQ(rig.resume_upload(kApp, id), nullptr);
}

TEST_F(Uploads, EmptySessionSurvivesAnOrderlyRestart) {
  rig.start();
  const auto id = rig.begin_upload(kApp)->id();
  rig.restart();
  auto upload = rig.resume_upload(kApp, id);
  ASSERT_NE(upload, nullptr);
  EXPECT_EQ(rig.length(*upload).value_or(9), 0U);
  EXPECT_TRUE(rig.add(*upload, "x").ok());
  EXPECT_TRUE(rig.finish(*upload, base::digest_of("x")).ok());
}

TEST_F(Uploads, SessionOfAnEarlierRunIsCancelledUnread) {
  rig.start();
  auto upload = rig.begin_upload(kApp);
  const auto id = upload->id();
  ASSERT_TRUE(rig.add(*upload, test::some_bytes(3'000'000, 1)).ok());
  upload.reset();
  rig.restart();
  upload = rig.resume_upload(kApp, id);
  const int opens = files->count(test::Op::open);
  ASSERT_TRUE(rig.cancel(*upload).ok());
  EXPECT_EQ(files->count(test::Op::open), opens);
  EXPECT_EQ(rig.store->usage().fill_bytes, 0U);
  EXPECT_EQ(upload_files(), 0U);
}

TEST_F(Uploads, WithoutADescriptorASessionOfAnEarlierRunIsNotLost) {
  rig.start();
  auto upload = rig.begin_upload(kApp);
  const auto id = upload->id();
  ASSERT_TRUE(rig.add(*upload, "some bytes").ok());
  upload.reset();
  rig.restart();
  upload = rig.resume_upload(kApp, id);
  files->fail(test::Op::open, EMFILE);
  EXPECT_EQ(rig.length(*upload).error().kind(), ErrorKind::busy);
  files->heal();
  EXPECT_EQ(rig.length(*upload).value_or(0), 10U);
  EXPECT_TRUE(rig.finish(*upload, base::digest_of("some bytes")).ok());
}

TEST_F(Uploads, OnlyMaxUploadsAreInProgress) {
  rig.options.max_uploads = 3;
  rig.start();
  std::vector<std::unique_ptr<Upload>> uploads;
  for (int i = 0; i < 3; ++i) uploads.push_back(rig.begin_upload(kApp));
  EXPECT_EQ(rig.hosted().begin_upload(kApp, rig.loop).error().kind(), ErrorKind::busy);
  ASSERT_TRUE(rig.finish(*uploads[0], base::digest_of("")).ok());
  EXPECT_TRUE(rig.hosted().begin_upload(kApp, rig.loop).ok());
}

TEST_F(Uploads, RepositoryNameThatDoesNotFitIsRefused) {
  rig.start();
  for (const auto& name : {std::string(), std::string(321, 'a'), std::string("a\0b", 3)}) {
    EXPECT_EQ(rig.hosted().begin_upload(name, rig.loop).error().kind(), ErrorKind::invalid);
  }
}

TEST_F(Uploads, AppendBeyondMaxSizeIsFullAndKeepsWhatWasThere) {
  rig.options.max_size = 1'000'000;
  rig.start();
  auto upload = rig.begin_upload(kApp);
  const auto bytes = test::some_bytes(900'000, 2);
  ASSERT_TRUE(rig.add(*upload, bytes).ok());
  EXPECT_EQ(rig.add(*upload, std::string(200'000, 'x')).error().kind(), ErrorKind::full);
  EXPECT_EQ(rig.length(*upload).value_or(0), 900'000U);
  EXPECT_TRUE(rig.finish(*upload, base::digest_of(bytes)).ok());
  EXPECT_EQ(rig.store->usage().blob_bytes, 900'000U);
}

TEST_F(Uploads, PushMakesMirroredBlobsGo) {
  rig.options.max_size = 1'000'000;
  rig.start();
  ASSERT_TRUE(rig.put(test::some_bytes(800'000, 3)).ok());
  const auto bytes = test::some_bytes(700'000, 4);
  ASSERT_TRUE(rig.push_blob(kApp, bytes).ok());
  EXPECT_FALSE(rig.store->find_blob(base::digest_of(test::some_bytes(800'000, 3))));
  // And what was pushed does not go for another push.
  EXPECT_EQ(rig.push_blob(kApp, test::some_bytes(700'000, 5)).error().kind(), ErrorKind::full);
  EXPECT_TRUE(rig.store->open_blob(base::digest_of(bytes)).ok());
}

TEST_F(Uploads, DiskThatFillsUpInMidWriteLeavesNothingBehindTheLength) {
  rig.start();
  auto upload = rig.begin_upload(kApp);
  ASSERT_TRUE(rig.add(*upload, "first").ok());
  files->fail(test::Op::write, ENOSPC);
  EXPECT_EQ(rig.add(*upload, std::string(1000, 'x')).error().kind(), ErrorKind::full);
  EXPECT_EQ(rig.length(*upload).value_or(0), 5U);
  files->fail(test::Op::truncate, EIO);  // as long as the tail cannot be cut, it is no blob
  EXPECT_EQ(rig.add(*upload, std::string(1000, 'x')).error().kind(), ErrorKind::full);
  EXPECT_FALSE(rig.finish(*upload, base::digest_of("first")).ok());
  files->heal();
  ASSERT_TRUE(rig.finish(*upload, base::digest_of("first")).ok());
  EXPECT_EQ(test::read_all(*rig.store->open_blob(base::digest_of("first"))), "first");
  EXPECT_EQ(rig.store->usage().fill_bytes, 0U);
  EXPECT_EQ(rig.store->usage().blob_bytes, 5U);
}

TEST_F(Uploads, FailedSyncTurnsTheStoreReadOnlyAndIsNotAcknowledged) {
  for (const auto op : {test::Op::sync, test::Op::sync_dir, test::Op::commit}) {
    SCOPED_TRACE(static_cast<int>(op));
    rig.restart();
    files->fail(op, EIO);
    const auto bytes = test::some_bytes(1000, 6 + static_cast<unsigned>(op));
    EXPECT_FALSE(rig.push_blob(kApp, bytes).ok());
    EXPECT_TRUE(rig.store->usage().read_only);
    EXPECT_FALSE(rig.hosted().begin_upload(kApp, rig.loop).ok());
    EXPECT_FALSE(rig.push_manifest(kApp, test::image_of({base::digest_of("x")}), {}).ok());
    files->heal();
    rig.restart();
    EXPECT_FALSE(rig.store->open_blob(base::digest_of(bytes)).ok());
    EXPECT_EQ(rig.store->usage().blob_bytes, 0U);
    ASSERT_TRUE(rig.push_blob(kApp, bytes).ok());
    ASSERT_TRUE(rig.remove_content(kApp, base::digest_of(bytes)).ok());
    rig.loop.run_all();
  }
}

// `n` pushes that finish at once, so that they share a batch.
struct Burst {
  Burst(test::HostedRig& rig, unsigned n, unsigned seed) {
    for (unsigned i = 0; i < n; ++i) {
      contents.push_back(test::some_bytes(2000, seed + i));
      uploads.push_back(rig.begin_upload(kApp));
      EXPECT_TRUE(rig.add(*uploads.back(), contents.back()).ok());
    }
    for (unsigned i = 0; i < n; ++i) {
      uploads[i]->finish(base::digest_of(contents[i]), [this](base::Result<void> result) {
        ++done;
        good += result.ok() ? 1U : 0U;
      });
    }
    EXPECT_TRUE(rig.loop.run_until([&] { return done == n; }));
  }
  std::vector<std::string> contents;
  std::vector<std::unique_ptr<Upload>> uploads;
  unsigned done = 0, good = 0;
};

TEST_F(Uploads, ManyAtOnceShareOneSyncOfTheFilesystem) {
  rig.start();
  const int syncs = files->count(test::Op::sync), dirs = files->count(test::Op::sync_dir);
  const Burst burst(rig, 50, 100);
  EXPECT_EQ(burst.good, 50U);
  EXPECT_EQ(files->count(test::Op::sync), syncs);
  EXPECT_EQ(files->count(test::Op::sync_dir), dirs);
  EXPECT_LE(files->count(test::Op::sync_filesystem), 3);
  for (const auto& bytes : burst.contents) {
    EXPECT_EQ(test::read_all(*rig.store->open_blob(base::digest_of(bytes))), bytes);
  }
}

TEST_F(Uploads, FailedSyncOfTheFilesystemFailsTheBatch) {
  rig.start();
  files->fail(test::Op::sync_filesystem, EIO);
  const Burst burst(rig, 20, 200);
  EXPECT_EQ(burst.good, 0U);
  EXPECT_TRUE(rig.store->usage().read_only);
  EXPECT_EQ(rig.store->usage().blob_bytes, 0U);
}

TEST_F(Uploads, OneThatCannotBeMovedDoesNotFailItsBatch) {
  rig.start();
  files->fail(test::Op::rename, EACCES, 5, 1);
  const Burst burst(rig, 20, 300);
  EXPECT_EQ(burst.good, 19U);
  EXPECT_FALSE(rig.store->usage().read_only);
  EXPECT_EQ(rig.store->usage().fill_bytes, 0U);
  EXPECT_EQ(upload_files(), 0U);
}

TEST_F(Uploads, BlobThatIsThereAlreadyIsOnlyLinked) {
  rig.start();
  const auto bytes = test::some_bytes(100'000, 7);
  ASSERT_TRUE(rig.put(bytes).ok());  // by the mirror
  const auto before = fs::last_write_time(rig.blob_path(base::digest_of(bytes)));
  const int renames = files->count(test::Op::rename);
  ASSERT_TRUE(rig.push_blob(kApp, bytes).ok());
  EXPECT_EQ(files->count(test::Op::rename), renames);
  EXPECT_EQ(fs::last_write_time(rig.blob_path(base::digest_of(bytes))), before);
  EXPECT_TRUE(rig.shows(kApp, base::digest_of(bytes)));
  EXPECT_TRUE(rig.store->find_blob(base::digest_of(bytes))->hosted);
  EXPECT_EQ(rig.store->usage().fill_bytes, 0U);
  EXPECT_EQ(rig.store->usage().blob_bytes, bytes.size());
}

TEST_F(Uploads, PushHealsABlobWhoseFileWasTouched) {
  rig.start();
  const auto bytes = test::some_bytes(10'000, 8);
  ASSERT_TRUE(rig.push_blob(kApp, bytes).ok());
  fs::permissions(rig.blob_path(base::digest_of(bytes)), fs::perms::owner_all);
  EXPECT_EQ(rig.store->open_blob(base::digest_of(bytes)).error().kind(), ErrorKind::corrupt);
  EXPECT_EQ(rig.mount("team/other", base::digest_of(bytes), kApp).error().kind(), ErrorKind::not_found);
  ASSERT_TRUE(rig.push_blob(kApp, bytes).ok());
  EXPECT_EQ(test::read_all(*rig.store->open_blob(base::digest_of(bytes))), bytes);
  EXPECT_EQ(rig.store->usage().blob_bytes, bytes.size());
}

TEST_F(Uploads, BlobWhoseFileSomebodyTookAwayCountsOnceWhenItIsPushedAgain) {
  rig.start();
  const auto bytes = test::some_bytes(10'000, 8);
  ASSERT_TRUE(rig.push_blob(kApp, bytes).ok());
  fs::remove(rig.blob_path(base::digest_of(bytes)));
  ASSERT_TRUE(rig.push_blob(kApp, bytes).ok());
  EXPECT_EQ(test::read_all(*rig.store->open_blob(base::digest_of(bytes))), bytes);
  EXPECT_EQ(rig.store->usage().blob_bytes, bytes.size());
  EXPECT_EQ(rig.store->usage().fill_bytes, 0U);
}

TEST_F(Uploads, PushBesideAFillOfTheSameDigest) {
  rig.start();
  const auto bytes = test::some_bytes(100'000, 9);
  const auto digest = base::digest_of(bytes);
  // The fill opens before the push and publishes behind it.
  auto fill = rig.begin(digest);
  ASSERT_TRUE(rig.open_fill(*fill, bytes.size()).ok());
  ASSERT_TRUE(rig.append(*fill, bytes).ok());
  ASSERT_TRUE(rig.push_blob(kApp, bytes).ok());
  ASSERT_TRUE(rig.verify(*fill).value_or(false));
  const auto published = rig.publish(*fill);
  ASSERT_TRUE(published.ok()) << published.error().message();
  EXPECT_EQ(test::read_all(*published), bytes);
  EXPECT_EQ(test::read_all(*rig.store->open_blob(digest)), bytes);
  EXPECT_TRUE(rig.store->find_blob(digest)->hosted);
  EXPECT_EQ(rig.store->usage().blob_bytes, bytes.size());
  EXPECT_EQ(rig.store->usage().fill_bytes, 0U);
}

TEST_F(Uploads, FillThatOpensBehindAPushLeavesItsBlobAlone) {
  rig.start();
  const auto bytes = test::some_bytes(100'000, 10);
  const auto digest = base::digest_of(bytes);
  auto fill = rig.begin(digest);
  ASSERT_TRUE(rig.push_blob(kApp, bytes).ok());
  EXPECT_EQ(rig.open_fill(*fill, bytes.size()).value_or(9), 0U);
  EXPECT_EQ(test::read_all(*rig.store->open_blob(digest)), bytes);
  fill->discard();
  fill.reset();
  rig.loop.run_all();
  EXPECT_EQ(test::read_all(*rig.store->open_blob(digest)), bytes);
}

TEST_F(Uploads, AbandonedSessionsAreSwept) {
  rig.options.upload_max_age = std::chrono::hours(2);
  rig.start();
  auto old = rig.begin_upload(kApp);
  ASSERT_TRUE(rig.add(*old, "old").ok());
  const auto old_id = old->id();
  old.reset();
  rig.clock.advance(std::chrono::hours(3));
  auto young = rig.begin_upload(kApp);
  ASSERT_TRUE(rig.add(*young, "young").ok());
  (void)rig.store->usage();  // drives the upkeep
  rig.loop.run_all();
  EXPECT_EQ(rig.resume_upload(kApp, old_id), nullptr);
  EXPECT_FALSE(fs::exists(upload_path(old_id)));
  EXPECT_NE(rig.resume_upload(kApp, young->id()), nullptr);
  EXPECT_EQ(rig.store->usage().fill_bytes, 5U);
  rig.restart();
  EXPECT_EQ(rig.resume_upload(kApp, old_id), nullptr);
}

TEST_F(Uploads, FilesThatNoSessionIsAboutAreSwept) {
  rig.start();
  rig.close();
  { std::ofstream(upload_path(std::string(32, 'a'))) << "a stranger"; }
  rig.start();
  rig.loop.run_all();
  EXPECT_EQ(upload_files(), 1U);  // it may be of a session that is just ending
  EXPECT_EQ(rig.store->usage().fill_bytes, 10U);
  files->clock_offset_seconds = 7200;
  rig.clock.advance(std::chrono::hours(2));
  (void)rig.store->usage();
  rig.loop.run_all();
  EXPECT_EQ(upload_files(), 0U);
  EXPECT_EQ(rig.store->usage().fill_bytes, 0U);
}

TEST_F(Uploads, DroppedObjectDoesNotLoseWhatWasQueued) {
  rig.start();
  auto upload = rig.begin_upload(kApp);
  const auto id = upload->id();
  upload->append(test::shared("queued"), [](base::Result<std::uint64_t>) { FAIL() << "its object is gone"; });
  upload.reset();
  rig.loop.run_all();
  upload = rig.resume_upload(kApp, id);
  ASSERT_NE(upload, nullptr);
  EXPECT_EQ(rig.length(*upload).value_or(0), 6U);
}

}  // namespace
}  // namespace shoal::store
