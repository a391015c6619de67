// A follower of two authors that have all of a blob: a HeldBack for the connection to each, as PeerProof has them.
// Every arrival is told to both, and both look for orphans once a second.
#include <gtest/gtest.h>

#include <array>
#include <deque>

#include "fresh_pieces.h"

namespace shoal::p2p {
namespace {

using namespace std::chrono_literals;
using List = std::vector<std::uint32_t>;
constexpr std::uint32_t kPieces = 240;

struct Author {
  explicit Author(Stripe of_us) : stripe(of_us) {}
  const Stripe stripe;  // ours, by its word
  bool met = false;
  HeldBack held{kPieces};
  std::vector<int> named = std::vector<int>(kPieces);
  std::deque<std::uint32_t> asked;
};

class TwoAuthors {
 public:
  TwoAuthors(Stripe first, Stripe second) : authors_{Author(first), Author(second)} {}
  void meet(Author& author) {
    author.met = true;
    for (std::uint32_t piece = 0; piece < kPieces; ++piece) author.held.said_to_have(piece, now_);
    name(author, author.held.wanted({author.stripe, reader_}, good(), now_));
  }
  Author& operator[](std::size_t index) { return authors_[index]; }
  // The next of the pieces asked of it that is not here yet. False: there is none.
  bool bring(Author& author) {
    auto& asked = author.asked;
    while (!asked.empty() && here_[asked.front()]) asked.pop_front();
    if (asked.empty()) return false;
    arrive(asked.front());
    return true;
  }
  void wait(std::chrono::milliseconds time) {
    now_ += time;
    if (now_ < tick_) return;
    tick_ += 1s;
    for (auto& author : authors_) {
      if (!author.met) continue;
      const FreshRule rule{author.stripe, reader_};
      name(author, author.held.wanted(rule, good(), now_));
      name(author, author.held.orphans(rule, good(), elsewhere(author), now_));
    }
  }
  [[nodiscard]] std::uint32_t count() const { return count_; }
  [[nodiscard]] bool here(std::uint32_t piece) const { return here_[piece]; }
  [[nodiscard]] base::SteadyTime::duration time() const { return now_ - kStart; }

 private:
  static constexpr base::SteadyTime kStart{1h};
  [[nodiscard]] HeldBack::Is good() const {
    return [this](std::uint32_t piece) { return here_[piece]; };
  }
  [[nodiscard]] HeldBack::Is elsewhere(const Author& author) const {
    const auto& other = &author == &authors_[0] ? authors_[1] : authors_[0];
    return [&other](std::uint32_t piece) { return other.named[piece] > 0; };
  }
  void name(Author& author, const List& list) {
    for (const auto piece : list) {
      EXPECT_FALSE(here_[piece]) << piece;
      ++author.named[piece];
      author.asked.push_back(piece);
    }
  }
  void arrive(std::uint32_t piece) {
    here_[piece] = true;
    ++count_;
    while (reader_ < kPieces && here_[reader_]) ++reader_;
    for (auto& author : authors_) {
      if (!author.met) continue;
      author.held.arrived(piece, now_);
      name(author, author.held.wanted({author.stripe, reader_}, good(), now_));
      name(author, author.held.help(good(), elsewhere(author)));
    }
  }

  base::SteadyTime now_ = kStart, tick_ = kStart + 1s;
  std::vector<bool> here_ = std::vector<bool>(kPieces);
  std::uint32_t reader_ = 0, count_ = 0;
  std::array<Author, 2> authors_;
};

TEST(TwoAuthors, NoPieceIsAskedOfBothIfBothBringTheirs) {
  TwoAuthors two({0, 2}, {1, 2});
  two.meet(two[0]);
  two.meet(two[1]);
  while (two.count() < kPieces && two.time() < 1min) {
    (void)two.bring(two[0]);
    (void)two.bring(two[1]);
    two.wait(20ms);
  }
  EXPECT_EQ(two.count(), kPieces);
  for (std::uint32_t piece = 1; piece < kPieces; ++piece)  // 0 is everybody's
    EXPECT_EQ(two[0].named[piece] + two[1].named[piece], 1) << piece;
}

// Its stripe, by the word of either, is every second piece and every third.
TEST(TwoAuthors, WhatOneBroughtIsNotAskedOfTheOther) {
  TwoAuthors two({0, 2}, {0, 3});
  two.meet(two[0]);
  for (int i = 0; i < 60; ++i) {
    EXPECT_TRUE(two.bring(two[0]));
    two.wait(1ms);
  }
  std::vector<bool> before;
  for (std::uint32_t piece = 0; piece < kPieces; ++piece) before.push_back(two.here(piece));
  two.meet(two[1]);
  while (two.bring(two[1])) two.wait(1ms);
  for (std::uint32_t piece = 0; piece < kPieces; ++piece) {
    EXPECT_EQ(before[piece], piece < 120 && piece % 2 == 0) << piece;
    EXPECT_TRUE(two.here(piece) || piece % 3 != 0) << piece;
    EXPECT_EQ(two[1].named[piece], before[piece] || !two.here(piece) ? 0 : 1) << piece;
  }
}

TEST(TwoAuthors, WhenOneFallsSilentTheOthersPiecesStillComeAndThenItsOwn) {
  TwoAuthors two({0, 2}, {1, 2});
  two.meet(two[0]);
  two.meet(two[1]);
  for (int i = 0; i < 20; ++i) {
    (void)two.bring(two[0]);
    (void)two.bring(two[1]);
    two.wait(20ms);
  }
  const auto silent = two.time();
  while (two.count() < kPieces && two.time() < 1min) {
    const auto odd_here = [&] {
      std::uint32_t count = 0;
      for (std::uint32_t piece = 1; piece < kPieces; piece += 2) count += two.here(piece) ? 1 : 0;
      return count == kPieces / 2;
    };
    EXPECT_TRUE(two.bring(two[1]) || odd_here()) << "it was asked for nothing while its stripe is not here";
    two.wait(20ms);
  }
  EXPECT_EQ(two.count(), kPieces);
  EXPECT_LT(two.time() - silent, kPieces * 20ms + HeldBack::kMostPatience);
}

}  // namespace
}  // namespace shoal::p2p
