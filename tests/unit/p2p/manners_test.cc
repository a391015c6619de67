// Clients first, and what a node does when memory is short: the pure parts.
#include <gtest/gtest.h>

#include "clients_first.h"
#include "memory_pressure.h"

namespace shoal::p2p {
namespace {

using std::chrono::milliseconds;

constexpr std::uint64_t kRate = 10'000'000;

class ClientsFirstTest : public ::testing::Test {
 protected:
  // Clients take `rate` for `looks` looks: what is left then.
  std::uint64_t after(std::uint64_t rate, int looks) {
    std::uint64_t left = 0;
    for (int i = 0; i < looks; ++i) {
      now_ += ClientsFirst::kLookEvery;
      sent_ += rate * static_cast<std::uint64_t>(ClientsFirst::kLookEvery.count()) / 1'000;
      left = first_.left(kRate, sent_, now_);
    }
    return left;
  }
  ClientsFirst first_;
  base::SteadyTime now_{std::chrono::seconds(50)};
  std::uint64_t sent_ = 0;
};

TEST_F(ClientsFirstTest, WithoutClientsNeighboursHaveAllOfIt) {
  EXPECT_EQ(after(0, 10), kRate);
  EXPECT_EQ(after(kRate / 1'000, 10), kRate) << "next to nothing";
}

TEST_F(ClientsFirstTest, WithoutALimitThereIsNone) { EXPECT_EQ(first_.left(0, 5'000'000, now_), 0u); }

TEST_F(ClientsFirstTest, WhatClientsTakeIsKeptForThemAndSomeMore) {
  EXPECT_NEAR(static_cast<double>(after(kRate / 4, 20)), kRate * (1 - 0.25 - 0.125), kRate / 100.0);
  EXPECT_EQ(after(kRate, 20), kRate / 20) << "neighbours are never shut out";
  EXPECT_EQ(after(3 * kRate, 20), kRate / 20);
}

TEST_F(ClientsFirstTest, WhenClientsAreDoneNeighboursHaveItBackSoon) {
  (void)after(kRate, 20);
  EXPECT_GT(after(0, 10), kRate / 2) << "two seconds";
  EXPECT_EQ(after(0, 30), kRate);
}

TEST_F(ClientsFirstTest, AClientThatCanTakeMoreGetsMoreUntilItHasNearlyAll) {
  // The link gives clients what neighbours leave, and at least their share: one of nine connections is theirs.
  constexpr std::uint64_t kShare = kRate / 9;
  std::uint64_t got = kShare;
  int looks = 0;
  while (got < kRate * 9 / 10 && looks < 100) {
    got = std::max(kShare, kRate - after(got, 1));
    ++looks;
  }
  EXPECT_LE(looks, 20);  // four seconds
}

TEST_F(ClientsFirstTest, WhatComesAWindowAtATimeIsNoLessThanItIs) {
  (void)after(kRate * 8 / 10, 20);
  std::uint64_t sum = 0;
  for (int i = 0; i < 20; ++i) sum += after(i % 2 == 0 ? kRate * 16 / 10 : 0, 1);
  EXPECT_LE(sum / 20, kRate * 7 / 100) << "neighbours get what four fifths and an eighth leave, no more";
}

TEST_F(ClientsFirstTest, LooksAtMomentsCloseToEachOtherAreOne) {
  (void)after(kRate / 2, 20);
  const auto left = first_.left(kRate, sent_, now_);
  EXPECT_EQ(first_.left(kRate, sent_ + 1'000'000, now_ + milliseconds(1)), left);
}

TEST(MemoryPressure, ReadsWhatTheKernelWrites) {
  EXPECT_EQ(some_avg10("some avg10=12.50 avg60=3.02 avg300=0.66 total=123\nfull avg10=1.00 avg60=0.00 avg300=0.00 "
                       "total=5\n"),
            12.5);
  EXPECT_EQ(some_avg10("some avg10=0.00 avg60=0.00 avg300=0.00 total=0\n"), 0.0);
  for (const char* text : {"", "full avg10=1.00 avg60=0", "some avg10=", "some avg10=x y", "some avg10=-1 a",
                           "some avg10=101 a", "some avg10=nan a"})
    EXPECT_FALSE(some_avg10(text).has_value()) << text;
}

TEST(MemoryPressure, LooksAtItsOwnControlGroup) {
  EXPECT_EQ(pressure_file_of("0::/system.slice/shoal.service\n"),
            "/sys/fs/cgroup/system.slice/shoal.service/memory.pressure");
  EXPECT_EQ(pressure_file_of("4:memory:/a\n1:name=systemd:/b\n0::/c\n"), "/sys/fs/cgroup/c/memory.pressure");
  EXPECT_EQ(pressure_file_of("0::/\n"), "");
  EXPECT_EQ(pressure_file_of("4:memory:/a\n"), "");
  EXPECT_EQ(pressure_file_of(""), "");
}

TEST(PressureSwitch, DoesNotFlutter) {
  PressureSwitch pressure(20);
  EXPECT_FALSE(pressure.measured(19.9));
  EXPECT_TRUE(pressure.measured(20));
  EXPECT_TRUE(pressure.pressed());
  EXPECT_FALSE(pressure.measured(10));
  EXPECT_TRUE(pressure.measured(9.9));
  EXPECT_FALSE(pressure.pressed());
}

TEST(PressureSwitch, ZeroIsNever) {
  PressureSwitch pressure(0);
  EXPECT_FALSE(pressure.measured(100));
  EXPECT_FALSE(pressure.pressed());
}

}  // namespace
}  // namespace shoal::p2p
