// The scrubber: what it finds, what becomes of it, and that it never reads more than it may in one step.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "support/hosted_rig.h"

namespace shoal::test {
namespace {

// Changes a byte of the file and nothing that stat tells.
void flip_byte(const std::string& path, off_t at) {
  struct ::stat st {};
  ASSERT_EQ(::stat(path.c_str(), &st), 0);
  ASSERT_EQ(::chmod(path.c_str(), 0640), 0);
  const int fd = ::open(path.c_str(), O_RDWR);
  ASSERT_GE(fd, 0);
  char byte = 0;
  ASSERT_EQ(::pread(fd, &byte, 1, at), 1);
  byte = static_cast<char>(byte ^ 1);
  ASSERT_EQ(::pwrite(fd, &byte, 1, at), 1);
  ::close(fd);
  const timespec times[2] = {st.st_atim, st.st_mtim};
  ASSERT_EQ(::utimensat(AT_FDCWD, path.c_str(), times, 0), 0);
}

store::ScrubReport whole_pass(StoreRig& rig, std::uint64_t step = 1 << 20) {
  store::ScrubReport sum;
  for (int i = 0; i < 10'000 && !sum.whole; ++i) {
    const auto report = rig.store->scrub(step);
    sum.blobs += report.blobs;
    sum.bytes += report.bytes;
    sum.damaged += report.damaged;
    sum.renewed += report.renewed;
    sum.names.insert(sum.names.end(), report.names.begin(), report.names.end());
    sum.whole = report.whole;
    EXPECT_LE(report.bytes, step);
  }
  EXPECT_TRUE(sum.whole);
  (void)rig.commit({store::PutState{"a", "b"}});  // whatever the pass submitted is in the index behind this
  return sum;
}

TEST(Scrub, LooksAtEveryBlobAndLeavesSoundOnesAlone) {
  StoreRig rig;
  rig.start();
  for (std::uint64_t i = 0; i < 20; ++i) ASSERT_TRUE(rig.put(some_bytes(1000 * i, i)).ok());
  EXPECT_EQ(whole_pass(rig, 1 << 20).blobs, 20U);
  const auto small_steps = whole_pass(rig, 700);  // less than most blobs
  EXPECT_EQ(small_steps.blobs, 20U);
  EXPECT_EQ(small_steps.bytes, 190'000U);
  EXPECT_EQ(small_steps.damaged, 0U);
  EXPECT_EQ(small_steps.renewed, 0U);
}

TEST(Scrub, ARestartedPassLooksAtEverythingAgain) {
  StoreRig rig;
  rig.start();
  for (std::uint64_t i = 1; i <= 20; ++i) ASSERT_TRUE(rig.put(some_bytes(1000, i)).ok());
  EXPECT_FALSE(rig.store->scrub(9500).whole);  // in the middle of a blob
  rig.store->restart_scrub();
  EXPECT_EQ(whole_pass(rig).blobs, 20U);
}

TEST(Scrub, AnEmptyStoreIsAWholePass) {
  StoreRig rig;
  EXPECT_TRUE(rig.start().scrub(1).whole);
}

TEST(Scrub, DamageGoesIntoQuarantineAndIsNotHeldAnyMore) {
  StoreRig rig;
  rig.start();
  const auto bytes = some_bytes(100'000, 1);
  const auto digest = base::digest_of(bytes);
  ASSERT_TRUE(rig.put(bytes).ok());
  ASSERT_TRUE(rig.put(some_bytes(5000, 2)).ok());
  const auto before = rig.store->usage();
  flip_byte(rig.blob_path(digest), 50'000);
  const auto report = whole_pass(rig);
  EXPECT_EQ(report.damaged, 1U);
  ASSERT_EQ(report.names.size(), 1U);
  EXPECT_EQ(report.names.front(), digest.to_string());
  EXPECT_FALSE(rig.store->find_blob(digest).has_value());
  EXPECT_FALSE(std::filesystem::exists(rig.blob_path(digest)));
  EXPECT_EQ(rig.store->usage().quarantined, 1U);
  EXPECT_EQ(rig.store->usage().blob_bytes, before.blob_bytes - bytes.size());
  ASSERT_TRUE(rig.put(bytes).ok());  // and is healed by the next fill
  EXPECT_EQ(read_all(*rig.store->open_blob(digest)), bytes);
  EXPECT_EQ(whole_pass(rig).damaged, 0U);
}

TEST(Scrub, AMissingFileIsFoundToo) {
  StoreRig rig;
  rig.start();
  const auto bytes = some_bytes(1000, 1);
  ASSERT_TRUE(rig.put(bytes).ok());
  ASSERT_TRUE(std::filesystem::remove(rig.blob_path(base::digest_of(bytes))));
  EXPECT_EQ(whole_pass(rig).damaged, 1U);
  EXPECT_FALSE(rig.store->find_blob(base::digest_of(bytes)).has_value());
}

TEST(Scrub, AFileCopiedBackFromABackupIsGoodAgain) {
  StoreRig rig;
  rig.start();
  const auto bytes = some_bytes(10'000, 1);
  const auto digest = base::digest_of(bytes);
  ASSERT_TRUE(rig.put(bytes).ok());
  const auto path = rig.blob_path(digest);
  std::filesystem::copy_file(path, path + ".copy");
  std::filesystem::rename(path + ".copy", path);
  ASSERT_FALSE(rig.store->open_blob(digest).ok());
  const auto report = whole_pass(rig);
  EXPECT_EQ(report.renewed, 1U);
  EXPECT_EQ(report.damaged, 0U);
  EXPECT_TRUE(rig.store->open_blob(digest).ok());
}

TEST(Scrub, ADamagedBlobThatIsBeingReadIsGivenToNobodyElseAndGoesLater) {
  StoreRig rig;
  rig.start();
  const auto bytes = some_bytes(1000, 1);
  const auto digest = base::digest_of(bytes);
  ASSERT_TRUE(rig.put(bytes).ok());
  {
    const auto reader = rig.store->open_blob(digest);
    ASSERT_TRUE(reader.ok());
    flip_byte(rig.blob_path(digest), 7);
    EXPECT_EQ(whole_pass(rig).damaged, 1U);
    EXPECT_FALSE(rig.store->open_blob(digest).ok());
    EXPECT_TRUE(std::filesystem::exists(rig.blob_path(digest)));
  }
  whole_pass(rig);
  EXPECT_FALSE(rig.store->find_blob(digest).has_value());
  EXPECT_FALSE(std::filesystem::exists(rig.blob_path(digest)));
}

// The file that is being hashed is damaged, and replaced by a push before the hash is done.
TEST(Scrub, LeavesAFileAloneThatWasPutInPlaceMeanwhile) {
  HostedRig rig;
  rig.start();
  const auto bytes = some_bytes(10'000, 1);
  const auto digest = base::digest_of(bytes);
  ASSERT_TRUE(rig.push_blob("team/app", bytes).ok());
  flip_byte(rig.blob_path(digest), 5000);
  auto report = rig.store->scrub(4000);  // part of it
  ASSERT_FALSE(report.whole);
  ASSERT_TRUE(rig.push_blob("team/app", bytes).ok());  // looks, finds the file touched, and replaces it
  while (!report.whole) report = rig.store->scrub(4000);
  (void)rig.commit({store::PutState{"a", "b"}});
  const auto open = rig.store->open_blob(digest);
  ASSERT_TRUE(open.ok());
  EXPECT_EQ(read_all(*open), bytes);
}

TEST(Scrub, ADamagedPushIsHealedByPushingAgain) {
  HostedRig rig;
  rig.start();
  const auto bytes = some_bytes(10'000, 1);
  const auto digest = base::digest_of(bytes);
  ASSERT_TRUE(rig.push_blob("team/app", bytes).ok());
  flip_byte(rig.blob_path(digest), 5000);
  EXPECT_EQ(whole_pass(rig).damaged, 1U);
  EXPECT_FALSE(rig.store->open_blob(digest).ok());
  ASSERT_TRUE(rig.push_blob("team/app", bytes).ok());
  EXPECT_EQ(read_all(*rig.store->open_blob(digest)), bytes);
}

TEST(Scrub, ATimeOfVerificationIsRemembered) {
  StoreRig rig;
  rig.start();
  const auto bytes = some_bytes(1000, 1);
  ASSERT_TRUE(rig.put(bytes).ok());
  const auto first = rig.store->find_blob(base::digest_of(bytes))->verified;
  rig.clock.advance(std::chrono::hours(5));
  whole_pass(rig);
  EXPECT_GT(rig.store->find_blob(base::digest_of(bytes))->verified, first);
}

}  // namespace
}  // namespace shoal::test
