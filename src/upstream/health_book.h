// HealthBook: passive health per URL with a circuit breaker, and the upstream's rate-limit budget. A value without a
// lock (State holds one); `now` is passed in.
//
// Closed: fewer than kOpenAfter failures in a row. Open: that many, and the back-off since the last one still runs.
// Half-open: the back-off is over; the next call is the probe, and its failure opens again for twice as long.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "shoal/upstream/state.h"

namespace shoal::upstream {

class HealthBook {
 public:
  static constexpr unsigned kOpenAfter = 3;
  static constexpr std::chrono::seconds kBurst{5};  // errors for less than this are ridden out with all retries
  static constexpr std::chrono::seconds kFirstBackOff{1};
  static constexpr std::chrono::seconds kLongestBackOff{60};

  void set_urls(const std::vector<std::string>& urls);  // keeps what is known of those that stay
  void failed(const std::string& url, std::string_view why, base::WallTime now);
  void answered(const std::string& url);   // a usable head arrived: not open, but one failure away from it
  void succeeded(const std::string& url);  // the whole answer arrived
  void note_budget(std::optional<std::int64_t> remaining, std::optional<std::int64_t> limit);
  void note_rate_limited(base::WallTime until);

  [[nodiscard]] bool failing(const std::string& url) const;  // open or half-open
  // Half-open: claims the probe, so that others do not probe it as well.
  [[nodiscard]] bool claim_probe(const std::string& url, base::WallTime now);
  [[nodiscard]] Health of(const std::string& url, base::WallTime now) const;
  [[nodiscard]] Health overall(base::WallTime now) const;  // of the best URL; open only when every URL is

  // Text, one line per URL and one for the budget. load() ignores what it does not understand or know.
  [[nodiscard]] std::string save() const;
  void load(std::string_view text, base::WallTime now);

 private:
  struct Record {
    unsigned failures = 0;
    std::optional<base::WallTime> since;
    base::WallTime probe_at{};  // open before, half-open after
    std::string last_error;
  };
  std::vector<std::string> urls_;
  std::map<std::string, Record> records_;
  std::optional<std::int64_t> remaining_, limit_;
  std::optional<base::WallTime> limited_until_;
};

}  // namespace shoal::upstream
