#include "shoal/base/pacer.h"

#include <gtest/gtest.h>

namespace shoal::base {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr SteadyTime kStart = SteadyTime(seconds(1'000));

TEST(Pacer, HoldsWhatPassesToTheRate) {
  Pacer pacer;
  auto now = kStart;
  std::uint64_t sent = 0;
  while (now < kStart + seconds(10)) {
    sent += 16'000;
    now += pacer.passed(16'000, 1'000'000, now) + milliseconds(1);
  }
  EXPECT_NEAR(static_cast<double>(sent), 10e6, 0.2e6);
}

TEST(Pacer, SharesTheRateAmongAllWhoUseIt) {
  Pacer pacer;
  auto one = milliseconds(0);
  for (int i = 0; i < 10; ++i) one = pacer.passed(100'000, 1'000'000, kStart);
  EXPECT_GE(one, milliseconds(900)) << "a megabyte has passed at once";
}

TEST(Pacer, WhatWasNotUsedIsNotSavedUp) {
  Pacer pacer;
  (void)pacer.passed(1, 1'000'000, kStart);
  EXPECT_GE(pacer.passed(1'000'000, 1'000'000, kStart + seconds(3600)), milliseconds(900));
}

TEST(Pacer, WithoutARateNobodyWaitsAndNothingIsOwed) {
  Pacer pacer;
  EXPECT_GT(pacer.passed(10'000'000, 1'000'000, kStart), seconds(9));
  EXPECT_EQ(pacer.passed(1ULL << 50, 0, kStart), milliseconds(0));
  EXPECT_EQ(pacer.passed(1'000, 1'000'000, kStart), milliseconds(0));
}

TEST(Pacer, NobodyWaitsForEver) {
  Pacer pacer;
  for (int i = 0; i < 3; ++i) EXPECT_LE(pacer.passed(~0ULL, 1, kStart), seconds(60));
}

}  // namespace
}  // namespace shoal::base
