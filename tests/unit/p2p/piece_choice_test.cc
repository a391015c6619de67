#include "piece_choice.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace shoal::p2p {
namespace {

TEST(PieceChoice, APieceIsAPowerOfTwoAndThereAreFiveHundredToFourThousandOfThem) {
  constexpr std::uint64_t kKiB = 1024, kMiB = 1024 * kKiB, kGiB = 1024 * kMiB;
  EXPECT_EQ(piece_length_for(0), 0u);
  EXPECT_EQ(piece_length_for(1), 64 * kKiB);
  EXPECT_EQ(piece_length_for(32 * kMiB), 64 * kKiB);
  EXPECT_EQ(piece_length_for(64 * kMiB), 128 * kKiB);
  EXPECT_EQ(piece_length_for(512 * kMiB), 1 * kMiB);
  EXPECT_EQ(piece_length_for(4 * kGiB), 1 * kMiB);
  EXPECT_EQ(piece_length_for(8 * kGiB), 2 * kMiB);
  EXPECT_EQ(piece_length_for(1024 * kGiB), 4 * kMiB);
  for (std::uint64_t size = 1; size < 16 * kGiB; size = size * 3 + 7) {
    const std::uint64_t length = piece_length_for(size);
    EXPECT_EQ(length & (length - 1), 0u);
    EXPECT_LE((size - 1) / length + 1, size < 512 * kMiB ? 1'024u : 8'192u) << size;
  }
}

TEST(PieceChoice, WithoutStripesAndWindowAllPiecesAreEqual) {
  EXPECT_EQ(priorities({.pieces = 3}), (std::vector<std::uint8_t>{4, 4, 4}));
}

TEST(PieceChoice, ANodeTakesItsOwnStripeFirst) {
  EXPECT_EQ(priorities({.pieces = 6, .rank = 1, .of = 3}), (std::vector<std::uint8_t>{1, 7, 1, 1, 7, 1}));
  EXPECT_EQ(priorities({.pieces = 3, .rank = 4, .of = 3}),
            (std::vector<std::uint8_t>{1, 7, 1}));  // rank of an old list
}

TEST(PieceChoice, WhoIsAloneGetsNextWhatIsReadNext) {
  const auto out = priorities({.pieces = 40, .rank = 0, .of = 1, .reader = 3, .ahead = 16});
  EXPECT_EQ(out[2], 1);
  EXPECT_EQ(out[3], 7);
  EXPECT_EQ(out[4], 7);
  EXPECT_EQ(out[5], 6);
  EXPECT_EQ(out[18], 6);
  EXPECT_EQ(out[19], 1);
}

TEST(PieceChoice, EachPieceIsInOneStripe) {
  for (std::uint32_t piece = 0; piece < 50; ++piece) {
    int owners = 0;
    for (std::uint32_t rank = 0; rank < 7; ++rank)
      owners += priorities({.pieces = 50, .rank = rank, .of = 7})[piece] == 7;
    EXPECT_EQ(owners, 1);
  }
}

TEST(PieceChoice, WhatTheReaderNeedsSoonComesFirst) {
  EXPECT_EQ(priorities({.pieces = 6, .reader = 1, .ahead = 2}), (std::vector<std::uint8_t>{1, 6, 6, 1, 1, 1}));
  EXPECT_EQ(priorities({.pieces = 6, .rank = 0, .of = 2, .reader = 1, .ahead = 3}),
            (std::vector<std::uint8_t>{6, 5, 7, 5, 6, 1}));
  EXPECT_EQ(priorities({.pieces = 2, .reader = 9, .ahead = 4'000'000'000}), (std::vector<std::uint8_t>{1, 1}));
}

TEST(PieceChoice, EverybodyTakesTheFirstPieceAtOnce) {
  EXPECT_EQ(priorities({.pieces = 5, .rank = 1, .of = 2, .reader = 0, .ahead = 4}),
            (std::vector<std::uint8_t>{7, 7, 5, 7, 1}));
}

TEST(PieceChoice, NoPieceIsEverClosed) {
  for (std::uint32_t of = 0; of < 4; ++of)
    for (std::uint32_t ahead = 0; ahead < 4; ++ahead) {
      const auto all = priorities({.pieces = 20, .rank = 1, .of = of, .reader = 5, .ahead = ahead});
      EXPECT_GE(*std::min_element(all.begin(), all.end()), 1);
      EXPECT_LE(*std::max_element(all.begin(), all.end()), 7);
    }
}

}  // namespace
}  // namespace shoal::p2p
