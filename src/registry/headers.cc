// Header values other than challenges: Link, RateLimit-*, Retry-After.
#include <algorithm>
#include <array>

#include "shoal/registry/wire.h"
#include "text.h"

namespace shoal::registry {
namespace {

constexpr std::size_t kMaxLinkBytes = 16 * 1024;
constexpr std::int64_t kMaxRetryAfterSeconds = 365LL * 24 * 3600;

// Leading digits; nullopt if there are none, or too many to be meant.
std::optional<std::int64_t> leading_number(std::string_view& text) {
  std::size_t count = 0;
  std::int64_t value = 0;
  while (count < text.size() && is_digit(text[count])) {
    if (count == 15) return std::nullopt;
    value = value * 10 + (text[count++] - '0');
  }
  if (count == 0) return std::nullopt;
  text.remove_prefix(count);
  return value;
}

bool has_word(std::string_view list, std::string_view word) {
  while (!list.empty()) {
    const std::size_t end = list.find(' ');
    if (equals_ignoring_case(list.substr(0, end), word)) return true;
    list.remove_prefix(end == std::string_view::npos ? list.size() : end + 1);
  }
  return false;
}

// The parameters of one link-value, up to the comma that ends it. True if one of them is rel with "next" in it.
bool consume_parameters(std::string_view& text) {
  bool next = false;
  bool rel_seen = false;
  while (!text.empty() && text.front() != ',') {
    if (text.front() == ';' || is_space(text.front())) {
      text.remove_prefix(1);
      continue;
    }
    const std::size_t name_end = text.find_first_of("=;,");
    const std::string_view name = trim(text.substr(0, name_end));
    text.remove_prefix(name_end == std::string_view::npos ? text.size() : name_end);
    if (text.empty() || text.front() != '=') continue;
    text.remove_prefix(1);
    while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
    std::string_view value;
    if (!text.empty() && text.front() == '"') {
      const std::size_t close = text.find('"', 1);
      if (close == std::string_view::npos) {
        text = {};
        return false;
      }
      value = text.substr(1, close - 1);
      text.remove_prefix(close + 1);
    } else {
      const std::size_t end = text.find_first_of(";,");
      value = trim(text.substr(0, end));
      text.remove_prefix(end == std::string_view::npos ? text.size() : end);
    }
    if (equals_ignoring_case(name, "rel") && !rel_seen) {  // RFC 8288 3.3: later ones are ignored
      rel_seen = true;
      next = has_word(value, "next");
    }
  }
  return next;
}

std::string query_of(std::string_view target) {
  target = target.substr(0, target.find('#'));
  const std::size_t question = target.find('?');
  if (question == std::string_view::npos) return {};
  const std::string_view query = target.substr(question + 1);
  for (const char c : query) {
    if (c <= 0x20 || c >= 0x7f) return {};  // would not survive a request line
  }
  return std::string(query);
}

std::optional<unsigned> month_number(std::string_view name) {
  constexpr std::array<std::string_view, 12> kMonths = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                        "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  for (unsigned i = 0; i < kMonths.size(); ++i) {
    if (kMonths[i] == name) return i + 1;
  }
  return std::nullopt;
}

// Takes the next word, separated by spaces, commas or dashes.
std::string_view next_word(std::string_view& text) {
  const auto separator = [](char c) { return c == ' ' || c == ',' || c == '-'; };
  while (!text.empty() && separator(text.front())) text.remove_prefix(1);
  std::size_t end = 0;
  while (end < text.size() && !separator(text[end])) ++end;
  const std::string_view word = text.substr(0, end);
  text.remove_prefix(end);
  return word;
}

std::optional<int> small_number(std::string_view text) {
  if (text.empty() || text.size() > 4) return std::nullopt;
  int value = 0;
  for (const char c : text) {
    if (!is_digit(c)) return std::nullopt;
    value = value * 10 + (c - '0');
  }
  return value;
}

std::optional<std::chrono::seconds> time_of_day(std::string_view text) {
  if (text.size() != 8 || text[2] != ':' || text[5] != ':') return std::nullopt;
  const auto hours = small_number(text.substr(0, 2));
  const auto minutes = small_number(text.substr(3, 2));
  const auto seconds = small_number(text.substr(6, 2));
  if (!hours || !minutes || !seconds || *hours > 23 || *minutes > 59 || *seconds > 60) return std::nullopt;
  return std::chrono::seconds(*hours * 3600 + *minutes * 60 + *seconds);
}

// The three forms of RFC 9110 5.6.7: "Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT" and
// "Sun Nov  6 08:49:37 1994".
std::optional<std::chrono::sys_seconds> parse_http_date(std::string_view text) {
  if (text.size() > 64) return std::nullopt;
  (void)next_word(text);  // the weekday says nothing new
  std::string_view day_text = next_word(text);
  std::string_view month_text = next_word(text);
  std::string_view year_text;
  std::string_view time_text;
  if (!day_text.empty() && is_alpha(day_text[0])) {
    std::swap(day_text, month_text);
    time_text = next_word(text);
    year_text = next_word(text);
  } else {
    year_text = next_word(text);
    time_text = next_word(text);
  }
  const auto day = small_number(day_text);
  const auto month = month_number(month_text);
  auto year = small_number(year_text);
  const auto time = time_of_day(time_text);
  if (!day || !month || !year || !time) return std::nullopt;
  if (year_text.size() == 2) *year += *year < 70 ? 2000 : 1900;
  const std::chrono::year_month_day date{std::chrono::year(*year), std::chrono::month(*month),
                                         std::chrono::day(static_cast<unsigned>(*day))};
  if (!date.ok()) return std::nullopt;
  return std::chrono::sys_days(date) + *time;
}

}  // namespace

std::string next_query(std::string_view link_header) {
  std::string_view text = link_header.substr(0, kMaxLinkBytes);
  while (!text.empty()) {
    const std::size_t open = text.find('<');
    if (open == std::string_view::npos) return {};
    const std::size_t close = text.find('>', open);
    if (close == std::string_view::npos) return {};
    const std::string_view target = text.substr(open + 1, close - open - 1);
    text.remove_prefix(close + 1);
    if (consume_parameters(text)) return query_of(target);
  }
  return {};
}

std::optional<std::int64_t> parse_rate_limit(std::string_view value) {
  std::string_view text = trim(value);
  const auto number = leading_number(text);
  text = trim(text);
  if (!number || !(text.empty() || text.front() == ';' || text.front() == ',')) return std::nullopt;
  return number;
}

std::optional<std::chrono::seconds> parse_retry_after(std::string_view value, base::WallTime now) {
  std::string_view text = trim(value);
  std::string_view digits = text;
  if (const auto seconds = leading_number(digits); seconds && digits.empty()) {
    return std::chrono::seconds(std::min(*seconds, kMaxRetryAfterSeconds));
  }
  const auto date = parse_http_date(text);
  if (!date) return std::nullopt;
  // Whole seconds: a far year does not fit the clock's nanoseconds.
  const auto wait = *date - std::chrono::floor<std::chrono::seconds>(now);
  return std::clamp(wait, std::chrono::seconds(0), std::chrono::seconds(kMaxRetryAfterSeconds));
}

}  // namespace shoal::registry
