// Starting: what is refused, what is cleaned, how fast; and the writer's groups.
#include "open_store.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "core.h"
#include "support/store_rig.h"
#include "support/test_file_ops.h"

namespace shoal::store {
namespace {

namespace fs = std::filesystem;
using base::ErrorKind;

TEST(OpenStore, RefusesALayoutItDoesNotKnow) {
  test::StoreRig rig;
  rig.start();
  rig.close();
  std::ofstream(rig.options.path + "/FORMAT") << "shoal-store 2\n";
  const auto opened = Store::open(rig.options, rig.loop, rig.clock);
  ASSERT_FALSE(opened.ok());
  EXPECT_EQ(opened.error().kind(), ErrorKind::invalid);
  EXPECT_NE(opened.error().message().find(rig.options.path), std::string::npos);
  std::ofstream(rig.options.path + "/FORMAT").close();  // a crash while it was made
  EXPECT_TRUE(Store::open(rig.options, rig.loop, rig.clock).ok());
}

TEST(OpenStore, RefusesADirectoryInUse) {
  test::StoreRig rig;
  rig.start();
  const auto second = Store::open(rig.options, rig.loop, rig.clock);
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.error().kind(), ErrorKind::busy);
  rig.close();
  EXPECT_TRUE(Store::open(rig.options, rig.loop, rig.clock).ok());
}

TEST(OpenStore, RefusesAPathThatIsAFile) {
  test::StoreRig rig;
  std::ofstream(rig.options.path) << "x";
  EXPECT_FALSE(Store::open(rig.options, rig.loop, rig.clock).ok());
}

TEST(OpenStore, DirectoriesAreNotForEveryone) {
  test::StoreRig rig;
  rig.start();
  ASSERT_TRUE(rig.put("x").ok());
  for (const auto& entry : fs::recursive_directory_iterator(rig.options.path)) {
    EXPECT_EQ(entry.status().permissions() & fs::perms::others_all, fs::perms::none) << entry.path();
  }
  const auto mode = fs::status(rig.blob_path(base::digest_of("x"))).permissions();
  EXPECT_EQ(mode & (fs::perms::owner_write | fs::perms::group_write), fs::perms::none);
}

TEST(OpenStore, ClosesWhileDiskWorkIsStillQueued) {
  test::StoreRig rig;
  rig.start();
  auto fill = rig.begin(base::digest_of("x"));
  fill->open(std::nullopt, [](base::Result<std::uint64_t>) { FAIL(); });
  fill.reset();
  rig.restart();  // the queued work finds the old store's gate shut
  rig.loop.run_all();
  EXPECT_TRUE(rig.put("x").ok());
}

class Upkeep : public ::testing::Test {
 protected:
  Upkeep()
      : rig([files = files](StoreOptions options, base::Executor& disk, base::Clock& clock) {
          return open_store(std::move(options), disk, clock, files);
        }) {
    rig.start();
  }
  std::shared_ptr<test::FailingFileOps> files = std::make_shared<test::FailingFileOps>();
  test::StoreRig rig;
};

TEST_F(Upkeep, OldFillsGoAtTheStartAndHourly) {
  const auto kept = [this](const base::Digest& digest) {
    return fs::exists(rig.options.path + "/fills/" + digest.hex());
  };
  const auto leave = [this](const std::string& name) {
    auto fill = rig.begin(base::digest_of(name));
    EXPECT_TRUE(rig.open_fill(*fill).ok());
    EXPECT_TRUE(rig.append(*fill, "some").ok());
  };
  leave("a");
  leave("b");
  files->clock_offset_seconds = 24 * 3600 * 6;
  rig.restart();
  rig.loop.run_all();
  EXPECT_TRUE(kept(base::digest_of("a")));
  auto in_use = rig.begin(base::digest_of("b"));
  files->clock_offset_seconds = 24 * 3600 * 8;
  rig.clock.advance(std::chrono::hours(2));
  (void)rig.store->admit(1);
  rig.loop.run_all();
  EXPECT_FALSE(kept(base::digest_of("a")));
  EXPECT_TRUE(kept(base::digest_of("b"))) << "somebody works on it";
  in_use.reset();
  rig.restart();
  rig.loop.run_all();
  EXPECT_FALSE(kept(base::digest_of("b")));
  EXPECT_EQ(rig.store->usage().fill_bytes, 0U);
}

TEST_F(Upkeep, OrphanedBlobFilesGoAfterAnHour) {
  ASSERT_TRUE(rig.put("recorded").ok());
  const auto orphan = rig.blob_path(base::digest_of("orphan"));
  fs::create_directories(fs::path(orphan).parent_path());
  std::ofstream(orphan) << "orphan";
  const auto sweep = [this] {
    rig.clock.advance(std::chrono::hours(2));
    (void)rig.store->admit(1);
    rig.loop.run_all();
  };
  sweep();
  EXPECT_TRUE(fs::exists(orphan)) << "young: perhaps its record is on the way";
  files->clock_offset_seconds = 3600 * 2;
  sweep();
  EXPECT_FALSE(fs::exists(orphan));
  EXPECT_TRUE(rig.store->open_blob(base::digest_of("recorded")).ok());
}

TEST_F(Upkeep, ManyCommitsShareFewTransactions) {
  int done = 0;
  const int before = files->count(test::Op::commit);
  for (int i = 0; i < 2000; ++i) {
    rig.store->commit({PutState{"k" + std::to_string(i), "v"}}, rig.loop, [&](base::Result<void> result) {
      EXPECT_TRUE(result.ok());
      ++done;
    });
  }
  ASSERT_TRUE(rig.loop.run_until([&] { return done == 2000; }));
  EXPECT_LT(files->count(test::Op::commit) - before, 500);
  EXPECT_EQ(rig.store->find_state("k1999"), "v");
}

TEST_F(Upkeep, ClosingCommitsWhatWaits) {
  for (int i = 0; i < 100; ++i) rig.store->commit({PutState{"k" + std::to_string(i), "v"}}, rig.loop, {});
  rig.restart();
  EXPECT_EQ(rig.store->find_state("k99"), "v");
}

TEST_F(Upkeep, NegativeRecordsDoNotPileUp) {
  for (int i = 0; i < 200; ++i) {
    ASSERT_TRUE(
        rig.commit({PutAbsent{"r", "tag" + std::to_string(i), rig.clock.wall_now() + std::chrono::seconds(1)}}).ok());
    rig.clock.advance(std::chrono::seconds(2));
  }
  int left = 0;
  for (int i = 0; i < 200; ++i) left += rig.store->find_absent("r", "tag" + std::to_string(i)).has_value() ? 1 : 0;
  EXPECT_LT(left, 20);
}

// The start reads no record per blob; the index grows, the start does not.
TEST(OpenStore, StartsFastWithManyRecords) {
  constexpr int kBlobs = 200'000;
  test::StoreRig rig;
  rig.options.index_size = 1ULL << 30;
  rig.start();
  rig.close();
  {
    auto index = LmdbIndex::open(rig.options.path + "/index", rig.options.index_size);
    ASSERT_TRUE(index.ok());
    auto txn = (*index)->write();
    IndexEdit edit(txn, rig.clock.wall_now());
    for (int i = 0; i < kBlobs; ++i) {
      edit.put_blob(base::digest_of(std::to_string(i)), BlobRecord{.size = 1000, .uses = 1});
    }
    edit.save_totals();
    ASSERT_TRUE(txn.commit().ok());
  }
  const auto began = std::chrono::steady_clock::now();
  rig.start();
  const auto took = std::chrono::steady_clock::now() - began;
  EXPECT_LT(took, std::chrono::milliseconds(500));
  EXPECT_EQ(rig.store->usage().blobs, static_cast<std::uint64_t>(kBlobs));
  EXPECT_EQ(rig.store->usage().blob_bytes, 1000ULL * kBlobs);
}

}  // namespace
}  // namespace shoal::store
