// Pieces from several threads while their fill publishes, begins anew or goes. Run it under the thread sanitizer.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <atomic>
#include <filesystem>
#include <thread>

#include "support/store_rig.h"

namespace shoal::store {
namespace {

constexpr std::size_t kPiece = 16 * 1024, kPieces = 40;
constexpr unsigned kRounds = 30, kWriters = 3;

class PieceThreads : public ::testing::Test {
 protected:
  PieceThreads() {
    auto opened = Store::open({.path = dir.file("s"), .min_free = 0, .index_size = 64ULL << 20}, pool, clock);
    EXPECT_TRUE(opened.ok());
    store = std::move(opened).value();
  }
  template <class T, class F>
  base::Result<T> wait(F start) {
    std::optional<base::Result<T>> answer;
    start([&answer](base::Result<T> result) { answer.emplace(std::move(result)); });
    if (!loop.run_until([&answer] { return answer.has_value(); })) {
      return base::Error(base::ErrorKind::timeout, "no answer in the test");
    }
    return std::move(*answer);
  }
  void begin(const std::string& content) {
    bytes = content;
    digest = base::digest_of(bytes);
    auto begun = store->begin_fill(digest, loop);
    ASSERT_TRUE(begun.ok());
    fill = std::move(begun).value();
    ASSERT_EQ(wait<std::uint64_t>([&](auto done) { fill->open(bytes.size(), std::move(done)); }).value_or(1), 0U);
  }
  // Each writes `content` from another piece on, again and again, until it is told to stop; in time, that is.
  void start_writers(const std::string& content) {
    placed = 0;
    odd_answers = 0;
    for (unsigned w = 0; w < kWriters; ++w) {
      writers.emplace_back([this, w, content, pieces = fill->pieces()] {
        const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
        for (std::size_t n = 0; std::chrono::steady_clock::now() < deadline; ++n) {
          const auto at = (n * 7 + w * 13) % kPieces * kPiece;
          const auto written = pieces->write(at, std::string_view(content).substr(at, kPiece));
          if (written.ok()) {
            ++placed;
            continue;
          }
          if (written.error().kind() != base::ErrorKind::cancelled) ++odd_answers;
          return;
        }
        ++odd_answers;
      });
    }
  }
  void wait_until_placed(std::size_t pieces) {
    while (placed < pieces && odd_answers == 0) std::this_thread::yield();
  }
  void join_writers() {
    for (auto& writer : writers) writer.join();
    writers.clear();
    EXPECT_EQ(odd_answers, 0);
  }
  void drain() {  // what the last fill left to do is done before another opens
    auto begun = store->begin_fill(digest, loop);
    ASSERT_TRUE(begun.ok());
    EXPECT_EQ(wait<std::uint64_t>([&](auto done) { (*begun)->open({}, std::move(done)); }).value_or(1), 0U);
    EXPECT_EQ(store->usage().fill_bytes, 0U);
  }
  [[nodiscard]] base::Result<std::uint64_t> append(std::string what) {
    return wait<std::uint64_t>([&](auto done) { fill->append(test::shared(std::move(what)), std::move(done)); });
  }
  [[nodiscard]] base::Result<OpenBlob> verify_and_publish() {
    const auto right = wait<bool>([&](auto done) { fill->verify(std::move(done)); });
    if (!right.value_or(false)) return base::Error(base::ErrorKind::corrupt, "not the digest");
    return wait<OpenBlob>([&](auto done) { fill->publish("r", std::move(done)); });
  }

  test::TempDir dir;
  base::SystemClock clock;
  test::TestPool pool{2};
  test::QueueLoop loop;
  std::unique_ptr<Store> store;
  std::string bytes;
  base::Digest digest = base::digest_of("");
  std::unique_ptr<FillFile> fill;
  std::vector<std::thread> writers;
  std::atomic<std::size_t> placed{0};
  std::atomic<int> odd_answers{0};
};

TEST_F(PieceThreads, PublishedFileIsNotWrittenAnyMore) {
  std::uint64_t total = 0;
  for (unsigned round = 0; round < kRounds; ++round) {
    begin(test::some_bytes(kPieces * kPiece, round));
    start_writers(bytes);
    wait_until_placed(kWriters * kPieces);  // each of them has been everywhere, nearly
    ASSERT_TRUE(fill->pieces()->write(0, bytes).ok());
    const auto taken_in = wait<std::uint64_t>([&](auto done) { fill->absorb(bytes.size(), std::move(done)); });
    ASSERT_EQ(taken_in.value_or(0), bytes.size());
    const auto blob = verify_and_publish();  // beside the writers
    ASSERT_TRUE(blob.ok()) << blob.error().message();
    join_writers();
    EXPECT_EQ(test::read_all(*blob), bytes);
    EXPECT_TRUE(store->open_blob(digest).ok()) << "touched since it was recorded";
    total += bytes.size();
    EXPECT_EQ(store->usage().fill_bytes, 0U);
    EXPECT_EQ(store->usage().blob_bytes, total);
    fill.reset();
  }
}

TEST_F(PieceThreads, FileBegunAnewIsNotReachedByOldWriters) {
  for (unsigned round = 0; round < kRounds; ++round) {
    begin(test::some_bytes(kPieces * kPiece, 1000 + round));
    start_writers(test::some_bytes(kPieces * kPiece, 2000 + round));  // wrong
    wait_until_placed(10);
    ASSERT_TRUE(wait<void>([&](auto done) { fill->restart("wrong", std::move(done)); }).ok());
    EXPECT_EQ(store->usage().fill_bytes, 0U);
    ASSERT_TRUE(append(bytes).ok());
    join_writers();
    const auto blob = verify_and_publish();
    ASSERT_TRUE(blob.ok()) << blob.error().message();
    EXPECT_EQ(test::read_all(*blob), bytes);
    fill.reset();
  }
}

TEST_F(PieceThreads, DroppedFillKeepsItsPrefix) {
  const auto path = [this] { return dir.file("s") + "/fills/" + digest.hex(); };
  for (unsigned round = 0; round < kRounds; ++round) {
    begin(test::some_bytes(kPieces * kPiece, 3000 + round));
    ASSERT_TRUE(append(bytes.substr(0, 5000)).ok());
    start_writers(bytes);
    wait_until_placed(10);
    fill.reset();
    auto next = store->begin_fill(digest, loop);
    ASSERT_TRUE(next.ok());
    EXPECT_EQ(wait<std::uint64_t>([&](auto done) { (*next)->open(bytes.size(), std::move(done)); }).value_or(0), 5000U);
    EXPECT_EQ(std::filesystem::file_size(path()), 5000U);
    EXPECT_EQ(store->usage().fill_bytes, 5000U);
    join_writers();
    EXPECT_EQ(std::filesystem::file_size(path()), 5000U);
    (*next)->discard();
    next->reset();
    drain();
  }
}

TEST_F(PieceThreads, StoreClosesBesideThem) {
  begin(test::some_bytes(kPieces * kPiece, 4000));
  start_writers(bytes);
  wait_until_placed(10);
  fill.reset();
  store.reset();
  join_writers();
}

}  // namespace
}  // namespace shoal::store
