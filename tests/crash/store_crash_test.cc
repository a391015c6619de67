// Kills and power cuts: nothing that was acknowledged is lost, nothing wrong is ever served.
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <fstream>

#include "../../src/store/open_store.h"
#include "support/store_rig.h"
#include "support/test_file_ops.h"

namespace shoal::test {
namespace {

// Runs `work` in a process of its own, which ends without any clean-up, as kill -9 ends it.
template <class F>
void in_killed_process(F work) {
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    work();
    ::_exit(::testing::Test::HasFailure() ? 1 : 0);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
}

TEST(StoreKilled, InMidFillResumesFromWhatWasWritten) {
  StoreRig rig;
  const auto bytes = some_bytes(3'000'000, 1);
  const auto digest = base::digest_of(bytes);
  in_killed_process([&] {
    rig.start();
    auto fill = rig.begin(digest);
    EXPECT_TRUE(rig.open_fill(*fill, bytes.size()).ok());
    EXPECT_EQ(rig.append(*fill, bytes.substr(0, 2'000'000)).value_or(0), 2'000'000U);
    ::_exit(0);
  });
  rig.start();
  EXPECT_EQ(rig.store->usage().fill_bytes, 2'000'000U);
  auto fill = rig.begin(digest);
  EXPECT_EQ(rig.open_fill(*fill, bytes.size()).value_or(0), 2'000'000U);
  ASSERT_TRUE(rig.append(*fill, bytes.substr(2'000'000)).ok());
  ASSERT_TRUE(rig.verify(*fill).value_or(false));
  ASSERT_TRUE(rig.publish(*fill).ok());
}

// Cut at the first hole: the next start cannot tell a proven piece from another.
TEST(StoreKilled, WithPiecesAheadResumesFromWhatIsWhole) {
  StoreRig rig;
  const auto bytes = some_bytes(1'000'000, 7);
  const auto digest = base::digest_of(bytes);
  in_killed_process([&] {
    rig.start();
    auto fill = rig.begin(digest);
    EXPECT_TRUE(rig.open_fill(*fill, bytes.size()).ok());
    for (const std::size_t at : {900'000U, 0U, 500'000U, 100'000U}) {
      EXPECT_TRUE(fill->pieces()->write(at, std::string_view(bytes).substr(at, 100'000)).ok());
    }
    EXPECT_EQ(rig.absorb(*fill, 100'000).value_or(0), 100'000U);
    ::_exit(0);
  });
  rig.start();
  EXPECT_EQ(rig.store->usage().fill_bytes, bytes.size()) << "until somebody looks";
  auto fill = rig.begin(digest);
  const auto kept = rig.open_fill(*fill, bytes.size());
  ASSERT_TRUE(kept.ok());
  EXPECT_LE(*kept, 200'000U);
  EXPECT_GE(*kept, 199'990U) << "but for zeros at the end of the last piece";
  EXPECT_EQ(rig.store->usage().fill_bytes, *kept);
  ASSERT_TRUE(rig.append(*fill, bytes.substr(*kept)).ok());
  ASSERT_TRUE(rig.verify(*fill).value_or(false));
  ASSERT_TRUE(rig.publish(*fill).ok());
  EXPECT_EQ(rig.store->usage().fill_bytes, 0U);
}

TEST(StoreKilled, WhatWasAcknowledgedIsThere) {
  StoreRig rig;
  const auto bytes = some_bytes(100'000, 2);
  in_killed_process([&] {
    rig.start();
    EXPECT_TRUE(rig.put(bytes).ok());
    EXPECT_TRUE(rig.commit({store::PutState{"k", "v"}}).ok());
    ::_exit(0);
  });
  rig.start();
  const auto open = rig.store->open_blob(base::digest_of(bytes));
  ASSERT_TRUE(open.ok()) << open.error().message();
  EXPECT_EQ(read_all(*open), bytes);
  EXPECT_EQ(rig.store->find_state("k"), "v");
  EXPECT_EQ(rig.store->usage().blob_bytes, bytes.size());
}

TEST(StoreKilled, BetweenTheMoveAndTheCommitTheFileIsAdopted) {
  StoreRig rig;
  const auto bytes = some_bytes(100'000, 3);
  const auto digest = base::digest_of(bytes);
  in_killed_process([&] {
    struct KillAtCommit final : FailingFileOps {
      base::Result<void> before_index_commit() override { ::_exit(0); }
    };
    auto opened = store::open_store(rig.options, rig.loop, rig.clock, std::make_shared<KillAtCommit>());
    rig.store = std::move(opened).value();
    (void)rig.put(bytes);  // does not come back
    ADD_FAILURE();
  });
  rig.start();
  EXPECT_FALSE(rig.store->open_blob(digest).ok());
  auto fill = rig.begin(digest);
  EXPECT_EQ(rig.open_fill(*fill, bytes.size()).value_or(0), bytes.size());
  EXPECT_TRUE(rig.verify(*fill).value_or(false));
  EXPECT_TRUE(rig.publish(*fill).ok());
}

// What a mirror does, until the power goes at a chosen file operation; then unsynced bytes are zeros and unsynced moves
// and removals may be undone. After each: every record opens to the right bytes or is found out, what was acknowledged
// is there unless eviction took it, and every blob can be had again.
using Put = std::function<base::Result<store::OpenBlob>(StoreRig&, const std::string&)>;

void cut_power_at_any_operation(unsigned seed, const Put& put) {
  constexpr unsigned kBlobs = 6;
  constexpr int kStride = 5;  // every operation is somebody's: one seed, one remainder
  bool through = false;
  for (int cut = 1 + static_cast<int>(seed); !through; cut += kStride) {
    ASSERT_LT(cut, 1000);
    SCOPED_TRACE("power cut at operation " + std::to_string(cut));
    StoreRig rig;
    rig.options.max_size = 100'000;  // some are evicted on the way
    rig.start();                     // the directory is made in peace
    rig.close();
    const auto files = std::make_shared<ForgettingFileOps>(seed * 1000 + static_cast<unsigned>(cut));
    auto opened = store::open_store(rig.options, rig.loop, rig.clock, files);
    ASSERT_TRUE(opened.ok());
    rig.store = std::move(opened).value();
    const int before = files->operations();
    files->cut_power_at(before + cut);
    std::vector<base::Digest> published;
    std::vector<std::string> contents;
    for (unsigned i = 0; i < kBlobs; ++i) {
      contents.push_back(some_bytes(20'000, seed * 100 + i));
      if (put(rig, contents.back()).ok()) published.push_back(base::digest_of(contents.back()));
      rig.loop.run_all();
      rig.clock.advance(std::chrono::minutes(1));
    }
    const auto evicted = rig.store->usage().evicted_blobs;
    through = !files->dark();  // all cuts are tried
    rig.close();
    files->lose_unsynced();

    rig.start();
    unsigned lost = 0;
    for (const auto& bytes : contents) {
      const auto digest = base::digest_of(bytes);
      const auto open = rig.store->open_blob(digest);
      if (open.ok()) {
        EXPECT_EQ(read_all(*open), bytes);
      } else if (std::find(published.begin(), published.end(), digest) != published.end()) {
        ++lost;
      }
    }
    EXPECT_LE(lost, evicted) << "of " << published.size() << " acknowledged";
    rig.options.max_size = 0;
    rig.restart();
    for (const auto& bytes : contents) {
      if (rig.store->open_blob(base::digest_of(bytes)).ok()) continue;
      auto fill = rig.begin(base::digest_of(bytes));
      const auto kept = rig.open_fill(*fill, bytes.size());
      ASSERT_TRUE(kept.ok());
      ASSERT_TRUE(rig.append(*fill, bytes.substr(*kept)).ok());
      if (!rig.verify(*fill).value_or(false)) {
        ASSERT_TRUE(rig.wait<void>([&](auto done) { fill->restart("damaged", std::move(done)); }).ok());
        ASSERT_TRUE(rig.append(*fill, bytes).ok());
        ASSERT_TRUE(rig.verify(*fill).value_or(false));
      }
      ASSERT_TRUE(rig.publish(*fill).ok());
    }
    for (const auto& bytes : contents) {
      const auto open = rig.store->open_blob(base::digest_of(bytes));
      ASSERT_TRUE(open.ok()) << open.error().message();
      EXPECT_EQ(read_all(*open), bytes);
    }
  }
}

// As a fill that has two sources: pieces from the end on, the rest in order; some fills are left half done once.
base::Result<store::OpenBlob> put_in_pieces(StoreRig& rig, const std::string& bytes) {
  constexpr std::uint64_t kPiece = 4096;
  const std::string_view whole = bytes;
  for (const bool half : {true, false}) {
    auto fill = rig.begin(base::digest_of(bytes));
    auto length = rig.open_fill(*fill, bytes.size());
    if (!length.ok()) return length.error();
    const auto pieces = fill->pieces();
    for (const std::uint64_t i : {4U, 1U, 3U}) {
      if (i * kPiece < *length) continue;
      if (auto placed = pieces->write(i * kPiece, whole.substr(i * kPiece, kPiece)); !placed.ok()) {
        return placed.error();
      }
    }
    if (*length < kPiece) length = rig.append(*fill, bytes.substr(*length, kPiece - *length));
    if (length.ok()) length = rig.absorb(*fill, 2 * kPiece);
    if (!length.ok()) return length.error();
    if (half && bytes[0] % 2 == 0) continue;  // left, and gone on with
    if (*length < 3 * kPiece) length = rig.append(*fill, bytes.substr(*length, 3 * kPiece - *length));
    if (length.ok()) length = rig.absorb(*fill, bytes.size());
    if (!length.ok()) return length.error();
    const auto right = rig.verify(*fill);
    if (!right.ok()) return right.error();
    if (!*right) return base::Error(base::ErrorKind::corrupt, "not the digest");
    return rig.publish(*fill);
  }
  return base::Error(base::ErrorKind::bug, "left twice");
}

class PowerCut : public ::testing::TestWithParam<unsigned> {};

TEST_P(PowerCut, AtAnyOperationLosesNothingAcknowledgedAndServesNothingWrong) {
  cut_power_at_any_operation(GetParam(), [](StoreRig& rig, const std::string& bytes) { return rig.put(bytes); });
}

TEST_P(PowerCut, AtAnyOperationOfFillsInPiecesTheSame) { cut_power_at_any_operation(GetParam(), put_in_pieces); }

INSTANTIATE_TEST_SUITE_P(Seeds, PowerCut, ::testing::Range(0U, 5U));

}  // namespace
}  // namespace shoal::test
