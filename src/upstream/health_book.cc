#include "health_book.h"

#include <algorithm>
#include <charconv>

#include "shoal/base/format.h"

namespace shoal::upstream {
namespace {

constexpr std::size_t kMaxErrorBytes = 300;
constexpr std::size_t kMaxSavedBytes = 64 * 1024;
constexpr std::string_view kVersion = "health 1";

std::int64_t seconds_of(base::WallTime time) {
  return std::chrono::duration_cast<std::chrono::seconds>(time.time_since_epoch()).count();
}

std::string one_line(std::string_view text) {
  std::string out(text.substr(0, kMaxErrorBytes));
  for (char& c : out) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = ' ';
  }
  return out;
}

std::string_view next_word(std::string_view& line) {
  const auto space = line.find(' ');
  const std::string_view word = line.substr(0, space);
  line = space == std::string_view::npos ? std::string_view() : line.substr(space + 1);
  return word;
}

std::optional<std::int64_t> number(std::string_view text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  // Bounded, so that no arithmetic on times overflows.
  if (error != std::errc{} || end != text.data() + text.size() || value < 0 || value > 9'000'000'000) {
    return std::nullopt;
  }
  return value;
}

std::chrono::seconds back_off(unsigned failures) {
  const unsigned doublings = std::min(failures - std::min(failures, HealthBook::kOpenAfter), 16U);
  return std::min(HealthBook::kFirstBackOff * (1 << doublings), HealthBook::kLongestBackOff);
}

}  // namespace

void HealthBook::set_urls(const std::vector<std::string>& urls) {
  std::map<std::string, Record> kept;
  for (const auto& url : urls) kept[url] = records_[url];
  records_ = std::move(kept);
  urls_ = urls;
}

void HealthBook::failed(const std::string& url, std::string_view why, base::WallTime now) {
  const auto found = records_.find(url);
  if (found == records_.end()) return;
  Record& record = found->second;
  ++record.failures;
  if (!record.since) record.since = now;
  record.last_error = one_line(why);
  record.probe_at = now + back_off(record.failures);
}

void HealthBook::answered(const std::string& url) {
  const auto found = records_.find(url);
  if (found != records_.end()) found->second.failures = std::min(found->second.failures, kOpenAfter - 1);
}

void HealthBook::succeeded(const std::string& url) {
  const auto found = records_.find(url);
  if (found != records_.end()) found->second = Record{};
}

void HealthBook::note_budget(std::optional<std::int64_t> remaining, std::optional<std::int64_t> limit) {
  if (remaining) remaining_ = remaining;
  if (limit) limit_ = limit;
}

void HealthBook::note_rate_limited(base::WallTime until) {
  limited_until_ = std::max(until, limited_until_.value_or(until));
}

bool HealthBook::failing(const std::string& url) const {
  const auto found = records_.find(url);
  return found != records_.end() && found->second.failures >= kOpenAfter;
}

bool HealthBook::claim_probe(const std::string& url, base::WallTime now) {
  if (!failing(url)) return false;
  Record& record = records_[url];
  if (now < record.probe_at) return false;
  record.probe_at = now + back_off(record.failures);
  return true;
}

Health HealthBook::of(const std::string& url, base::WallTime now) const {
  Health health;
  if (const auto found = records_.find(url); found != records_.end()) {
    const Record& record = found->second;
    health.open = record.failures >= kOpenAfter && now < record.probe_at;
    health.lasting = health.open && record.since && now - *record.since >= kBurst;
    health.consecutive_failures = record.failures;
    health.failing_since = record.since;
    health.last_error = record.last_error;
  }
  health.rate_limit_remaining = remaining_;
  health.rate_limit_limit = limit_;
  if (limited_until_ && *limited_until_ > now) health.rate_limited_until = limited_until_;
  return health;
}

Health HealthBook::overall(base::WallTime now) const {
  Health best = of(urls_.empty() ? std::string() : urls_.front(), now);
  for (const auto& url : urls_) {
    Health health = of(url, now);
    const bool better = health.open != best.open ? best.open : health.consecutive_failures < best.consecutive_failures;
    if (better) best = std::move(health);
  }
  return best;
}

std::string HealthBook::save() const {
  const auto text = [](auto value) { return value ? base::format("{}", *value) : std::string("-"); };
  std::string out = base::format("{}\n", kVersion);
  out += base::format("budget {} {} {}\n", text(remaining_), text(limit_),
                      limited_until_ ? base::format("{}", seconds_of(*limited_until_)) : "-");
  for (const auto& [url, record] : records_) {
    if (record.failures == 0 || url.find_first_of(" \n") != std::string::npos) continue;
    out += base::format("url {} {} {} {}\n", url, record.failures, record.since ? seconds_of(*record.since) : 0,
                        record.last_error);
  }
  return out;
}

void HealthBook::load(std::string_view text, base::WallTime now) {
  text = text.substr(0, kMaxSavedBytes);
  const auto take_line = [&text] {
    const auto end = text.find('\n');
    const std::string_view line = text.substr(0, end);
    text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
    return line;
  };
  if (take_line() != kVersion) return;
  while (!text.empty()) {
    std::string_view line = take_line();
    const std::string_view what = next_word(line);
    if (what == "budget") {
      const auto remaining = number(next_word(line));
      const auto limit = number(next_word(line));
      note_budget(remaining, limit);
      if (const auto until = number(next_word(line))) {
        limited_until_ = base::WallTime(std::chrono::seconds(*until));
      }
    } else if (what == "url") {
      const auto found = records_.find(std::string(next_word(line)));
      const auto failures = number(next_word(line));
      const auto since = number(next_word(line));
      if (found == records_.end() || !failures || !since || *failures == 0) continue;
      Record& record = found->second;
      record.failures = static_cast<unsigned>(std::min<std::int64_t>(*failures, 1000));
      if (*since > 0) record.since = base::WallTime(std::chrono::seconds(*since));
      record.last_error = one_line(line);
      record.probe_at = now;  // it may be well again: the first call is the probe
    }
  }
}

}  // namespace shoal::upstream
