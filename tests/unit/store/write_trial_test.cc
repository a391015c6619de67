// A store that a failed sync has turned read-only: when it writes again, and what it holds then.
#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <functional>
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

// Something else happens while the filesystem is synced.
class HookedFileOps final : public test::FailingFileOps {
 public:
  base::Result<void> sync_filesystem(const std::string& path) override {
    if (during_sync) during_sync();
    return FailingFileOps::sync_filesystem(path);
  }
  base::Result<void> rename(const std::string& from, const std::string& to) override {
    auto renamed = FailingFileOps::rename(from, to);
    if (during_rename) during_rename();
    return renamed;
  }
  std::function<void()> during_sync, during_rename;
};

class WriteTrialTest : public ::testing::Test {
 protected:
  WriteTrialTest()
      : rig([this](StoreOptions options, base::Executor& disk,
                   base::Clock& clock) -> base::Result<std::unique_ptr<Store>> {
          core.reset();
          auto opened = open_core(std::move(options), disk, clock, files);
          if (!opened.ok()) return opened.error();
          core = std::move(opened).value();
          return std::unique_ptr<Store>(std::make_unique<LocalStore>(core));
        }) {
    rig.start();
  }
  static base::Error some_failure() { return {ErrorKind::gone, "a sync that failed"}; }
  bool read_only() { return rig.store->usage().read_only; }
  void after(std::chrono::seconds time) {
    rig.clock.advance(time);
    (void)rig.store->usage();  // drives the upkeep
    rig.loop.run_all();
  }
  void turn_read_only() {
    files->fail(Op::commit, EIO, 0, 1);
    ASSERT_FALSE(rig.commit({PutState{"lost", "1"}}).ok());
    ASSERT_TRUE(read_only());
  }
  std::size_t files_in(const std::string& directory) {
    const auto path = rig.options.path + "/" + directory;
    return static_cast<std::size_t>(std::distance(std::filesystem::recursive_directory_iterator(path), {}));
  }
  std::shared_ptr<HookedFileOps> files = std::make_shared<HookedFileOps>();
  std::shared_ptr<Core> core;
  test::HostedRig rig;
  const std::string bytes = test::some_bytes(100'000, 12);
  const base::Digest digest = base::digest_of(bytes);
};

class AfterAFailed : public WriteTrialTest, public ::testing::WithParamInterface<Op> {};

TEST_P(AfterAFailed, SyncTheStoreWritesAgainOnceItsDiskDoes) {
  files->fail(GetParam(), EIO, 0, 1);
  EXPECT_FALSE(rig.put(bytes).ok());
  ASSERT_TRUE(read_only());
  after(std::chrono::seconds(29));
  EXPECT_TRUE(read_only());
  EXPECT_EQ(files->count(Op::sync_filesystem), 0) << "too early for a trial";
  EXPECT_FALSE(rig.commit({PutState{"k", "v"}}).ok());
  after(std::chrono::seconds(1));
  EXPECT_FALSE(read_only());
  EXPECT_EQ(rig.store->usage().read_only_reason, "");
  EXPECT_FALSE(std::filesystem::exists(rig.options.path + "/TRIAL"));
  EXPECT_EQ(rig.store->admit(1), Admission::keep);
  EXPECT_TRUE(rig.commit({PutState{"k", "v"}}).ok());
  ASSERT_TRUE(rig.put(bytes).ok());
  rig.restart();
  EXPECT_EQ(rig.store->find_state("k"), "v");
  const auto blob = rig.store->open_blob(digest);
  ASSERT_TRUE(blob.ok());
  EXPECT_EQ(test::read_all(*blob), bytes);
  EXPECT_EQ(rig.store->usage().blob_bytes, bytes.size());
}
INSTANTIATE_TEST_SUITE_P(Operations, AfterAFailed, ::testing::Values(Op::sync, Op::sync_dir, Op::commit));

class WhileItFails : public WriteTrialTest, public ::testing::WithParamInterface<Op> {};

TEST_P(WhileItFails, TheStoreStaysReadOnly) {
  turn_read_only();
  files->fail(GetParam(), EIO);
  for (int trial = 1; trial <= 3; ++trial) {
    after(std::chrono::seconds(30));
    EXPECT_TRUE(read_only());
    EXPECT_NE(rig.store->usage().read_only_reason, "") << "the first reason stays";
    EXPECT_GE(files->count(GetParam()), trial);
    EXPECT_FALSE(rig.commit({PutState{"k", "v"}}).ok());
  }
  files->heal();
  after(std::chrono::seconds(30));
  EXPECT_FALSE(read_only());
  EXPECT_FALSE(std::filesystem::exists(rig.options.path + "/TRIAL"));
  EXPECT_TRUE(rig.put(bytes).ok());
  EXPECT_EQ(rig.store->find_state("lost"), std::nullopt) << "what was refused did not come with a later commit";
}
INSTANTIATE_TEST_SUITE_P(Steps, WhileItFails,
                         ::testing::Values(Op::create, Op::write, Op::sync, Op::remove, Op::sync_filesystem,
                                           Op::commit));

TEST_F(WriteTrialTest, SecondFailureIsTriedAgainAsTheFirstWas) {
  for (int i = 0; i < 2; ++i) {
    turn_read_only();
    after(std::chrono::seconds(29));
    EXPECT_TRUE(read_only());
    after(std::chrono::seconds(1));
    EXPECT_FALSE(read_only());
  }
}

// As the kernel does, which tells of an earlier failure once.
class FirstErrorOf : public WriteTrialTest, public ::testing::WithParamInterface<Op> {};

TEST_P(FirstErrorOf, ASyncMayBeAboutThePast) {
  ASSERT_TRUE(rig.put(bytes).ok());
  turn_read_only();
  for (const bool still : {true, false}) {
    files->fail(GetParam(), EIO, 0, still ? 2 : 1);
    after(std::chrono::seconds(30));
    EXPECT_EQ(read_only(), still);
  }
  const auto before = files->count(Op::sync_dir);
  turn_read_only();
  after(std::chrono::seconds(30));
  EXPECT_EQ(files->count(Op::sync_dir) - before, 7) << "each directory: the root, four in it, two in blobs";
}
INSTANTIATE_TEST_SUITE_P(Kinds, FirstErrorOf, ::testing::Values(Op::sync_filesystem, Op::sync_dir));

// The kernel keeps the pages it could not write as if they were written.
TEST_F(WriteTrialTest, NothingIsLeftOfAFileWhoseSyncFailed) {
  files->fail(Op::sync, EIO, 0, 1);
  EXPECT_EQ(rig.put(bytes).error().kind(), ErrorKind::corrupt);
  ASSERT_TRUE(read_only());
  after(std::chrono::seconds(30));
  ASSERT_FALSE(read_only());
  EXPECT_EQ(files_in("fills"), 0U);
  auto fill = rig.begin(digest);
  EXPECT_EQ(rig.open_fill(*fill, bytes.size()).value_or(1), 0U);
}

// It could be read to its end, and is sound: only its record was missing.
TEST_F(WriteTrialTest, FillThatEndedMeanwhileIsPublishedByTheNext) {
  auto fill = rig.begin(digest);
  ASSERT_TRUE(rig.open_fill(*fill, bytes.size()).ok());
  ASSERT_TRUE(rig.append(*fill, bytes).ok());
  ASSERT_TRUE(rig.verify(*fill).value_or(false));
  turn_read_only();
  EXPECT_EQ(rig.publish(*fill).error().kind(), ErrorKind::gone);
  fill.reset();
  after(std::chrono::seconds(30));
  ASSERT_FALSE(read_only());
  fill = rig.begin(digest);
  EXPECT_EQ(rig.open_fill(*fill, bytes.size()).value_or(0), bytes.size()) << "nothing is fetched again";
  EXPECT_TRUE(rig.verify(*fill).value_or(false));
  EXPECT_TRUE(rig.publish(*fill).ok());
}

TEST_F(WriteTrialTest, EvictionWhoseCommitFailedIsDoneOnceMoreAndCountedOnce) {
  constexpr std::uint64_t kSize = 200'000;
  for (unsigned seed = 1; seed <= 3; ++seed) ASSERT_TRUE(rig.put(test::some_bytes(kSize, seed)).ok());
  files->fail(Op::commit, EIO, 0, 1);
  rig.options.max_size = kSize * 3 / 2;
  rig.store->set_limits(rig.options);
  ASSERT_TRUE(rig.loop.run_until([this] { return read_only(); }));
  for (int i = 0; i < 5000 && rig.store->usage().blob_bytes != 3 * kSize; ++i) {  // the writer's thread tells
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
    rig.loop.run_all();
  }
  EXPECT_EQ(rig.store->usage().blob_bytes, 3 * kSize) << "as many as have a record";
  after(std::chrono::seconds(30));
  ASSERT_FALSE(read_only());
  for (int i = 0; i < 5000 && rig.store->usage().blobs != 1; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
    rig.loop.run_all();
  }
  EXPECT_EQ(rig.store->usage().blobs, 1U);
  EXPECT_EQ(rig.store->usage().blob_bytes, kSize);
}

// Its bytes may be among those that the kernel gave up, however well it looks.
TEST_F(WriteTrialTest, UploadThatBeganBeforeIsNotTakenAfter) {
  for (const std::size_t size : {2'000, 300'000, 3'000'000}) {
    const auto part = test::some_bytes(size, 20);
    auto upload = rig.begin_upload("own/app");
    const auto id = upload->id();
    ASSERT_TRUE(rig.add(*upload, part).ok());
    turn_read_only();
    (void)read_only();
    after(std::chrono::seconds(30));
    ASSERT_FALSE(read_only());
    const auto finished = rig.finish(*upload, base::digest_of(part));
    EXPECT_FALSE(finished.ok()) << size;
    EXPECT_FALSE(rig.store->open_blob(base::digest_of(part)).ok()) << size;
    EXPECT_EQ(rig.resume_upload("own/app", id), nullptr) << "it is over";
    upload.reset();
    rig.loop.run_all();
    EXPECT_EQ(files_in("uploads"), 0U);
    EXPECT_EQ(rig.store->usage().fill_bytes, 0U);
    EXPECT_TRUE(rig.push_blob("own/app", part).ok()) << "anew";
  }
}

TEST_F(WriteTrialTest, UploadThatWaitsForItsPublicationIsNotTakenEither) {
  auto upload = rig.begin_upload("own/app");
  ASSERT_TRUE(rig.add(*upload, "little").ok());
  std::optional<base::Result<void>> answer;
  upload->finish(base::digest_of("little"), [&answer](base::Result<void> result) { answer = std::move(result); });
  ASSERT_TRUE(rig.loop.run_one()) << "hashed and handed to the publisher";
  core->health.turn_read_only(some_failure());
  ASSERT_TRUE(core->health.write_again(core->health.epoch()));
  ASSERT_TRUE(rig.loop.run_until([&answer] { return answer.has_value(); }));
  EXPECT_FALSE(answer->ok());
  EXPECT_FALSE(rig.store->open_blob(base::digest_of("little")).ok());
  EXPECT_EQ(files_in("uploads"), 0U);
}

// The kernel tells one sync of what another file lost.
TEST_F(WriteTrialTest, FailureDuringThePublicationTakesItBack) {
  std::vector<std::unique_ptr<Upload>> uploads;
  std::vector<base::Digest> digests;
  for (int i = 0; i < 6; ++i) {
    uploads.push_back(rig.begin_upload("own/app"));
    ASSERT_TRUE(rig.add(*uploads.back(), std::to_string(i)).ok());
    digests.push_back(base::digest_of(std::to_string(i)));
  }
  files->during_sync = [this] {
    core->health.turn_read_only(some_failure());
    ASSERT_TRUE(core->health.write_again(core->health.epoch()));
    files->during_sync = nullptr;
  };
  for (const auto& result : rig.finish_all(uploads, digests)) EXPECT_FALSE(result.ok());
  for (const auto& each : digests) EXPECT_FALSE(std::filesystem::exists(rig.blob_path(each)));
  EXPECT_EQ(rig.store->usage().blob_bytes, 0U);
  EXPECT_EQ(rig.store->usage().fill_bytes, 0U);
}

TEST_F(WriteTrialTest, FailureDuringTheTrialIsTriedAgain) {
  turn_read_only();
  files->during_sync = [this] { core->health.turn_read_only(some_failure()); };
  (void)read_only();
  after(std::chrono::seconds(30));
  EXPECT_TRUE(read_only());
  files->during_sync = nullptr;
  after(std::chrono::seconds(30));
  EXPECT_FALSE(read_only());
}

// A file whose sync failed, and whose removal failed, too.
TEST_F(WriteTrialTest, DoubtfulFillIsNotTakenUpAndHasToGo) {
  files->fail(Op::sync, EIO, 0, 1);
  files->fail(Op::remove, EIO);
  EXPECT_EQ(rig.put(bytes).error().kind(), ErrorKind::corrupt);
  ASSERT_TRUE(read_only());
  ASSERT_EQ(files_in("fills"), 1U);
  after(std::chrono::seconds(30));
  EXPECT_TRUE(read_only()) << "it is still there";
  {
    auto fill = rig.begin(digest);
    EXPECT_EQ(rig.open_fill(*fill, bytes.size()).value_or(0), 0U);
    after(std::chrono::seconds(30));
    EXPECT_TRUE(read_only()) << "or in use";
  }
  rig.loop.run_all();
  files->heal();
  after(std::chrono::seconds(30));
  EXPECT_FALSE(read_only());
  auto fill = rig.begin(digest);
  EXPECT_EQ(rig.open_fill(*fill, bytes.size()).value_or(1), 0U);
}

TEST_F(WriteTrialTest, DoubtfulUploadsAndBlobsHaveToGo) {
  const auto large = test::some_bytes(2'000'000, 30);
  files->fail(Op::sync, EIO, 0, 1);
  files->fail(Op::remove, EIO);
  EXPECT_FALSE(rig.push_blob("own/app", large).ok());
  ASSERT_TRUE(read_only());
  EXPECT_EQ(files_in("uploads"), 1U);
  (void)read_only();
  after(std::chrono::seconds(30));
  EXPECT_TRUE(read_only());
  files->heal();
  after(std::chrono::seconds(30));
  EXPECT_FALSE(read_only());
  EXPECT_EQ(files_in("uploads"), 0U);
  EXPECT_EQ(rig.store->usage().fill_bytes, 0U);

  files->fail(Op::sync_dir, EIO, 2, 1);  // behind the move, and behind what makes the directories
  files->fail(Op::remove, EIO);
  EXPECT_FALSE(rig.push_blob("own/app", "little").ok());
  ASSERT_TRUE(read_only());
  ASSERT_TRUE(std::filesystem::exists(rig.blob_path(base::digest_of("little"))));
  files->heal();
  (void)read_only();
  after(std::chrono::seconds(30));
  EXPECT_FALSE(read_only());
  EXPECT_FALSE(std::filesystem::exists(rig.blob_path(base::digest_of("little"))));
  EXPECT_EQ(rig.store->usage().blob_bytes, 0U);
}

TEST_F(WriteTrialTest, DoubtfulBlobThatWasReplacedIsForgotten) {
  files->fail(Op::sync_dir, EIO, 2, 1);
  files->fail(Op::remove, EIO);
  EXPECT_FALSE(rig.push_blob("own/app", "little").ok());
  ASSERT_TRUE(core->health.write_again(core->health.epoch()));
  EXPECT_EQ(rig.store->usage().blob_bytes, 6U);
  ASSERT_TRUE(rig.push_blob("own/app", "little").ok());
  EXPECT_EQ(rig.store->usage().blob_bytes, 6U) << "one of them";
  turn_read_only();
  files->heal();
  (void)read_only();
  after(std::chrono::seconds(30));
  EXPECT_FALSE(read_only());
  EXPECT_TRUE(rig.store->open_blob(base::digest_of("little")).ok());
}

TEST_F(WriteTrialTest, FailureDuringThePublicationOfAFillTakesItBack) {
  ASSERT_TRUE(rig.put("another").ok());
  auto fill = rig.begin(digest);
  ASSERT_TRUE(rig.open_fill(*fill, bytes.size()).ok());
  ASSERT_TRUE(rig.append(*fill, bytes).ok());
  ASSERT_TRUE(rig.verify(*fill).value_or(false));
  files->during_rename = [this] {
    core->health.turn_read_only(some_failure());
    ASSERT_TRUE(core->health.write_again(core->health.epoch()));
  };
  EXPECT_EQ(rig.publish(*fill).error().kind(), ErrorKind::gone);
  EXPECT_FALSE(read_only());
  files->during_rename = nullptr;
  EXPECT_FALSE(rig.store->open_blob(digest).ok());
  EXPECT_TRUE(rig.publish(*fill).ok()) << "its bytes are sound";
}

TEST_F(WriteTrialTest, FilesystemThatDoesNotStopItselfIsNotTrustedAgain) {
  files->stops = false;
  rig.restart();
  turn_read_only();
  for (int trial = 0; trial < 3; ++trial) {
    after(std::chrono::seconds(30));
    EXPECT_TRUE(read_only());
  }
  EXPECT_EQ(files->count(Op::sync_filesystem), 0);
  rig.restart();
  EXPECT_FALSE(read_only());
}

TEST_F(WriteTrialTest, FullDiskIsNoReasonToStayReadOnly) {
  for (const auto op : {Op::create, Op::write, Op::sync, Op::commit}) {
    turn_read_only();
    files->fail(op, ENOSPC);
    (void)read_only();
    after(std::chrono::seconds(30));
    EXPECT_FALSE(read_only());
    files->heal();
  }
}

TEST_F(WriteTrialTest, IndexThatLmdbGaveUpIsOpenedAgain) {
  ASSERT_TRUE(rig.push_blob("own/app", bytes).ok());
  ASSERT_EQ(test::break_index(rig.options.path), 1);
  EXPECT_FALSE(rig.commit({PutState{"k", "v"}}).ok());
  ASSERT_TRUE(read_only());
  EXPECT_FALSE(rig.store->find_link("own/app", digest)) << "nothing can be read";
  (void)read_only();
  after(std::chrono::seconds(30));
  ASSERT_FALSE(read_only());
  EXPECT_TRUE(rig.store->find_link("own/app", digest));
  EXPECT_FALSE(rig.store->find_state("k"));
  EXPECT_TRUE(rig.commit({PutState{"k", "v"}}).ok());
  rig.restart();
  EXPECT_EQ(rig.store->find_state("k"), "v");
  EXPECT_TRUE(rig.store->open_blob(digest).ok());
}

}  // namespace
}  // namespace shoal::store
