// The index opened again beside those who read it.
#include "lmdb_index.h"

#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <thread>

#include "support/temp_dir.h"

namespace shoal::store {
namespace {

using base::ErrorKind;

class Reopened : public ::testing::Test {
 protected:
  Reopened() {
    std::filesystem::create_directory(directory);
    auto opened = LmdbIndex::open(directory, 1 << 20);
    EXPECT_TRUE(opened.ok());
    index = std::move(opened).value();
    write("k", "v");
  }
  void write(std::string_view key, std::string_view value) {
    auto txn = index->write();
    txn.put(Table::state, key, value);
    EXPECT_TRUE(txn.commit().ok());
  }
  test::TempDir dir;
  const std::string directory = dir.file("index");
  std::unique_ptr<LmdbIndex> index;
};

TEST_F(Reopened, HoldsWhatItHeldAndTakesMore) {
  EXPECT_TRUE(index->read().ok());  // leaves a transaction in the pool
  ASSERT_TRUE(index->reopen().ok());
  write("l", "w");
  const auto txn = index->read();
  ASSERT_TRUE(txn.ok());
  EXPECT_EQ(txn.get(Table::state, "k"), "v");
  EXPECT_EQ(txn.get(Table::state, "l"), "w");
}

TEST_F(Reopened, DoesNotTakeTheMapAwayUnderAReader) {
  {
    const auto held = index->read();
    const auto value = held.get(Table::state, "k");
    EXPECT_EQ(index->reopen().error().kind(), ErrorKind::busy);
    EXPECT_EQ(value, "v");
    EXPECT_TRUE(index->read().ok()) << "it is as before";
  }
  EXPECT_TRUE(index->reopen().ok());
}

TEST_F(Reopened, SaysThatNothingIsKnownWhereItCouldNotBeOpened) {
  std::filesystem::rename(directory, directory + ".gone");
  EXPECT_FALSE(index->reopen().ok());
  {
    const auto txn = index->read();
    EXPECT_FALSE(txn.ok());
    EXPECT_EQ(txn.get(Table::state, "k"), std::nullopt);
    EXPECT_FALSE(txn.cursor(Table::state).seek(""));
    EXPECT_EQ(txn.entries(Table::state), 0U);
  }
  EXPECT_FALSE(index->write().commit().ok());
  std::filesystem::rename(directory + ".gone", directory);
  ASSERT_TRUE(index->reopen().ok());
  EXPECT_EQ(index->read().get(Table::state, "k"), "v");
}

TEST_F(Reopened, OftenBesideManyReadersWhoReadRightOrNotAtAll) {
  std::atomic<bool> over{false};
  std::atomic<unsigned> wrong{0}, read{0};
  std::vector<std::thread> readers;
  for (int i = 0; i < 4; ++i) {
    readers.emplace_back([&] {
      while (!over) {
        const auto txn = index->read();
        const auto value = txn.get(Table::state, "k");
        if (!txn.ok()) continue;
        ++read;
        if (value != "v") ++wrong;
      }
    });
  }
  for (int i = 0; i < 50; ++i) {
    EXPECT_TRUE(index->reopen().ok());
    const auto seen = read.load();
    while (read == seen) std::this_thread::yield();
  }
  over = true;
  for (auto& reader : readers) reader.join();
  EXPECT_EQ(wrong, 0U);
}

}  // namespace
}  // namespace shoal::store
