// Failing disks and full ones: what the store answers, and what still works.
#include <gtest/gtest.h>
#include <sys/mount.h>

#include <filesystem>

#include "open_store.h"
#include "support/store_rig.h"
#include "support/test_file_ops.h"

namespace shoal::store {
namespace {

using base::ErrorKind;
using test::Op;

class Trouble : public ::testing::Test {
 protected:
  Trouble()
      : rig([files = files](StoreOptions options, base::Executor& disk, base::Clock& clock) {
          return open_store(std::move(options), disk, clock, files);
        }) {
    rig.start();
  }
  std::shared_ptr<test::FailingFileOps> files = std::make_shared<test::FailingFileOps>();
  test::StoreRig rig;
  const std::string bytes = test::some_bytes(100'000, 11);
  const base::Digest digest = base::digest_of(bytes);
};

class FailingWrite : public Trouble, public ::testing::WithParamInterface<int> {};

TEST_P(FailingWrite, LosesTheRestButHashesOnAndKeepsWhatIsThere) {
  auto fill = rig.begin(digest);
  ASSERT_TRUE(rig.open_fill(*fill, bytes.size()).ok());
  ASSERT_TRUE(rig.append(*fill, bytes.substr(0, 50'000)).ok());
  files->fail(Op::write, GetParam(), 0, 2);
  EXPECT_EQ(rig.append(*fill, bytes.substr(50'000, 25'000)).error().kind(), ErrorKind::full);
  files->heal();
  EXPECT_EQ(rig.append(*fill, bytes.substr(75'000)).error().kind(), ErrorKind::full) << "a hole must not be filled";
  EXPECT_TRUE(rig.verify(*fill).value_or(false)) << "the hash saw every byte";
  EXPECT_EQ(rig.publish(*fill).error().kind(), ErrorKind::bug);
  std::string kept(50'000, '\0');
  EXPECT_EQ(::pread(fill->file()->fd(), kept.data(), kept.size(), 0), 50'000);
  EXPECT_EQ(kept, bytes.substr(0, 50'000));
  fill->discard();
  fill.reset();
  rig.loop.run_all();
  EXPECT_EQ(rig.store->usage().fill_bytes, 0U);
  EXPECT_TRUE(rig.put(bytes).ok()) << "the store is as good as before";
}
INSTANTIATE_TEST_SUITE_P(Errors, FailingWrite, ::testing::Values(ENOSPC, EDQUOT, EIO));

TEST_F(Trouble, FillWithoutAFileStillHashes) {
  files->fail(Op::create, ENOSPC);
  auto fill = rig.begin(digest);
  EXPECT_EQ(rig.open_fill(*fill, bytes.size()).error().kind(), ErrorKind::full);
  EXPECT_EQ(rig.append(*fill, bytes).error().kind(), ErrorKind::full);
  EXPECT_TRUE(rig.verify(*fill).value_or(false));
  EXPECT_EQ(fill->file(), nullptr);
}

TEST_F(Trouble, FailedFileSyncTurnsTheStoreReadOnly) {
  files->fail(Op::sync, EIO);
  EXPECT_FALSE(rig.put(bytes).ok());
  EXPECT_TRUE(rig.store->usage().read_only);
  EXPECT_NE(rig.store->usage().read_only_reason.find("sync"), std::string::npos);
  EXPECT_GE(rig.store->usage().write_errors, 1U);
  files->heal();
  EXPECT_FALSE(rig.commit({PutState{"k", "v"}}).ok());
  EXPECT_EQ(rig.store->admit(1), Admission::pass_through);
  EXPECT_EQ(rig.store->open_blob(digest).error().kind(), ErrorKind::not_found);
  rig.restart();
  EXPECT_FALSE(rig.store->usage().read_only);
  EXPECT_TRUE(rig.put(bytes).ok());
}

TEST_F(Trouble, FullDiskAtTheSyncIsNotTheEnd) {
  files->fail(Op::sync, ENOSPC, 0, 1);
  EXPECT_EQ(rig.put(bytes).error().kind(), ErrorKind::corrupt);
  EXPECT_FALSE(rig.store->usage().read_only);
  EXPECT_TRUE(rig.put(bytes).ok());
}

// What the kernel could not write it keeps as if it were written, and the next sync says that all is well.
class FailedSync : public Trouble, public ::testing::WithParamInterface<int> {};

TEST_P(FailedSync, LeavesNothingForALaterFillToTakeUp) {
  files->fail(Op::sync, GetParam(), 0, 1);
  EXPECT_FALSE(rig.put(bytes).ok());
  EXPECT_EQ(rig.store->usage().fill_bytes, 0U);
  rig.restart();
  auto fill = rig.begin(digest);
  EXPECT_EQ(rig.open_fill(*fill, bytes.size()).value_or(1), 0U);
}

INSTANTIATE_TEST_SUITE_P(Errors, FailedSync, ::testing::Values(EIO, ENOSPC));

TEST_F(Trouble, FailedIndexCommitTurnsReadOnlyAndLeavesNoBlobBehind) {
  ASSERT_TRUE(rig.commit({PutState{"before", "1"}}).ok());
  files->fail(Op::commit, EIO);
  EXPECT_FALSE(rig.put(bytes).ok());
  EXPECT_TRUE(rig.store->usage().read_only);
  EXPECT_EQ(rig.store->usage().blob_bytes, 0U);
  EXPECT_FALSE(std::filesystem::exists(rig.blob_path(digest)));
  EXPECT_EQ(rig.store->find_state("before"), "1") << "reads go on";
  EXPECT_FALSE(rig.commit({PutState{"after", "1"}}).ok());
}

TEST_F(Trouble, AFillThatEndsInAReadOnlyStoreIsSyncedForItsReaders) {
  for (const bool sound : {true, false}) {
    SCOPED_TRACE(sound);
    files->heal();
    rig.restart();
    auto fill = rig.begin(digest);
    const auto kept = rig.open_fill(*fill, bytes.size());
    ASSERT_TRUE(kept.ok()) << kept.error().message();
    ASSERT_TRUE(rig.append(*fill, bytes.substr(*kept)).ok());
    ASSERT_TRUE(rig.verify(*fill).value_or(false));
    files->fail(Op::commit, EIO, 0, 1);
    ASSERT_FALSE(rig.commit({PutState{"k", "v"}}).ok());
    ASSERT_TRUE(rig.store->usage().read_only);
    if (!sound) files->fail(Op::sync, EIO, 0, 1);
    EXPECT_EQ(rig.publish(*fill).error().kind(), sound ? ErrorKind::gone : ErrorKind::corrupt);
    EXPECT_EQ(rig.store->usage().fill_bytes, sound ? bytes.size() : 0U);
  }
}

TEST_F(Trouble, FullDiskAtTheCommitFailsThatCommitOnly) {
  files->fail(Op::commit, ENOSPC, 0, 2);
  EXPECT_EQ(rig.commit({PutState{"k", "v"}}).error().kind(), ErrorKind::full);
  EXPECT_FALSE(rig.store->usage().read_only);
  EXPECT_TRUE(rig.commit({PutState{"k", "v"}}).ok());
}

TEST_F(Trouble, FailedMoveKeepsTheFill) {
  files->fail(Op::rename, EACCES, 0, 1);
  EXPECT_FALSE(rig.put(bytes).ok());
  EXPECT_EQ(rig.store->usage().fill_bytes, bytes.size());
  EXPECT_TRUE(rig.put(bytes).ok()) << "resumed";
  EXPECT_EQ(rig.store->usage().fill_bytes, 0U);
}

// Clients can use up all descriptors; that is over when they leave.
class NoDescriptors : public Trouble, public ::testing::WithParamInterface<int> {};

TEST_P(NoDescriptors, AtTheSyncOfADirectoryFailThatPublishOnly) {
  files->fail(Op::sync_dir, EMFILE, GetParam(), 1);
  EXPECT_EQ(rig.put(bytes).error().kind(), ErrorKind::busy);
  EXPECT_FALSE(rig.store->usage().read_only);
  EXPECT_EQ(rig.store->usage().fill_bytes, bytes.size());
  auto fill = rig.begin(digest);
  EXPECT_EQ(rig.open_fill(*fill, bytes.size()).value_or(0), bytes.size()) << "nothing is fetched again";
  EXPECT_TRUE(rig.verify(*fill).value_or(false));
  EXPECT_TRUE(rig.publish(*fill).ok());
  EXPECT_EQ(rig.store->usage().fill_bytes, 0U);
  EXPECT_EQ(rig.store->usage().blob_bytes, bytes.size());
}
INSTANTIATE_TEST_SUITE_P(EachDirectory, NoDescriptors, ::testing::Values(0, 1, 2));

TEST_F(Trouble, NoDescriptorsForAKeptFileDoNotCostIt) {
  ASSERT_TRUE(rig.put(bytes).ok());
  std::filesystem::last_write_time(rig.blob_path(digest), std::filesystem::file_time_type::clock::now());  // to adopt
  files->fail(Op::open, ENFILE, 0, 1);
  {
    auto fill = rig.begin(digest);
    EXPECT_EQ(rig.open_fill(*fill, bytes.size()).error().kind(), ErrorKind::busy);
    EXPECT_EQ(rig.append(*fill, bytes).error().kind(), ErrorKind::full);
    EXPECT_TRUE(rig.verify(*fill).value_or(false)) << "it hashes all the same";
    fill->discard();
  }
  rig.loop.run_all();
  EXPECT_EQ(rig.store->usage().fill_bytes, bytes.size());
  auto fill = rig.begin(digest);
  EXPECT_EQ(rig.open_fill(*fill, bytes.size()).value_or(0), bytes.size());
  EXPECT_TRUE(rig.verify(*fill).value_or(false));
  EXPECT_TRUE(rig.publish(*fill).ok());
}

TEST_F(Trouble, LowFreeSpaceIsHonoured) {
  rig.options.min_free = 1'000'000;
  files->free = 1'050'000;
  rig.restart();
  EXPECT_EQ(rig.store->admit(200'000), Admission::pass_through);
  EXPECT_EQ(rig.store->admit(40'000), Admission::keep);
  EXPECT_EQ(rig.put(bytes).error().kind(), ErrorKind::full);
  EXPECT_TRUE(rig.put(test::some_bytes(10'000, 12)).ok());
}

TEST_F(Trouble, FullIndexDropsOldManifestsAndKeepsWorking) {
  rig.options.index_size = 2ULL << 20;
  rig.options.path = rig.dir.file("small");
  rig.restart();
  const auto pinned = base::digest_of("0");
  for (int i = 0; i < 400; ++i) {
    const auto d = base::digest_of(std::to_string(i));
    std::vector<Write> writes{PutManifest{"r", d, "m", test::shared(test::some_bytes(20'000, static_cast<unsigned>(i))),
                                          rig.clock.wall_now()},
                              PutTag{"r", std::to_string(i), {d, {}, {}}}};
    if (i == 0) writes.push_back(PinBlob{d, true});
    const auto result = rig.commit(std::move(writes));
    ASSERT_TRUE(result.ok()) << i << ": " << result.error().message();
    rig.clock.advance(std::chrono::seconds(1));
  }
  const auto usage = rig.store->usage();
  EXPECT_LT(usage.manifests, 100U);
  EXPECT_LE(usage.index_used, usage.index_size);
  EXPECT_TRUE(rig.store->find_manifest(base::digest_of("399")));
  EXPECT_TRUE(rig.store->find_manifest(pinned));
  EXPECT_LT(usage.tags, 150U) << "tags go with their manifests";
  EXPECT_FALSE(usage.read_only);
}

TEST_F(Trouble, WriteLargerThanTheIndexIsFullAndHarmsNothing) {
  rig.options.index_size = 2ULL << 20;
  rig.options.path = rig.dir.file("small");
  rig.restart();
  const auto big = test::shared(std::string(3ULL << 20, 'x'));
  EXPECT_EQ(rig.commit({PutManifest{"r", base::digest_of(*big), "m", big, {}}}).error().kind(), ErrorKind::full);
  EXPECT_FALSE(rig.store->usage().read_only);
  EXPECT_TRUE(rig.commit({PutState{"k", "v"}}).ok());
}

// A filesystem that is really full; needs root.
TEST(RealFullDisk, ServesOnAndStillKeepsSmallBlobs) {
  test::StoreRig rig;
  const auto mount_point = rig.dir.file("tmpfs");
  std::filesystem::create_directory(mount_point);
  if (::mount("none", mount_point.c_str(), "tmpfs", 0, "size=8m") != 0) {
    GTEST_SKIP() << "cannot mount a tmpfs (not root?): " << std::strerror(errno);
  }
  rig.options.path = mount_point + "/store";
  rig.start();
  ASSERT_TRUE(rig.put(test::some_bytes(1'000'000, 1)).ok());
  {
    const auto large = test::some_bytes(20'000'000, 2);
    auto fill = rig.begin(base::digest_of(large));
    ASSERT_TRUE(rig.open_fill(*fill, large.size()).ok());
    bool full = false;
    for (std::size_t at = 0; at < large.size(); at += 1'000'000) {
      full = !rig.append(*fill, large.substr(at, 1'000'000)).ok() || full;
    }
    EXPECT_TRUE(full);
    EXPECT_TRUE(rig.verify(*fill).value_or(false));
    fill->discard();
  }
  rig.loop.run_all();
  EXPECT_TRUE(rig.put(test::some_bytes(100'000, 3)).ok());
  EXPECT_FALSE(rig.store->usage().read_only);
  rig.close();
  EXPECT_EQ(::umount2(mount_point.c_str(), MNT_DETACH), 0);
}

}  // namespace
}  // namespace shoal::store
