#include "stripe_pace.h"

#include <gtest/gtest.h>

namespace shoal::p2p {
namespace {

using namespace std::chrono_literals;
constexpr base::SteadyTime kStart{1h};

// Of three; the third never comes. One of ours and one of the second each `each`, the first at kStart.
StripePace after(std::uint32_t rows, std::chrono::milliseconds each) {
  StripePace pace;
  pace.begin({0, 3}, kStart);
  for (std::uint32_t i = 0; i < rows; ++i) {
    pace.arrived(3 * i, kStart + i * each);
    pace.arrived(3 * i + 1, kStart + i * each);
  }
  return pace;
}

TEST(StripePace, AStripeIsBehindWhenSeveralPiecesOfEachOfTheOthersCame) {
  const auto late = kStart + 1h;
  EXPECT_FALSE(after(StripePace::kPieces - 1, 200ms).behind(2, late));
  EXPECT_TRUE(after(StripePace::kPieces, 200ms).behind(2, late));
  EXPECT_FALSE(after(StripePace::kPieces, 200ms).behind(1, late));
  EXPECT_FALSE(after(StripePace::kPieces, 200ms).behind(0, late));  // ours
}

TEST(StripePace, NothingIsBehindAfterAMoment) {
  const auto pace = after(5, 1ms);
  EXPECT_FALSE(pace.behind(2, kStart + StripePace::kLeast - 1ms));
  EXPECT_TRUE(pace.behind(2, kStart + StripePace::kLeast));
}

TEST(StripePace, AnOwnerThatGoesOnIsNotBehindAnyMore) {
  auto pace = after(5, 200ms);
  pace.arrived(2, kStart + 2s);
  EXPECT_FALSE(pace.behind(2, kStart + 1h));
}

TEST(StripePace, KnowsWhatPiecesTake) {
  EXPECT_EQ(after(5, 200ms).time_of(10), 2s);
  EXPECT_EQ(after(StripePace::kPieces - 1, 200ms).time_of(10), 0s);  // few pieces are no pace
}

TEST(StripePace, WithoutStripesNothingIsBehind) {
  for (const std::uint32_t of : {0U, 1U}) {
    StripePace pace;
    pace.begin({0, of}, kStart);
    for (std::uint32_t i = 0; i < 9; ++i) pace.arrived(i, kStart + i * 1ms);
    EXPECT_FALSE(pace.behind(1, kStart + 1h));
    EXPECT_EQ(pace.time_of(1), 0s);
  }
}

TEST(StripePace, BeginsAnewWithTheStripe) {
  auto pace = after(5, 200ms);
  pace.begin({0, 3}, kStart + 1s);
  EXPECT_FALSE(pace.behind(2, kStart + 1h));
}

}  // namespace
}  // namespace shoal::p2p
