#include "journal.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>

#include <filesystem>
#include <fstream>

#include "dead_letters.h"
#include "record.h"
#include "support/temp_dir.h"

namespace shoal::notify {
namespace {

using Payloads = std::vector<std::string>;
constexpr std::uint64_t kMuch = 1 << 30;

class JournalTest : public ::testing::Test {
 protected:
  JournalTest() { reopen(); }
  // As after a kill: nothing is said to the old one.
  void reopen() {
    journal_ = std::make_unique<Journal>(directory(), /*segment_bytes=*/256);
    ASSERT_TRUE(journal_->open().ok());
  }
  std::string directory() const { return dir_.file("ci"); }
  std::size_t add(const Payloads& payloads, std::uint64_t most = kMuch) {
    const auto taken = journal_->append(payloads, most);
    EXPECT_TRUE(taken.ok());
    return taken.value_or(0);
  }
  Payloads peek(std::size_t records = 1000, std::size_t bytes = 1 << 20) {
    auto found = journal_->peek(records, bytes);
    EXPECT_TRUE(found.ok());
    return found.ok() ? *found : Payloads{};
  }
  // Everything that waits, taken.
  Payloads drain() {
    Payloads all;
    for (auto some = peek(); !some.empty(); some = peek()) {
      EXPECT_TRUE(journal_->ack(some.size()).ok());
      all.insert(all.end(), some.begin(), some.end());
    }
    return all;
  }
  std::vector<std::string> segments() const {
    std::vector<std::string> names;
    for (const auto first : list_segments(directory())) names.push_back(directory() + "/" + segment_name(first));
    return names;
  }
  static void damage(const std::string& path, std::uint64_t at) {
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(static_cast<std::streamoff>(at));
    file.put('\x7f');
  }
  static Payloads numbered(int from, int to) {
    Payloads payloads;
    for (int i = from; i < to; ++i) payloads.push_back("event " + std::to_string(i));
    return payloads;
  }

  test::TempDir dir_;
  std::unique_ptr<Journal> journal_;
};

TEST_F(JournalTest, RecordsLeaveInOrderAndStayUntilTheyAreAcknowledged) {
  EXPECT_EQ(add({"a", "b"}), 2U);
  EXPECT_EQ(add({"c"}), 1U);
  EXPECT_EQ(peek(2), (Payloads{"a", "b"}));
  EXPECT_EQ(peek(2), (Payloads{"a", "b"})) << "still there";
  ASSERT_TRUE(journal_->ack(1).ok());
  EXPECT_EQ(peek(), (Payloads{"b", "c"}));
  EXPECT_EQ(journal_->records(), 2U);
  ASSERT_TRUE(journal_->ack(2).ok());
  EXPECT_EQ(peek(), Payloads{});
  EXPECT_EQ(journal_->records(), 0U);
  EXPECT_EQ(journal_->bytes(), 0U);
}

TEST_F(JournalTest, WhatWaitsIsThereAfterAKillAndWhatWasDoneIsNot) {
  add(numbered(0, 100));
  for (int done = 0; done < 37;) {
    const auto some = peek(37 - static_cast<std::size_t>(done));
    ASSERT_TRUE(journal_->ack(some.size()).ok());
    done += static_cast<int>(some.size());
  }
  reopen();
  EXPECT_EQ(journal_->records(), 63U);
  EXPECT_EQ(drain(), numbered(37, 100));
  add({"new"});
  reopen();
  EXPECT_EQ(drain(), Payloads{"new"}) << "numbers go on where they were";
}

TEST_F(JournalTest, SegmentsThatAreDoneWithGo) {
  for (int i = 0; i < 100; ++i) add({"event " + std::to_string(i)});
  EXPECT_GT(segments().size(), 5U);
  drain();
  EXPECT_LE(segments().size(), 1U);
}

TEST_F(JournalTest, TheBoundHoldsTheNewestOut) {
  const std::uint64_t most = 10 * (kFrameHead + 7);
  EXPECT_EQ(add(numbered(0, 8), most), 8U);
  EXPECT_EQ(add(numbered(8, 10), most), 2U);
  EXPECT_EQ(add({"event x"}, most), 0U);
  EXPECT_EQ(peek(3).size(), 3U);
  ASSERT_TRUE(journal_->ack(3).ok());
  EXPECT_EQ(add({"event x", "event y", "event z", "event w"}, most), 3U);
  reopen();
  EXPECT_EQ(add({"event w"}, most), 0U) << "the bound counts what was there";
  EXPECT_EQ(drain().back(), "event z");
}

TEST_F(JournalTest, AHalfWrittenRecordAtTheEndIsCutAtEveryByte) {
  add({"first", "second"});
  const auto path = segments().at(0);
  const auto whole = std::filesystem::file_size(path);
  const auto one = kFileLine.size() + kFrameHead + 5;
  for (auto size = whole - 1; size > one; --size) {
    std::filesystem::resize_file(path, size);
    reopen();
    EXPECT_EQ(peek(), Payloads{"first"}) << size;
    EXPECT_EQ(std::filesystem::file_size(path), one);
    add({"second"});
    EXPECT_EQ(peek(), (Payloads{"first", "second"}));
    ASSERT_EQ(std::filesystem::file_size(path), whole);
  }
}

TEST_F(JournalTest, ADamagedRecordCostsTheRestOfItsSegmentOnly) {
  for (int i = 0; i < 40; ++i) add({"event " + std::to_string(i)});
  ASSERT_GE(segments().size(), 3U);
  const auto in_first = std::filesystem::file_size(segments()[0]);
  damage(segments()[0], kFileLine.size() + kFrameHead + 7 + 20);  // the second record
  reopen();
  EXPECT_GT(journal_->cut_bytes(), 0U);
  EXPECT_LT(std::filesystem::file_size(segments()[0]), in_first);
  const auto left = drain();
  ASSERT_FALSE(left.empty());
  EXPECT_EQ(left[0], "event 0");
  EXPECT_NE(left[1], "event 1");
  EXPECT_EQ(left.back(), "event 39");
}

TEST_F(JournalTest, DamageWhileItRunsIsSkippedToo) {
  for (int i = 0; i < 40; ++i) add({"event " + std::to_string(i)});
  damage(segments()[0], kFileLine.size() + 2);
  const auto left = drain();
  ASSERT_FALSE(left.empty());
  EXPECT_NE(left.front(), "event 0");
  EXPECT_EQ(left.back(), "event 39");
  EXPECT_EQ(journal_->records(), 0U);
  EXPECT_EQ(journal_->bytes(), 0U);
}

TEST_F(JournalTest, WithoutItsCursorEverythingThatIsStillThereWaitsAgain) {
  add({"a", "b", "c"});
  peek();
  ASSERT_TRUE(journal_->ack(2).ok());
  damage(cursor_path(directory()), 9);
  reopen();
  EXPECT_EQ(drain(), (Payloads{"a", "b", "c"})) << "twice is better than never";
}

TEST_F(JournalTest, FilesOfOthersAndGarbageDoNotKeepItFromOpening) {
  std::ofstream(directory() + "/note.txt") << "hello";
  std::ofstream(directory() + "/q-zzzzzzzzzzzzzzzz.log") << "hello";
  std::ofstream(directory() + "/" + segment_name(5)) << "garbage";
  std::ofstream(directory() + "/" + segment_name(6));
  reopen();
  EXPECT_EQ(journal_->records(), 0U);
  add({"a"});
  reopen();
  EXPECT_EQ(drain(), Payloads{"a"});
  EXPECT_TRUE(std::filesystem::exists(directory() + "/note.txt"));
}

TEST_F(JournalTest, AFullDiskRefusesAndLosesNothingOfWhatWasThere) {
  add({"a", "b"});
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  auto* const old = ::signal(SIGXFSZ, SIG_IGN);
  const rlimit tight{200, before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &tight), 0);
  const auto refused = journal_->append(Payloads{std::string(180, 'x')}, kMuch);
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
  ::signal(SIGXFSZ, old);
  EXPECT_FALSE(refused.ok());
  EXPECT_EQ(peek(), (Payloads{"a", "b"}));
  add({"c"});
  reopen();
  EXPECT_EQ(drain(), (Payloads{"a", "b", "c"}));
}

TEST_F(JournalTest, PeekHoldsToItsBoundsButGivesAtLeastOne) {
  add({std::string(1000, 'x'), std::string(1000, 'y'), "z"});
  EXPECT_EQ(peek(1000, 10).size(), 1U);
  EXPECT_EQ(peek(1000, 1100).size(), 2U);
  EXPECT_EQ(peek(2, 1 << 20).size(), 2U);
}

TEST_F(JournalTest, SyncCleans) {
  EXPECT_TRUE(journal_->sync().ok());
  add({"a"});
  EXPECT_TRUE(journal_->dirty());
  EXPECT_TRUE(journal_->sync().ok());
  EXPECT_FALSE(journal_->dirty());
}

TEST(Names, ASegmentsNameIsItsFirstNumber) {
  EXPECT_EQ(segment_name(0x1f), "q-000000000000001f.log");
  EXPECT_EQ(parse_segment_name(segment_name(UINT64_MAX)), UINT64_MAX);
  for (const char* other : {"q-1f.log", "q-000000000000001F.log", "q-000000000000001f.txt", "cursor", ""}) {
    EXPECT_FALSE(parse_segment_name(other)) << other;
  }
}

TEST(DeadLettersTest, KeepTheNewest) {
  const test::TempDir dir;
  DeadLetters dead(dir.path().string());
  ASSERT_TRUE(dead.open().ok());
  for (int i = 0; i < 20; ++i) {
    ASSERT_TRUE(dead.add({std::to_string(i)}, 8).ok());
    EXPECT_LE(dead.count(), 10U);
  }
  DeadLetters again(dir.path().string());
  ASSERT_TRUE(again.open().ok());
  EXPECT_EQ(again.count(), dead.count());
  const auto left = again.read();
  ASSERT_TRUE(left.ok());
  EXPECT_EQ(left->back(), "19");
  EXPECT_EQ(left->size(), again.count());
  ASSERT_TRUE(again.replace({"x"}).ok());
  EXPECT_EQ(*again.read(), Payloads{"x"});
}

TEST(DeadLettersTest, AHalfWrittenOneIsCut) {
  const test::TempDir dir;
  {
    DeadLetters dead(dir.path().string());
    ASSERT_TRUE(dead.open().ok());
    ASSERT_TRUE(dead.add({"one", "two"}, 8).ok());
  }
  const auto path = dead_path(dir.path().string());
  std::filesystem::resize_file(path, std::filesystem::file_size(path) - 1);
  DeadLetters dead(dir.path().string());
  ASSERT_TRUE(dead.open().ok());
  EXPECT_EQ(*dead.read(), Payloads{"one"});
  ASSERT_TRUE(dead.add({"three"}, 8).ok());
  EXPECT_EQ(*dead.read(), (Payloads{"one", "three"}));
}

}  // namespace
}  // namespace shoal::notify
