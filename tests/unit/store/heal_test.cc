// What happened to a blob's file behind the store's back is noticed on open, and a fill heals it.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "open_store.h"
#include "support/store_rig.h"
#include "support/test_file_ops.h"

namespace shoal::store {
namespace {

using base::ErrorKind;
namespace fs = std::filesystem;

class Heal : public ::testing::Test {
 protected:
  Heal() {
    rig.start();
    EXPECT_TRUE(rig.put(bytes).ok());
    path = rig.blob_path(digest);
  }
  // Writes over one byte; the times are set apart, for they may be too coarse to tell writes in a row.
  void flip_byte() {
    ::chmod(path.c_str(), 0640);
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(1234);
    file.put(static_cast<char>(bytes[1234] ^ 1));
    file.close();
    fs::last_write_time(path, fs::file_time_type::clock::now() + std::chrono::seconds(3));
  }
  void heal_by_fill(std::uint64_t expect_kept) {
    auto fill = rig.begin(digest);
    const auto kept = rig.open_fill(*fill, bytes.size());
    ASSERT_TRUE(kept.ok()) << kept.error().message();
    EXPECT_EQ(*kept, expect_kept);
    ASSERT_TRUE(rig.append(*fill, bytes.substr(*kept)).ok());
    ASSERT_TRUE(rig.verify(*fill).value_or(false));
    ASSERT_TRUE(rig.publish(*fill).ok());
    EXPECT_EQ(test::read_all(*rig.store->open_blob(digest)), bytes);
    EXPECT_EQ(rig.store->usage().blob_bytes, bytes.size());
    EXPECT_EQ(rig.store->usage().fill_bytes, 0U);
    EXPECT_EQ(rig.store->usage().blobs, 1U);
  }

  test::StoreRig rig;
  const std::string bytes = test::some_bytes(2'500'000, 42);
  const base::Digest digest = base::digest_of(bytes);
  std::string path;
};

TEST_F(Heal, AnUnsoundFileBesideAStaleFillIsReplacedAndCountsOnce) {
  fs::last_write_time(path, fs::file_time_type::clock::now() + std::chrono::seconds(3));
  rig.close();
  std::ofstream(rig.options.path + "/fills/" + digest.hex(), std::ios::binary) << bytes.substr(0, 1000);
  rig.start();
  heal_by_fill(1000);
}

TEST_F(Heal, FlippedByteIsCorruptThenAdoptedFoundWrongAndReplaced) {
  flip_byte();
  EXPECT_EQ(rig.store->open_blob(digest).error().kind(), ErrorKind::corrupt);
  auto fill = rig.begin(digest);
  EXPECT_EQ(rig.open_fill(*fill, bytes.size()).value_or(0), bytes.size());
  EXPECT_FALSE(rig.verify(*fill).value_or(true));
  ASSERT_TRUE(rig.wait<void>([&](auto done) { fill->restart("kept bytes were damaged", std::move(done)); }).ok());
  EXPECT_TRUE(fs::exists(rig.options.path + "/quarantine/" + digest.hex() + ".kept-bytes-were-damaged"));
  ASSERT_TRUE(rig.append(*fill, bytes).ok());
  ASSERT_TRUE(rig.verify(*fill).value_or(false));
  ASSERT_TRUE(rig.publish(*fill).ok());
  EXPECT_EQ(test::read_all(*rig.store->open_blob(digest)), bytes);
  EXPECT_EQ(rig.store->usage().blob_bytes, bytes.size());
  EXPECT_EQ(rig.store->usage().fill_bytes, 0U);
}

TEST_F(Heal, TouchedButSoundFileIsPublishedAgainWithoutFetching) {
  fs::last_write_time(path, fs::file_time_type::clock::now() + std::chrono::seconds(3));
  EXPECT_EQ(rig.store->open_blob(digest).error().kind(), ErrorKind::corrupt);
  heal_by_fill(bytes.size());
}

TEST_F(Heal, ShortFileIsFilledUp) {
  ::chmod(path.c_str(), 0640);
  fs::resize_file(path, 1'000'000);
  EXPECT_EQ(rig.store->open_blob(digest).error().kind(), ErrorKind::corrupt);
  heal_by_fill(1'000'000);
}

TEST_F(Heal, MissingFileIsFetchedAnew) {
  fs::remove(path);
  EXPECT_EQ(rig.store->open_blob(digest).error().kind(), ErrorKind::corrupt);
  heal_by_fill(0);
}

TEST_F(Heal, ReplacedFileOrLinkIsCorrupt) {
  fs::copy_file(path, path + ".copy");
  fs::rename(path + ".copy", path);
  EXPECT_EQ(rig.store->open_blob(digest).error().kind(), ErrorKind::corrupt);
  fs::rename(path, path + ".target");
  fs::create_symlink(path + ".target", path);
  EXPECT_EQ(rig.store->open_blob(digest).error().kind(), ErrorKind::corrupt);
}

TEST_F(Heal, PinOutlivesDamage) {
  ASSERT_TRUE(rig.commit({PinBlob{digest, true}}).ok());
  flip_byte();
  auto fill = rig.begin(digest);
  ASSERT_TRUE(rig.open_fill(*fill, bytes.size()).ok());
  ASSERT_TRUE(rig.wait<void>([&](auto done) { fill->restart("damaged", std::move(done)); }).ok());
  ASSERT_TRUE(rig.append(*fill, bytes).ok());
  ASSERT_TRUE(rig.verify(*fill).value_or(false));
  ASSERT_TRUE(rig.publish(*fill).ok());
  EXPECT_TRUE(rig.store->find_blob(digest)->pinned);
  EXPECT_EQ(rig.store->usage().blob_bytes, bytes.size());
}

// By hand, say.
TEST_F(Heal, PinnedBlobWhoseFileIsGoneCountsOnceHoweverOftenItsFillFails) {
  ASSERT_TRUE(rig.commit({PinBlob{digest, true}}).ok());
  fs::remove(path);
  for (int i = 0; i < 2; ++i) {
    auto fill = rig.begin(digest);
    ASSERT_TRUE(rig.open_fill(*fill, bytes.size()).ok());
    fill->discard();
    fill.reset();
    rig.loop.run_all();
    EXPECT_EQ(rig.store->usage().blob_bytes, bytes.size());
  }
  heal_by_fill(0);
}

TEST_F(Heal, PinnedBlobWhoseFileIsDamagedCountsAsAFillMeanwhile) {
  ASSERT_TRUE(rig.commit({PinBlob{digest, true}}).ok());
  flip_byte();
  auto fill = rig.begin(digest);
  ASSERT_TRUE(rig.open_fill(*fill, bytes.size()).ok());
  EXPECT_EQ(rig.store->usage().blob_bytes, 0U);
  EXPECT_EQ(rig.store->usage().fill_bytes, bytes.size());
  ASSERT_TRUE(rig.wait<void>([&](auto done) { fill->restart("damaged", std::move(done)); }).ok());
  fill->discard();
  fill.reset();
  rig.loop.run_all();
  EXPECT_EQ(rig.store->usage().blob_bytes, bytes.size());
  heal_by_fill(0);
}

TEST_F(Heal, MissingFileBesideAStaleFillCountsOnce) {
  fs::remove(path);
  rig.close();
  std::ofstream(rig.options.path + "/fills/" + digest.hex(), std::ios::binary) << bytes.substr(0, 1000);
  rig.start();
  heal_by_fill(1000);
}

TEST(BlobWithoutRecord, IsAdoptedByTheNextFill) {
  test::StoreRig rig;
  rig.start();
  const auto bytes = test::some_bytes(100'000, 1);
  const auto digest = base::digest_of(bytes);
  const auto path = rig.blob_path(digest);
  fs::create_directories(fs::path(path).parent_path());
  std::ofstream(path, std::ios::binary) << bytes;
  auto fill = rig.begin(digest);
  EXPECT_EQ(rig.open_fill(*fill, bytes.size()).value_or(0), bytes.size());
  EXPECT_TRUE(rig.verify(*fill).value_or(false));
  EXPECT_TRUE(rig.publish(*fill).ok());
  EXPECT_TRUE(rig.store->open_blob(digest).ok());
}

TEST(Quarantine, IsBoundedAndDropsTheOldest) {
  test::StoreRig rig;
  rig.options.quarantine_size = 250;
  rig.start();
  for (int i = 0; i < 4; ++i) {
    auto fill = rig.begin(base::digest_of("never " + std::to_string(i)));
    ASSERT_TRUE(rig.open_fill(*fill).ok());
    ASSERT_TRUE(rig.append(*fill, std::string(i == 3 ? 251 : 100, 'x')).ok());
    ASSERT_TRUE(rig.wait<void>([&](auto done) { fill->restart("wrong", std::move(done)); }).ok());
    fill->discard();
  }
  rig.loop.run_all();
  std::uintmax_t size = 0;
  for (const auto& file : fs::directory_iterator(rig.options.path + "/quarantine")) size += file.file_size();
  EXPECT_EQ(size, 200U);
  EXPECT_EQ(rig.store->usage().quarantined, 4U);
  EXPECT_EQ(rig.store->usage().fill_bytes, 0U);
}

}  // namespace
}  // namespace shoal::store
