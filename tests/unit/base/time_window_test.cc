#include "shoal/base/time_window.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <time.h>

namespace shoal::base {
namespace {

enum Day : unsigned { mon, tue, wed, thu, fri, sat, sun };

bool in(std::string_view window, Day day, unsigned hour, unsigned minute = 0) {
  const auto parsed = TimeWindow::parse(window);
  EXPECT_TRUE(parsed) << window;
  return parsed && parsed->contains({day, hour * 60 + minute});
}

TEST(TimeWindow, HoldsFromItsFirstMinuteToBeforeItsEnd) {
  constexpr std::string_view work = "mon-fri 08:00-18:00";
  EXPECT_FALSE(in(work, mon, 7, 59));
  EXPECT_TRUE(in(work, mon, 8));
  EXPECT_TRUE(in(work, fri, 17, 59));
  EXPECT_FALSE(in(work, fri, 18));
  EXPECT_FALSE(in(work, sat, 12));
  EXPECT_FALSE(in(work, sun, 12));
}

TEST(TimeWindow, OverMidnightBelongsToTheDayItBeginsOn) {
  constexpr std::string_view night = "fri 22:00-06:00";
  EXPECT_FALSE(in(night, fri, 5));
  EXPECT_TRUE(in(night, fri, 22));
  EXPECT_TRUE(in(night, sat, 0));
  EXPECT_TRUE(in(night, sat, 5, 59));
  EXPECT_FALSE(in(night, sat, 6));
  EXPECT_FALSE(in(night, sat, 22));
  EXPECT_TRUE(in("sun 22:00-06:00", mon, 3)) << "over the end of the week";
}

TEST(TimeWindow, ListsRangesAndWholeDays) {
  EXPECT_TRUE(in("sat-mon 00:00-24:00", sun, 12));
  EXPECT_TRUE(in("sat-mon 00:00-24:00", mon, 23, 59));
  EXPECT_FALSE(in("sat-mon 00:00-24:00", tue, 0));
  EXPECT_TRUE(in("mon,wed-thu,sun 10:00-11:00", thu, 10));
  EXPECT_FALSE(in("mon,wed-thu,sun 10:00-11:00", tue, 10));
  for (const auto day : {mon, tue, wed, thu, fri, sat, sun}) EXPECT_TRUE(in("daily 12:00-12:01", day, 12));
  EXPECT_FALSE(in("daily 12:00-12:01", wed, 12, 1));
}

TEST(TimeWindow, WhatIsNoWindow) {
  for (const auto* text :
       {"", "daily", "mon-fri", "mon-fri 8:00-18:00", "mon-fri 08:00", "mon-fri 08:00-", "mon- 08:00-09:00",
        "monday 08:00-09:00", "mon,,tue 08:00-09:00", ", 08:00-09:00", "daily 08:60-09:00", "daily 24:00-08:00",
        "daily 08:00-24:01", "daily 08:00-08:00", "daily  08:00-09:00", "daily 08:00-09:00 ", "Mon 08:00-09:00",
        "daily 08-09", "daily +8:00-09:00"}) {
    EXPECT_FALSE(TimeWindow::parse(text)) << text;
  }
}

class Zone {
 public:
  explicit Zone(const char* name) {
    ::setenv("TZ", name, 1);
    ::tzset();
  }
  ~Zone() {
    ::unsetenv("TZ");
    ::tzset();
  }
};

WallTime at(std::int64_t unix_seconds) { return WallTime(std::chrono::seconds(unix_seconds)); }

TEST(LocalTime, FollowsTheClockOnTheWallOverTheChangeOfDaylightSavingTime) {
  const Zone berlin("CET-1CEST,M3.5.0,M10.5.0/3");
  const auto before = local_time(at(1'774'745'940));  // Sunday, 2026-03-29 00:59 UTC
  EXPECT_EQ(before.weekday, 6U);
  EXPECT_EQ(before.minute, 1U * 60 + 59);
  const auto after = local_time(at(1'774'746'000));  // a minute later it is 3 o'clock
  EXPECT_EQ(after.minute, 3U * 60);
  // In autumn 02:30 comes twice, and is in the window both times.
  const auto window = TimeWindow::parse("sun 02:00-03:00");
  ASSERT_TRUE(window);
  EXPECT_TRUE(window->contains(local_time(at(1'792'888'200))));         // 2026-10-25 00:30 UTC
  EXPECT_TRUE(window->contains(local_time(at(1'792'888'200 + 3600))));  // 01:30 UTC
  EXPECT_FALSE(window->contains(local_time(at(1'792'888'200 + 7200))));
}

TEST(LocalTime, BeginsTheWeekOnMonday) {
  const Zone utc("UTC");
  EXPECT_EQ(local_time(at(4 * 86'400)).weekday, 0U);  // 1970-01-05
  EXPECT_EQ(local_time(at(4 * 86'400 - 1)).weekday, 6U);
  EXPECT_EQ(local_time(at(4 * 86'400 - 1)).minute, 24U * 60 - 1);
}

}  // namespace
}  // namespace shoal::base
