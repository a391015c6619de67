// What a killed process left, with pieces ahead of the rest: files with holes.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "support/store_rig.h"

namespace shoal::store {
namespace {

constexpr std::uint64_t kBlock = 64 * 1024;

// Leaves `bytes` in a file, but without the ranges in `gaps`.
struct Gap {
  std::uint64_t from, to;
};
void leave_sparse(const std::string& path, const std::string& bytes, const std::vector<Gap>& gaps) {
  const base::File file(::open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0640));
  ASSERT_GE(file.fd(), 0);
  std::uint64_t at = 0;
  const auto write_to = [&](std::uint64_t end) {
    ASSERT_EQ(::pwrite(file.fd(), bytes.data() + at, end - at, static_cast<off_t>(at)), static_cast<ssize_t>(end - at));
  };
  for (const auto& gap : gaps) {
    write_to(gap.from);
    at = gap.to;
  }
  write_to(bytes.size());
  ASSERT_EQ(::ftruncate(file.fd(), static_cast<off_t>(bytes.size())), 0);
}

class KeptWithHoles : public ::testing::Test {
 protected:
  void SetUp() override {
    rig.start();
    rig.close();
    leave_sparse(rig.dir.file("probe"), std::string(4 * kBlock, 'x'), {{kBlock, 2 * kBlock}});
    const base::File probe(::open(rig.dir.file("probe").c_str(), O_RDONLY | O_CLOEXEC));
    if (::lseek(probe.fd(), 0, SEEK_HOLE) != static_cast<off_t>(kBlock)) GTEST_SKIP() << "holes are not told here";
  }
  // Opens what was left; its counts are exact; finishes it.
  void expect_kept(const std::vector<Gap>& gaps, std::uint64_t kept) {
    leave_sparse(fill_path(), bytes, gaps);
    rig.start();
    EXPECT_EQ(rig.store->usage().fill_bytes, bytes.size());
    auto fill = rig.begin(base::digest_of(bytes));
    EXPECT_EQ(rig.open_fill(*fill, bytes.size()).value_or(1), kept);
    EXPECT_EQ(rig.store->usage().fill_bytes, kept);
    EXPECT_EQ(std::filesystem::file_size(fill_path()), kept);
    ASSERT_TRUE(rig.append(*fill, bytes.substr(kept)).ok());
    EXPECT_TRUE(rig.verify(*fill).value_or(false));
    EXPECT_TRUE(rig.publish(*fill).ok());
    EXPECT_EQ(rig.store->usage().fill_bytes, 0U);
    EXPECT_EQ(rig.store->usage().blob_bytes, bytes.size());
  }
  [[nodiscard]] std::string fill_path() const { return rig.options.path + "/fills/" + base::digest_of(bytes).hex(); }
  test::StoreRig rig;
  std::string bytes = test::some_bytes(10 * kBlock + 99, 31);
};

TEST_F(KeptWithHoles, AreCutAtTheFirst) {
  expect_kept({{3 * kBlock, 5 * kBlock}, {7 * kBlock, 8 * kBlock}}, 3 * kBlock);
}

TEST_F(KeptWithHoles, AreCutWhereThePrefixEndedInsideABlock) {
  bytes[3 * kBlock + 1233] = 'x';
  expect_kept({{3 * kBlock + 1234, 5 * kBlock}}, 3 * kBlock + 1234);
}

TEST_F(KeptWithHoles, BeginAnewWhenTheyBeginWithOne) { expect_kept({{0, kBlock}}, 0); }

TEST_F(KeptWithHoles, AreCutAtAHoleThatLastsToTheEnd) { expect_kept({{kBlock, bytes.size()}}, kBlock); }

TEST_F(KeptWithHoles, LoseZerosThatMayBePartOfOne) {
  std::fill_n(bytes.begin() + 2 * kBlock, kBlock, '\0');  // written, and right
  bytes[2 * kBlock - 1] = 'x';
  expect_kept({{3 * kBlock, 4 * kBlock}}, 2 * kBlock);
}

TEST_F(KeptWithHoles, ZerosThatWereWrittenStay) {
  std::fill_n(bytes.begin() + 2 * kBlock, 2 * kBlock, '\0');
  expect_kept({}, bytes.size());
}

TEST_F(KeptWithHoles, GapThatNoFilesystemTellsIsFoundByTheHash) {
  leave_sparse(fill_path(), bytes, {{kBlock + 10, kBlock + 20}});
  rig.start();
  auto fill = rig.begin(base::digest_of(bytes));
  EXPECT_EQ(rig.open_fill(*fill, bytes.size()).value_or(1), bytes.size());
  EXPECT_FALSE(rig.verify(*fill).value_or(true));
  ASSERT_TRUE(rig.wait<void>([&](auto done) { fill->restart("hole", std::move(done)); }).ok());
  EXPECT_EQ(rig.store->usage().fill_bytes, 0U);
  ASSERT_TRUE(rig.append(*fill, bytes).ok());
  EXPECT_TRUE(rig.verify(*fill).value_or(false));
  EXPECT_TRUE(rig.publish(*fill).ok());
}

// Some filesystems store zeros as holes, some backups too: a blob was whole once.
TEST_F(KeptWithHoles, BlobFileIsAdoptedWithItsHoles) {
  std::fill_n(bytes.begin() + 2 * kBlock, 2 * kBlock, '\0');
  const auto digest = base::digest_of(bytes);
  rig.start();
  ASSERT_TRUE(rig.put(bytes).ok());
  std::filesystem::remove(rig.blob_path(digest));
  leave_sparse(rig.blob_path(digest), bytes, {{2 * kBlock, 4 * kBlock}});
  EXPECT_EQ(rig.store->open_blob(digest).error().kind(), base::ErrorKind::corrupt);
  auto fill = rig.begin(digest);
  EXPECT_EQ(rig.open_fill(*fill, bytes.size()).value_or(1), bytes.size());
  EXPECT_TRUE(rig.verify(*fill).value_or(false));
  EXPECT_TRUE(rig.publish(*fill).ok());
  EXPECT_EQ(rig.store->usage().blob_bytes, bytes.size());
}

}  // namespace
}  // namespace shoal::store
