#include "shoal/config/value.h"

#include <gtest/gtest.h>

namespace shoal::config {
namespace {

using std::chrono::milliseconds;

TEST(Size, Table) {
  const std::pair<const char*, std::uint64_t> rows[] = {
      {"0", 0},
      {"64", 64},
      {"100B", 100},
      {"512KiB", 512 << 10},
      {"10MiB", 10 << 20},
      {"10 MiB", 10 << 20},
      {"50GiB", 50ULL << 30},
      {"2TiB", 2ULL << 40},
      {"1KB", 1000},
      {"3GB", 3'000'000'000},
      {"9223372036854775807", INT64_MAX},
  };
  for (const auto& [text, value] : rows) EXPECT_EQ(parse_size(text), value) << text;
  for (const char* bad : {"", "KiB", "-1", "1.5GiB", "10mib", "10Mi", "10M", "10GG", " 1", "1 ", "1  KiB", "0x10",
                          "1KiB ", "9223372036854775808", "8388608TiB", "99999999999999999999999"}) {
    EXPECT_EQ(parse_size(bad), std::nullopt) << bad;
  }
}

TEST(Duration, Table) {
  const std::pair<const char*, std::int64_t> rows[] = {
      {"0", 0},          {"0s", 0},           {"500ms", 500},       {"15s", 15'000},       {"10m", 600'000},
      {"2h", 7'200'000}, {"7d", 604'800'000}, {"1h30m", 5'400'000}, {"1m5s250ms", 65'250}, {"36500d", 3153600000000}};
  for (const auto& [text, value] : rows) EXPECT_EQ(parse_duration(text), milliseconds(value)) << text;
  for (const char* bad : {"", "15", "s", "-1s", "1.5s", "15 s", "15S", "15sec", "30m1h", "1m1m", "1h30", "36501d",
                          "99999999999999999999s", "1w"}) {
    EXPECT_EQ(parse_duration(bad), std::nullopt) << bad;
  }
}

TEST(Percent, Table) {
  EXPECT_EQ(parse_percent("0"), 0u);
  EXPECT_EQ(parse_percent("95"), 95u);
  EXPECT_EQ(parse_percent("100%"), 100u);
  for (const char* bad : {"", "%", "101", "-1", "9.5", "95 %", "x", "999999999999999999999"}) {
    EXPECT_EQ(parse_percent(bad), std::nullopt) << bad;
  }
}

TEST(Format, GivesWhatParsesBack) {
  for (const std::uint64_t size : {0ULL, 1ULL, 1023ULL, 1024ULL, 10ULL << 20, 1000ULL, (1ULL << 40) + 1}) {
    EXPECT_EQ(parse_size(format_size(size)), size);
  }
  for (const std::int64_t time : {0LL, 1LL, 999LL, 1000LL, 90'000LL, 3'600'000LL, 86'400'001LL}) {
    EXPECT_EQ(parse_duration(format_duration(milliseconds(time))), milliseconds(time));
  }
  EXPECT_EQ(format_size(10 << 20), "10MiB");
  EXPECT_EQ(format_duration(milliseconds(90'000)), "90s");
}

}  // namespace
}  // namespace shoal::config
