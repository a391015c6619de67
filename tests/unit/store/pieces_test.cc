// Proven pieces of a fill, out of order: what is kept of them, what is counted for them, and who may still write.
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <thread>

#include "open_store.h"
#include "support/store_rig.h"
#include "support/test_file_ops.h"

namespace shoal::store {
namespace {

using base::ErrorKind;
using test::Op;

constexpr std::uint64_t kPiece = 64 * 1024;

struct Files final : test::FailingFileOps {
  base::Result<void> write(const base::File& file, std::string_view written, std::uint64_t offset) override {
    if (auto run = std::exchange(before_write, nullptr)) run();
    return FailingFileOps::write(file, written, offset);
  }
  std::function<void()> before_write;  // the next one
};

class Pieces : public ::testing::Test {
 protected:
  Pieces()
      : rig([files = files](StoreOptions options, base::Executor& disk, base::Clock& clock) {
          return open_store(std::move(options), disk, clock, files);
        }) {
    rig.start();
  }
  ~Pieces() override { leave(); }  // what a fill leaves to be done holds the store until it is
  void begin() {
    fill = rig.begin(digest);
    ASSERT_EQ(fill->pieces(), nullptr) << "not open yet";
    const auto kept = rig.open_fill(*fill, bytes.size());
    ASSERT_TRUE(kept.ok()) << kept.error().message();
    length = *kept;
  }
  [[nodiscard]] std::string_view piece(std::size_t i) const {
    return std::string_view(bytes).substr(i * kPiece, kPiece);
  }
  [[nodiscard]] base::Result<void> place(std::size_t i) { return fill->pieces()->write(i * kPiece, piece(i)); }
  [[nodiscard]] std::uint64_t fill_bytes() const { return rig.store->usage().fill_bytes; }
  [[nodiscard]] std::string fill_path() const { return rig.options.path + "/fills/" + digest.hex(); }
  [[nodiscard]] std::uint64_t size_on_disk() const { return std::filesystem::file_size(fill_path()); }
  void leave() {
    fill.reset();
    rig.loop.run_all();
  }
  // To its end, published and right; nothing of a fill is left.
  void expect_published() {
    ASSERT_TRUE(rig.verify(*fill).value_or(false));
    const auto blob = rig.publish(*fill);
    ASSERT_TRUE(blob.ok()) << blob.error().message();
    EXPECT_EQ(test::read_all(*blob), bytes);
    EXPECT_EQ(rig.store->usage().blob_bytes, bytes.size());
    EXPECT_EQ(fill_bytes(), 0U);
  }

  std::shared_ptr<Files> files = std::make_shared<Files>();
  test::StoreRig rig;
  const std::string bytes = test::some_bytes(8 * kPiece + 777, 21);
  const base::Digest digest = base::digest_of(bytes);
  std::unique_ptr<FillFile> fill;
  std::uint64_t length = 0;
};

TEST_F(Pieces, InOrder) {
  begin();
  for (std::size_t i = 0; i < 9; ++i) {
    ASSERT_TRUE(place(i).ok());
    EXPECT_EQ(rig.absorb(*fill, std::min<std::uint64_t>(bytes.size(), (i + 1) * kPiece)).value_or(0),
              i * kPiece + piece(i).size());
  }
  EXPECT_EQ(fill_bytes(), bytes.size());
  expect_published();
}

TEST_F(Pieces, OutOfOrder) {
  begin();
  for (const std::size_t i : {8U, 3U, 0U, 7U, 1U, 2U, 6U, 4U, 5U}) ASSERT_TRUE(place(i).ok());
  EXPECT_EQ(fill_bytes(), bytes.size());
  EXPECT_EQ(rig.absorb(*fill, bytes.size()).value_or(0), bytes.size());
  expect_published();
}

// The hash would not tell: it has what was there before.
TEST_F(Pieces, WhatIsHashedIsNotWrittenOver) {
  begin();
  ASSERT_EQ(rig.append(*fill, bytes.substr(0, kPiece + 1000)).value_or(0), kPiece + 1000);
  ASSERT_TRUE(place(2).ok());
  auto wrong = std::string(piece(1));
  wrong[3] = static_cast<char>(wrong[3] ^ 1);
  const auto refused = fill->pieces()->write(kPiece, wrong);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().kind(), ErrorKind::corrupt);
  const auto before = fill_bytes();
  ASSERT_TRUE(place(0).ok());  // the same bytes
  EXPECT_EQ(fill_bytes(), before);
  ASSERT_TRUE(place(1).ok());  // half of it is new
  EXPECT_EQ(fill_bytes(), before + kPiece - 1000);
  EXPECT_EQ(rig.absorb(*fill, 3 * kPiece).value_or(0), 3 * kPiece);
  EXPECT_EQ(fill->pieces()->write(kPiece, wrong).error().kind(), ErrorKind::corrupt);
  EXPECT_EQ(rig.append(*fill, bytes.substr(3 * kPiece)).value_or(0), bytes.size());
  expect_published();
}

TEST_F(Pieces, WhatWasKeptIsNotWrittenOverEither) {
  begin();
  ASSERT_EQ(rig.append(*fill, bytes.substr(0, 2 * kPiece)).value_or(0), 2 * kPiece);
  leave();
  begin();
  ASSERT_EQ(length, 2 * kPiece);
  const std::string wrong(kPiece, 'x');
  EXPECT_EQ(fill->pieces()->write(kPiece, wrong).error().kind(), ErrorKind::corrupt);
  EXPECT_EQ(rig.append(*fill, bytes.substr(2 * kPiece)).value_or(0), bytes.size());
  expect_published();
}

TEST_F(Pieces, AppendsAndPiecesMixed) {
  begin();
  ASSERT_TRUE(place(2).ok());
  ASSERT_TRUE(place(3).ok());
  ASSERT_TRUE(place(6).ok());
  EXPECT_EQ(rig.append(*fill, bytes.substr(0, 1000)).value_or(0), 1000U);
  EXPECT_EQ(rig.append(*fill, bytes.substr(1000, 2 * kPiece - 1000)).value_or(0), 2 * kPiece);
  EXPECT_EQ(rig.absorb(*fill, kPiece).value_or(0), 2 * kPiece) << "it is further than that";
  EXPECT_EQ(rig.absorb(*fill, 2 * kPiece).value_or(0), 2 * kPiece);
  EXPECT_EQ(rig.absorb(*fill, 4 * kPiece).value_or(0), 4 * kPiece);
  EXPECT_EQ(rig.append(*fill, bytes.substr(4 * kPiece, 2 * kPiece)).value_or(0), 6 * kPiece);
  EXPECT_EQ(rig.absorb(*fill, 7 * kPiece).value_or(0), 7 * kPiece);
  EXPECT_EQ(rig.append(*fill, bytes.substr(7 * kPiece)).value_or(0), bytes.size());
  EXPECT_EQ(fill_bytes(), bytes.size());
  expect_published();
}

TEST_F(Pieces, WhatIsAskedForBehindAnAbsorbWaitsForIt) {
  begin();
  for (std::size_t i = 0; i < 8; ++i) ASSERT_TRUE(place(i).ok());
  std::vector<std::uint64_t> lengths;
  const auto note = [&lengths](base::Result<std::uint64_t> l) { lengths.push_back(l.value_or(0)); };
  bool right = false;
  fill->absorb(4 * kPiece, note);
  fill->absorb(8 * kPiece, note);
  fill->append(test::shared(bytes.substr(8 * kPiece)), note);
  fill->verify([&right](base::Result<bool> r) { right = r.value_or(false); });
  rig.loop.run_all();
  EXPECT_EQ(lengths, (std::vector<std::uint64_t>{4 * kPiece, 8 * kPiece, bytes.size()}));
  EXPECT_TRUE(right);
}

TEST_F(Pieces, AbsorbReadsAtMostAMebibyteATurn) {
  const auto large = test::some_bytes((3ULL << 20) + 5, 22);
  auto wide = rig.begin(base::digest_of(large));
  ASSERT_TRUE(rig.open_fill(*wide, large.size()).ok());
  ASSERT_TRUE(wide->pieces()->write(0, large).ok());
  bool done = false;
  wide->absorb(large.size(), [&done](base::Result<std::uint64_t> l) { done = l.ok(); });
  int turns = 0;
  while (!done && rig.loop.run_one()) ++turns;
  EXPECT_TRUE(done);
  EXPECT_GE(turns, 4);
  EXPECT_TRUE(rig.verify(*wide).value_or(false));
}

// The fill changed its source in the middle of a piece, and the first one went on a little.
TEST_F(Pieces, PieceOverWhatWasAppendedIsCountedOnceInTheEnd) {
  begin();
  ASSERT_TRUE(rig.append(*fill, bytes.substr(0, kPiece / 2)).ok());
  ASSERT_TRUE(place(0).ok());
  EXPECT_GE(fill_bytes(), kPiece);
  EXPECT_EQ(rig.absorb(*fill, kPiece).value_or(0), kPiece);
  leave();
  EXPECT_EQ(fill_bytes(), kPiece);
  begin();
  EXPECT_EQ(length, kPiece);
  ASSERT_TRUE(place(0).ok());
  ASSERT_TRUE(place(1).ok());
  ASSERT_TRUE(rig.append(*fill, bytes.substr(kPiece)).ok());
  expect_published();
}

TEST_F(Pieces, DroppedFillKeepsItsPrefixOnly) {
  begin();
  ASSERT_TRUE(rig.append(*fill, bytes.substr(0, 1000)).ok());
  ASSERT_TRUE(place(3).ok());
  ASSERT_TRUE(place(8).ok());
  const auto pieces = fill->pieces();
  fill.reset();
  EXPECT_EQ(pieces->write(0, "x").error().kind(), ErrorKind::cancelled) << "at once";
  rig.loop.run_all();
  EXPECT_EQ(pieces->write(0, "x").error().kind(), ErrorKind::cancelled);
  EXPECT_EQ(size_on_disk(), 1000U);
  EXPECT_EQ(fill_bytes(), 1000U);
  begin();
  EXPECT_EQ(length, 1000U);
  ASSERT_TRUE(rig.append(*fill, bytes.substr(1000)).ok());
  expect_published();
}

TEST_F(Pieces, NewFillFindsWhatTheDroppedOneKeptAlthoughItsWorkIsStillQueued) {
  begin();
  ASSERT_TRUE(rig.append(*fill, bytes.substr(0, kPiece)).ok());
  ASSERT_TRUE(place(4).ok());
  fill.reset();
  begin();
  EXPECT_EQ(length, kPiece);
  EXPECT_EQ(fill_bytes(), kPiece);
}

// What was to be taken in was said to be whole; it is hashed by the next fill. What was to follow is not done.
TEST_F(Pieces, FillDroppedWhileItAbsorbsWritesNothingInTheWrongPlace) {
  constexpr std::uint64_t kPlaced = 4ULL << 20;
  const auto gone = [](base::Result<std::uint64_t>) { FAIL() << "the fill is gone"; };
  for (const bool append_waits : {true, false}) {
    const auto large = test::some_bytes(5ULL << 20, append_waits ? 23 : 24);
    const auto name = base::digest_of(large);
    auto wide = rig.begin(name);
    ASSERT_TRUE(rig.open_fill(*wide, large.size()).ok());
    ASSERT_TRUE(wide->pieces()->write(0, std::string_view(large).substr(0, kPlaced)).ok());
    wide->absorb(kPlaced, gone);
    if (append_waits) wide->append(test::shared(large.substr(kPlaced)), gone);
    ASSERT_TRUE(rig.loop.run_one());  // in its midst
    if (!append_waits) wide->append(test::shared(large.substr(kPlaced)), gone);
    wide.reset();
    auto next = rig.begin(name);
    EXPECT_EQ(rig.open_fill(*next, large.size()).value_or(0), kPlaced);
    ASSERT_TRUE(rig.append(*next, large.substr(kPlaced)).ok());
    EXPECT_TRUE(rig.verify(*next).value_or(false));
    next->discard();
    next.reset();
    rig.loop.run_all();
    EXPECT_EQ(fill_bytes(), 0U);
  }
}

TEST_F(Pieces, DiscardedFillTakesThemAlong) {
  begin();
  ASSERT_TRUE(place(5).ok());
  const auto pieces = fill->pieces();
  fill->discard();
  EXPECT_EQ(fill->pieces(), nullptr);
  EXPECT_EQ(pieces->write(0, "x").error().kind(), ErrorKind::cancelled);
  EXPECT_EQ(rig.absorb(*fill, kPiece).error().kind(), ErrorKind::full);
  leave();
  EXPECT_FALSE(std::filesystem::exists(fill_path()));
  EXPECT_EQ(fill_bytes(), 0U);
}

TEST_F(Pieces, WriteBehindPublishIsCancelledAndDoesNotTouchTheBlob) {
  begin();
  const auto pieces = fill->pieces();
  ASSERT_TRUE(pieces->write(0, bytes).ok());
  ASSERT_TRUE(rig.absorb(*fill, bytes.size()).ok());
  expect_published();
  EXPECT_EQ(fill->pieces(), nullptr);
  EXPECT_EQ(pieces->write(0, "wrong").error().kind(), ErrorKind::cancelled);
  leave();
  EXPECT_EQ(pieces->write(0, "wrong").error().kind(), ErrorKind::cancelled);
  const auto blob = rig.store->open_blob(digest);
  ASSERT_TRUE(blob.ok()) << blob.error().message();
  EXPECT_EQ(test::read_all(*blob), bytes);
  EXPECT_EQ(fill_bytes(), 0U);
  EXPECT_EQ(rig.store->usage().blob_bytes, bytes.size());
}

TEST_F(Pieces, PublishedBlobEndsWhereItEndsWhateverWasWrittenBehind) {
  begin();
  ASSERT_TRUE(fill->pieces()->write(bytes.size() + 10'000, "behind the end").ok());
  ASSERT_TRUE(rig.append(*fill, bytes).ok());
  expect_published();
  EXPECT_TRUE(rig.store->open_blob(digest).ok());
}

TEST_F(Pieces, PieceWrittenTwiceIsCountedOnceInTheEnd) {
  begin();
  ASSERT_TRUE(place(2).ok());
  ASSERT_TRUE(place(2).ok());
  ASSERT_TRUE(rig.append(*fill, bytes).ok());
  expect_published();
}

TEST_F(Pieces, RestartBeginsAFileThatOldPiecesDoNotReach) {
  begin();
  ASSERT_TRUE(place(3).ok());
  ASSERT_TRUE(rig.append(*fill, "wrong").ok());
  const auto old = fill->pieces();
  ASSERT_TRUE(rig.wait<void>([&](auto done) { fill->restart("wrong", std::move(done)); }).ok());
  EXPECT_EQ(old->write(0, "wrong").error().kind(), ErrorKind::cancelled);
  EXPECT_EQ(fill_bytes(), 0U);
  EXPECT_EQ(size_on_disk(), 0U);
  ASSERT_NE(fill->pieces(), nullptr);
  EXPECT_NE(fill->pieces(), old);
  EXPECT_EQ(fill->pieces()->file(), fill->file());
  ASSERT_TRUE(place(0).ok());
  ASSERT_TRUE(rig.absorb(*fill, kPiece).ok());
  ASSERT_TRUE(rig.append(*fill, bytes.substr(kPiece)).ok());
  expect_published();
}

TEST_F(Pieces, WriteBehindTheStoresEndIsCancelled) {
  begin();
  const auto pieces = fill->pieces();
  ASSERT_TRUE(pieces->write(3 * kPiece, piece(3)).ok());
  fill.reset();
  rig.close();  // its last work is still queued
  EXPECT_EQ(pieces->write(0, piece(0)).error().kind(), ErrorKind::cancelled);
  rig.start();
  begin();
  EXPECT_EQ(length, 0U);
  EXPECT_EQ(fill_bytes(), 0U);
}

TEST_F(Pieces, AbsorbOfWhatWasNeverWrittenIsCorrupt) {
  begin();
  ASSERT_TRUE(place(0).ok());
  EXPECT_EQ(rig.absorb(*fill, 3 * kPiece).error().kind(), ErrorKind::corrupt);
  ASSERT_TRUE(rig.wait<void>([&](auto done) { fill->restart("short", std::move(done)); }).ok());
  ASSERT_TRUE(rig.append(*fill, bytes).ok());
  expect_published();
}

TEST_F(Pieces, AbsorbOutOfTurnIsABug) {
  fill = rig.begin(digest);
  EXPECT_EQ(rig.absorb(*fill, 1).error().kind(), ErrorKind::bug);
  ASSERT_TRUE(rig.open_fill(*fill).ok());
  ASSERT_TRUE(rig.append(*fill, bytes).ok());
  ASSERT_TRUE(rig.verify(*fill).value_or(false));
  EXPECT_EQ(rig.absorb(*fill, bytes.size()).value_or(0), bytes.size());
  EXPECT_EQ(rig.absorb(*fill, bytes.size() + 1).error().kind(), ErrorKind::bug);
}

// --- room ---

TEST_F(Pieces, FullDiskFailsThePieceAndNotTheFill) {
  begin();
  files->fail(Op::write, ENOSPC, 0, 2);
  EXPECT_EQ(place(4).error().kind(), ErrorKind::full);
  EXPECT_EQ(fill_bytes(), 0U) << "nothing is counted for it";
  files->fail(Op::write, EIO, 0, 1);
  EXPECT_EQ(place(8).error().kind(), ErrorKind::full);
  files->fail(Op::write, ENOSPC, 0, 1);
  EXPECT_TRUE(place(0).ok()) << "asked eviction, then tried again";
  files->heal();
  EXPECT_EQ(fill_bytes(), kPiece);
  EXPECT_EQ(rig.absorb(*fill, kPiece).value_or(0), kPiece);
  ASSERT_TRUE(rig.append(*fill, bytes.substr(kPiece)).ok());
  expect_published();
}

TEST_F(Pieces, WhatAFailedPieceLeftGoesWithTheFill) {
  begin();
  files->fail(Op::write, ENOSPC, 0, 2);
  EXPECT_EQ(place(4).error().kind(), ErrorKind::full);
  files->heal();
  EXPECT_GT(size_on_disk(), 0U);
  leave();
  EXPECT_EQ(size_on_disk(), 0U);
  EXPECT_EQ(fill_bytes(), 0U);
}

TEST_F(Pieces, LimitHoldsForThemAndEvictionMakesRoom) {
  rig.options.max_size = 1'000'000;
  rig.restart();
  for (unsigned i = 0; i < 9; ++i) ASSERT_TRUE(rig.put(test::some_bytes(100'000, 100 + i)).ok());
  begin();
  for (std::size_t i = 0; i < 9; ++i) ASSERT_TRUE(place(8 - i).ok()) << i;
  EXPECT_GT(rig.store->usage().evicted_blobs, 0U);
  EXPECT_LE(rig.store->usage().blob_bytes + fill_bytes(), 1'000'000U);
  ASSERT_TRUE(rig.absorb(*fill, bytes.size()).ok());
  ASSERT_TRUE(rig.verify(*fill).value_or(false));
  ASSERT_TRUE(rig.publish(*fill).ok());
  EXPECT_EQ(fill_bytes(), 0U);
}

TEST_F(Pieces, PieceThatCannotFitIsFullAndLeavesNoTrace) {
  rig.options.max_size = 3 * kPiece;
  rig.restart();
  begin();
  ASSERT_TRUE(place(1).ok());
  ASSERT_TRUE(place(2).ok());
  ASSERT_TRUE(place(0).ok());
  EXPECT_EQ(place(3).error().kind(), ErrorKind::full);
  EXPECT_EQ(fill_bytes(), 3 * kPiece);
  EXPECT_NE(fill->pieces(), nullptr) << "the fill's own append decides";
  EXPECT_EQ(rig.absorb(*fill, 3 * kPiece).value_or(0), 3 * kPiece);
  const auto pieces = fill->pieces();
  EXPECT_EQ(rig.append(*fill, bytes.substr(3 * kPiece)).error().kind(), ErrorKind::full);
  EXPECT_EQ(fill->pieces(), nullptr);
  EXPECT_EQ(pieces->write(0, "x").error().kind(), ErrorKind::cancelled);
  EXPECT_EQ(rig.absorb(*fill, 4 * kPiece).error().kind(), ErrorKind::full);
  EXPECT_TRUE(rig.verify(*fill).value_or(false)) << "the hash saw every byte";
  leave();
  EXPECT_EQ(size_on_disk(), 3 * kPiece);
  EXPECT_EQ(fill_bytes(), 3 * kPiece);
}

// In the kernel's words: it waits for something.
bool is_asleep(pid_t thread) {
  std::ifstream file("/proc/self/task/" + std::to_string(thread) + "/stat");
  std::string line;
  std::getline(file, line);
  const auto state = line.rfind(") ");  // behind its name, which may be anything
  return state != std::string::npos && line[state + 2] == 'S';
}

TEST_F(Pieces, PieceThatWaitedForAnAppendThatFailsIsNoDamage) {
  begin();
  ASSERT_EQ(rig.append(*fill, bytes.substr(0, 1000)).value_or(0), 1000U);
  files->fail(Op::write, ENOSPC);
  std::optional<base::Result<void>> written;
  std::atomic<pid_t> peer_id{0};
  std::atomic<bool> ended{false};
  std::thread peer;
  files->before_write = [&, pieces = fill->pieces()] {
    peer = std::thread([&, pieces] {
      peer_id = ::gettid();
      written = pieces->write(0, piece(0));
      ended = true;
    });
    // One that comes later finds the end of the fill, which is another matter.
    while (!ended && (peer_id == 0 || !is_asleep(peer_id))) std::this_thread::yield();
    EXPECT_FALSE(ended) << "it did not wait";
  };
  EXPECT_EQ(rig.append(*fill, bytes.substr(1000, kPiece - 1000)).error().kind(), ErrorKind::full);
  peer.join();
  ASSERT_TRUE(written && !written->ok());
  EXPECT_EQ(written->error().kind(), ErrorKind::cancelled);
}

TEST_F(Pieces, FillWithoutAFileHasNone) {
  files->fail(Op::create, ENOSPC);
  fill = rig.begin(digest);
  ASSERT_FALSE(rig.open_fill(*fill, bytes.size()).ok());
  EXPECT_EQ(fill->pieces(), nullptr);
  EXPECT_EQ(rig.absorb(*fill, 1).error().kind(), ErrorKind::full);
}

TEST_F(Pieces, FileThatCannotBeCutStaysCounted) {
  begin();
  ASSERT_TRUE(place(3).ok());
  files->fail(Op::truncate, EIO);
  leave();
  EXPECT_EQ(fill_bytes(), size_on_disk());
  fill = rig.begin(digest);
  EXPECT_EQ(rig.open_fill(*fill, bytes.size()).value_or(1), 0U) << "begun anew, since its holes cannot go";
  EXPECT_EQ(fill_bytes(), 0U);
  EXPECT_EQ(size_on_disk(), 0U);
}

// --- write-back ---

struct WriteBacks final : test::FailingFileOps {
  void start_writeback(const base::File&, std::uint64_t offset, std::uint64_t size) override {
    ranges.emplace_back(offset, size);
  }
  std::vector<std::pair<std::uint64_t, std::uint64_t>> ranges;
};

TEST(PieceWriteBack, IsStartedForManyPiecesAtOnceAndLeavesNoneOut) {
  const auto files = std::make_shared<WriteBacks>();
  test::StoreRig rig([&files](StoreOptions options, base::Executor& disk, base::Clock& clock) {
    return open_store(std::move(options), disk, clock, files);
  });
  rig.start();
  auto fill = rig.begin(base::digest_of("large"));
  ASSERT_TRUE(rig.open_fill(*fill).ok());
  const auto mebibyte = test::some_bytes(1ULL << 20, 5);
  for (std::uint64_t i = 20; i > 10; --i) ASSERT_TRUE(fill->pieces()->write(i << 20, mebibyte).ok());
  ASSERT_EQ(files->ranges.size(), 1U);
  EXPECT_EQ(files->ranges[0], (std::pair<std::uint64_t, std::uint64_t>(13ULL << 20, 8ULL << 20)));
  for (std::uint64_t i = 0; i < 11; ++i) ASSERT_TRUE(rig.append(*fill, mebibyte).ok());
  ASSERT_EQ(files->ranges.size(), 2U);
  EXPECT_EQ(files->ranges[1], (std::pair<std::uint64_t, std::uint64_t>(0, 8ULL << 20)));
  EXPECT_EQ(rig.absorb(*fill, 21ULL << 20).value_or(0), 21ULL << 20);
  ASSERT_EQ(files->ranges.size(), 3U);
  EXPECT_EQ(files->ranges[2], (std::pair<std::uint64_t, std::uint64_t>(8ULL << 20, 13ULL << 20)));
  fill.reset();
  rig.loop.run_all();  // what it leaves to be done holds the store until it is
}

}  // namespace
}  // namespace shoal::store
