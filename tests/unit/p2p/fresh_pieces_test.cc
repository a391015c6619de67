#include "fresh_pieces.h"

#include <gtest/gtest.h>

namespace shoal::p2p {
namespace {

using List = std::vector<std::uint32_t>;
constexpr base::SteadyTime kStart{std::chrono::hours(1)};
const HeldBack::Is kNone = [](std::uint32_t) { return false; };

TEST(FreshPieces, OnlyWhatAnAuthorSaysIsHeldBack) {
  FreshPieces fresh;
  EXPECT_FALSE(fresh.rule("a"));
  fresh.follow("a", {1, 4});
  fresh.follow("b", {2, 3});
  fresh.set_reader(7);
  ASSERT_TRUE(fresh.rule("a") && fresh.rule("b"));
  EXPECT_EQ(fresh.rule("a")->stripe.rank, 1u);
  EXPECT_EQ(fresh.rule("b")->stripe.of, 3u);
  EXPECT_EQ(fresh.rule("b")->reader, 7u);
  EXPECT_FALSE(fresh.rule("c"));  // another follower
  for (std::size_t i = 0; i < FreshPieces::kMostAuthors; ++i) fresh.follow("n" + std::to_string(i), {0, 1});
  EXPECT_FALSE(fresh.rule("a"));
}

TEST(FreshPieces, AnAuthorThatSpreadsNoMoreIsForgotten) {
  FreshPieces fresh;
  for (const char* author : {"a", "b", "c"}) fresh.follow(author, {1, 4});
  fresh.forget("a");
  EXPECT_FALSE(fresh.rule("a"));
  EXPECT_TRUE(fresh.rule("b") && fresh.rule("c"));
  fresh.forget("nobody");
  fresh.forget_all();
  EXPECT_FALSE(fresh.rule("b") || fresh.rule("c"));
  fresh.follow("a", {2, 4});  // it fetches again
  EXPECT_EQ(fresh.rule("a")->stripe.rank, 2u);
}

TEST(HeldBack, AFetchersWordAboutTheOwnStripeIsHeardAndAboutOthersNot) {
  HeldBack held(20);
  const FreshRule rule{{1, 4}, 0};
  for (std::uint32_t piece = 0; piece < 20; ++piece)
    EXPECT_EQ(held.said(piece, rule, kStart), piece != 0 && piece % 4 != 1) << piece;  // 0: clients wait for it
  EXPECT_TRUE(held.wanted(rule, kNone, kStart).empty());
  EXPECT_FALSE(held.said(5, rule, kStart));  // once more
  EXPECT_TRUE(held.said(6, rule, kStart));
}

TEST(HeldBack, TheOnlyFollowerHearsOfEverythingSomeAtATime) {
  HeldBack held(200);
  const FreshRule rule{{0, 1}, 0};
  for (std::uint32_t piece = 0; piece < 200; ++piece) held.said_to_have(piece, kStart);
  List all;
  while (all.size() < 200) {
    const auto list = held.wanted(rule, kNone, kStart);
    ASSERT_FALSE(list.empty());
    ASSERT_LE(list.size(), HeldBack::kHeard);
    EXPECT_TRUE(held.wanted(rule, kNone, kStart).empty());  // as many as may be are on their way
    for (const auto piece : list) {
      EXPECT_FALSE(held.said(piece, rule, kStart));
      held.arrived(piece, kStart);
    }
    all.insert(all.end(), list.begin(), list.end());
  }
  EXPECT_EQ(all.size(), 200u);
  EXPECT_TRUE(held.wanted(rule, kNone, kStart).empty());
}

TEST(HeldBack, WhatIsHereIsNotAskedForAndAStripeThatChangesIsLookedAtAgain) {
  HeldBack held(12);
  for (std::uint32_t piece = 0; piece < 12; ++piece) held.said_to_have(piece, kStart);
  const HeldBack::Is third = [](std::uint32_t piece) { return piece == 2; };
  EXPECT_EQ(held.wanted({{2, 4}, 0}, third, kStart), (List{0, 6, 10}));
  EXPECT_EQ(held.wanted({{2, 6}, 0}, third, kStart), (List{8}));  // 2 is here
  EXPECT_TRUE(held.wanted({{1, 2}, 0}, third, kStart).empty());   // as many as may be at first are on their way
  for (const std::uint32_t piece : {0, 6, 8, 10}) held.arrived(piece, kStart);
  EXPECT_EQ(held.wanted({{1, 2}, 0}, third, kStart), (List{1, 3, 5, 7, 9, 11}));
}

TEST(HeldBack, WhatNobodyBringsIsAskedForByADeputyFirstAndThenByEverybody) {
  const auto orphans = [](std::uint32_t rank, base::SteadyTime now, const HeldBack::Is& elsewhere) {
    HeldBack held(400);
    for (std::uint32_t piece = 0; piece < 400; ++piece) (void)held.said(piece, {{rank, 4}, 8}, kStart);
    (void)held.wanted({{rank, 4}, 8}, kNone, kStart);
    held.arrived(0, now);
    auto list = held.orphans({{rank, 4}, 8}, kNone, elsewhere, now);
    EXPECT_TRUE(held.orphans({{rank, 4}, 8}, kNone, elsewhere, now).empty());  // asked
    return list;
  };
  std::vector<int> asked(400);
  for (std::uint32_t rank = 0; rank < 4; ++rank) {
    EXPECT_TRUE(orphans(rank, kStart + HeldBack::kDeputy - std::chrono::milliseconds(1), kNone).empty());
    for (const auto piece : orphans(rank, kStart + HeldBack::kDeputy, kNone)) {
      EXPECT_NE(piece % 4, rank);
      ++asked[piece];
    }
    const auto later = orphans(rank, kStart + HeldBack::kAll, kNone);
    EXPECT_EQ(later.size(), HeldBack::kWindow * 3 / 4);
    EXPECT_GE(later.front(), 8u);
    EXPECT_LT(later.back(), 8 + HeldBack::kWindow);
    EXPECT_TRUE(orphans(rank, kStart + HeldBack::kAll, [](std::uint32_t) { return true; }).empty());
  }
  for (const int times : asked) EXPECT_LE(times, 1);
  EXPECT_EQ(std::count(asked.begin(), asked.end(), 1), static_cast<int>(HeldBack::kWindow));
}

// A peer that lies about what it has, or is silent, keeps nothing from us.
TEST(HeldBack, WhatTheReaderNeedsNextIsAskedForWhenNothingComes) {
  const HeldBack::Is everything = [](std::uint32_t) { return true; };
  const FreshRule rule{{1, 2}, 10};
  const HeldBack::Is before_14 = [](std::uint32_t piece) { return piece < 14; };
  HeldBack held(100);
  for (std::uint32_t piece = 0; piece < 100; ++piece) held.said_to_have(piece, kStart);
  (void)held.wanted(rule, before_14, kStart);
  held.arrived(13, kStart);
  EXPECT_TRUE(held.orphans(rule, before_14, everything, kStart).empty());
  EXPECT_EQ(held.orphans(rule, before_14, everything, kStart + HeldBack::kNothingCame), (List{14, 16, 18, 20}));
  EXPECT_EQ(held.orphans(rule, before_14, everything, kStart + 2 * HeldBack::kNothingCame).back(), 14U + 31U);
  EXPECT_EQ(held.orphans(rule, before_14, everything, kStart + 3 * HeldBack::kNothingCame).back(), 99U);

  HeldBack other(100);  // others come, but not the one that is needed
  for (std::uint32_t piece = 0; piece < 100; ++piece) other.said_to_have(piece, kStart);
  (void)other.wanted(rule, before_14, kStart);
  for (int tick = 0; tick < 2; ++tick) {
    const auto now = kStart + tick * HeldBack::kStillMissing;
    other.arrived(51, now);
    EXPECT_EQ(other.orphans(rule, before_14, everything, now).empty(), tick == 0);
  }
}

// Of what a seed has nobody has anything at first: that is no reason to ask it for all of it.
TEST(HeldBack, AStripeThatFallsBehindIsAskedForByDeputiesFirstAndThenByEverybody) {
  constexpr std::uint32_t kPieces = 40, kOf = 4;
  std::vector<std::uint32_t> asked(kPieces);
  for (std::uint32_t rank = 1; rank < kOf; ++rank) {  // the owner of stripe 0 brings nothing
    const FreshRule rule{{rank, kOf}, kPieces};       // nobody reads
    std::vector<bool> here(kPieces);
    const HeldBack::Is good = [&](std::uint32_t piece) { return here[piece]; };
    HeldBack held(kPieces);
    for (std::uint32_t piece = 0; piece < kPieces; ++piece) held.said_to_have(piece, kStart);
    (void)held.wanted(rule, good, kStart);
    auto now = kStart;
    for (std::uint32_t row = 0; row < StripePace::kPieces; ++row, now += StripePace::kLeast / 2) {
      EXPECT_TRUE(held.orphans(rule, good, kNone, now).empty());
      for (std::uint32_t stripe = 1; stripe < kOf; ++stripe) {
        here[row * kOf + stripe] = true;
        held.arrived(row * kOf + stripe, now);
      }
    }
    const auto began = now;
    const auto list = held.orphans(rule, good, kNone, now);
    EXPECT_FALSE(list.empty());
    for (const auto piece : list) ++asked[piece];
    held.arrived(16 + rank, now += HeldBack::kNothingCame - std::chrono::milliseconds(1));
    EXPECT_TRUE(held.orphans(rule, good, kNone, now).empty());
    now = began + HeldBack::kBehind;
    held.arrived(20 + rank, now);
    const auto rest = held.orphans(rule, good, kNone, now);
    EXPECT_EQ(list.size() + rest.size(), 9u);  // piece 0 is everybody's from the beginning on
  }
  for (std::uint32_t piece = 0; piece < kPieces; ++piece)
    EXPECT_EQ(asked[piece], piece > 0 && piece % kOf == 0) << piece;
}

// It reaches the seed only, or those whose the other stripes are have gone.
TEST(HeldBack, WhoGetsNothingFromAnybodyElseGetsItAllFromTheSeedSoon) {
  constexpr std::uint32_t kPieces = 512, kOf = 16;
  std::vector<bool> here(kPieces);
  std::uint32_t reader = 0, count = 0;
  const HeldBack::Is good = [&](std::uint32_t piece) { return here[piece]; };
  HeldBack held(kPieces);
  for (std::uint32_t piece = 0; piece < kPieces; ++piece) held.said_to_have(piece, kStart);
  auto now = kStart;
  const auto take = [&](List list) {  // what is named comes at once
    while (!list.empty()) {
      List more;
      for (const auto piece : list) {
        here[piece] = true;
        ++count;
        held.arrived(piece, now);
        while (reader < kPieces && here[reader]) ++reader;
        for (const auto next : held.wanted({{3, kOf}, reader}, good, now)) more.push_back(next);
        for (const auto next : held.help(good, kNone)) more.push_back(next);
      }
      list = std::move(more);
    }
  };
  take(held.wanted({{3, kOf}, reader}, good, now));
  for (int seconds = 0; seconds < 3; ++seconds)
    take(held.orphans({{3, kOf}, reader}, good, kNone, now += std::chrono::seconds(1)));
  EXPECT_EQ(count, kPieces);
  EXPECT_EQ(reader, kPieces);
}

TEST(HeldBack, ANewConnectionIsNotStuck) {
  HeldBack held(100);
  const FreshRule rule{{1, 4}, 0};
  for (std::uint32_t piece = 0; piece < 100; ++piece) held.said_to_have(piece, kStart);
  (void)held.wanted(rule, kNone, kStart);
  EXPECT_TRUE(held.orphans(rule, kNone, kNone, kStart + HeldBack::kNothingCame / 2).empty());
  EXPECT_FALSE(held.orphans(rule, kNone, kNone, kStart + HeldBack::kNothingCame).empty());
}

TEST(HeldBack, NamesNoMoreAtOnceThanMayBeAnnouncedInAnswer) {
  HeldBack held(20'000);
  const FreshRule rule{{1, 4}, 0};
  for (std::uint32_t piece = 0; piece < 20'000; ++piece) held.said_to_have(piece, kStart);
  (void)held.wanted(rule, kNone, kStart);
  for (int seconds = 1; seconds < 12; ++seconds) {
    EXPECT_LE(held.orphans(rule, kNone, kNone, kStart + std::chrono::seconds(seconds)).size(), HeldBack::kMostAtOnce);
  }
}

TEST(HeldBack, WhoHasItsStripeHelpsWithTheEndOfThoseThatHaveMuchLeft) {
  constexpr std::uint32_t kPieces = 60, kOf = 3;
  std::vector<bool> here(kPieces), there(kPieces);
  const HeldBack::Is good = [&](std::uint32_t piece) { return here[piece]; };
  const HeldBack::Is elsewhere = [&](std::uint32_t piece) { return there[piece]; };
  HeldBack held(kPieces);
  for (std::uint32_t piece = 0; piece < kPieces; ++piece) held.said_to_have(piece, kStart);
  const auto arrive = [&](std::uint32_t piece) {
    here[piece] = true;
    held.arrived(piece, kStart);
    (void)held.wanted({{0, kOf}, 0}, good, kStart);
  };
  (void)held.wanted({{0, kOf}, 0}, good, kStart);
  for (std::uint32_t piece = 0; piece < kPieces; piece += kOf) {
    EXPECT_TRUE(held.help(good, elsewhere).empty());
    arrive(piece);
  }
  for (std::uint32_t piece = 2; piece < kPieces; piece += kOf) there[piece] = piece < kPieces - kOf * 3;  // little left
  std::vector<std::uint32_t> helped;
  for (auto list = held.help(good, elsewhere); !list.empty(); list = held.help(good, elsewhere)) {
    EXPECT_LE(list.size(), HeldBack::kHelp);
    EXPECT_TRUE(held.help(good, elsewhere).empty());  // as many as may be are on their way
    for (const auto piece : list) arrive(piece);
    helped.insert(helped.end(), list.begin(), list.end());
  }
  EXPECT_GT(helped.size(), 5u);
  EXPECT_TRUE(std::is_sorted(helped.rbegin(), helped.rend()));
  for (const auto piece : helped) EXPECT_EQ(piece % kOf, 1u);
  EXPECT_TRUE(helped.size() <= kPieces / kOf - HeldBack::kWorthHelp + 1);
}

}  // namespace
}  // namespace shoal::p2p
