#include "shoal/base/time_window.h"

#include <array>
#include <ctime>
#include <optional>

#include "shoal/base/format.h"

namespace shoal::base {
namespace {

constexpr unsigned kDay = 24 * 60;
constexpr std::uint8_t kDaily = 0x7f;
constexpr std::array<std::string_view, 7> kDays{"mon", "tue", "wed", "thu", "fri", "sat", "sun"};

std::optional<unsigned> day_of(std::string_view name) {
  for (unsigned i = 0; i < kDays.size(); ++i) {
    if (kDays[i] == name) return i;
  }
  return std::nullopt;
}

// "mon", "mon-fri", "sat-mon"
std::optional<std::uint8_t> days_of(std::string_view range) {
  const auto dash = range.find('-');
  const auto first = day_of(range.substr(0, dash));
  const auto last = dash == range.npos ? first : day_of(range.substr(dash + 1));
  if (!first || !last) return std::nullopt;
  std::uint8_t days = 0;
  for (auto day = *first;; day = (day + 1) % 7) {
    days = static_cast<std::uint8_t>(days | (1U << day));
    if (day == *last) return days;
  }
}

std::optional<std::uint8_t> all_days_of(std::string_view text) {
  if (text == "daily") return kDaily;
  std::uint8_t days = 0;
  for (;;) {
    const auto comma = text.find(',');
    const auto some = days_of(text.substr(0, comma));
    if (!some) return std::nullopt;
    days = static_cast<std::uint8_t>(days | *some);
    if (comma == text.npos) return days;
    text.remove_prefix(comma + 1);
  }
}

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// "08:00" to "24:00"
std::optional<unsigned> minute_of(std::string_view text) {
  if (text.size() != 5 || text[2] != ':') return std::nullopt;
  for (const auto i : {0, 1, 3, 4}) {
    if (!is_digit(text[static_cast<std::size_t>(i)])) return std::nullopt;
  }
  const auto two = [text](std::size_t at) { return static_cast<unsigned>((text[at] - '0') * 10 + text[at + 1] - '0'); };
  const auto minute = two(0) * 60 + two(3);
  if (two(3) > 59 || minute > kDay) return std::nullopt;
  return minute;
}

}  // namespace

LocalTime local_time(WallTime now) {
  const auto seconds = std::chrono::system_clock::to_time_t(now);
  std::tm parts{};
  (void)::localtime_r(&seconds, &parts);  // fails for years beyond an int only
  return {static_cast<unsigned>((parts.tm_wday + 6) % 7), static_cast<unsigned>(parts.tm_hour * 60 + parts.tm_min)};
}

Result<TimeWindow> TimeWindow::parse(std::string_view text) {
  const auto wrong = [text](std::string_view why) {
    return Error(ErrorKind::invalid,
                 format("\"{}\": {}; write days and hours, as mon-fri 08:00-18:00", text.substr(0, 100), why));
  };
  const auto blank = text.find(' ');
  if (blank == text.npos) return wrong("no hours");
  const auto days = all_days_of(text.substr(0, blank));
  if (!days) return wrong("days are mon, tue, wed, thu, fri, sat, sun, ranges and lists of them, or daily");
  const auto hours = text.substr(blank + 1);
  const auto dash = hours.find('-');
  if (dash == hours.npos) return wrong("no end of the hours");
  const auto from = minute_of(hours.substr(0, dash));
  const auto until = minute_of(hours.substr(dash + 1));
  if (!from || !until || *from == kDay) return wrong("hours are 00:00 to 24:00");
  if (*from == *until) return wrong("ends where it begins; all day is 00:00-24:00");
  return TimeWindow{*days, *from, *until};
}

bool TimeWindow::contains(LocalTime at) const {
  const bool today = (days >> at.weekday & 1U) != 0;
  if (from < until) return today && at.minute >= from && at.minute < until;
  const bool yesterday = (days >> (at.weekday + 6) % 7 & 1U) != 0;
  return (today && at.minute >= from) || (yesterday && at.minute < until);
}

}  // namespace shoal::base
