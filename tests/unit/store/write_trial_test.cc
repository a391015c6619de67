// A store that a failed sync has turned read-only: when it writes again, and what it holds then.
#include <gtest/gtest.h>

#include <filesystem>

#include "open_store.h"
#include "support/store_rig.h"
#include "support/test_file_ops.h"

namespace shoal::store {
namespace {

using base::ErrorKind;
using test::Op;

class WriteTrialTest : public ::testing::Test {
 protected:
  WriteTrialTest()
      : rig([files = files](StoreOptions options, base::Executor& disk, base::Clock& clock) {
          return open_store(std::move(options), disk, clock, files);
        }) {
    rig.start();
  }
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
  std::shared_ptr<test::FailingFileOps> files = std::make_shared<test::FailingFileOps>();
  test::StoreRig rig;
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
  rig.loop.run_all();
  EXPECT_EQ(rig.store->usage().blob_bytes, 3 * kSize) << "as many as have a record";
  after(std::chrono::seconds(30));
  ASSERT_FALSE(read_only());
  ASSERT_TRUE(rig.loop.run_until([this] { return rig.store->usage().blobs == 1; }));
  EXPECT_EQ(rig.store->usage().blob_bytes, kSize);
}

}  // namespace
}  // namespace shoal::store
