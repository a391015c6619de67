// FailureBook: how many wrong passwords came from where, as a bucket for each source that drains at a steady rate. It
// knows so many sources at most; then the one that has failed least is forgotten. A value without threads.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "shoal/base/clock.h"

namespace shoal::auth {

class FailureBook {
 public:
  static constexpr std::size_t kMaxSources = 4096;

  // 0: no limit.
  void set_limit(std::size_t a_minute) { limit_ = static_cast<double>(a_minute); }
  void failed(const std::string& source, base::SteadyTime now);
  // How long until `source` may try again; nullopt: at once.
  [[nodiscard]] std::optional<std::chrono::seconds> wait_for(const std::string& source, base::SteadyTime now) const;
  [[nodiscard]] std::size_t size() const { return buckets_.size(); }

 private:
  struct Bucket {
    double level = 0;
    base::SteadyTime at{};
  };
  [[nodiscard]] double level(const Bucket& bucket, base::SteadyTime now) const;
  void make_room(base::SteadyTime now);

  double limit_ = 0;
  std::unordered_map<std::string, Bucket> buckets_;
};

// Whose logins count together: an IPv4 address (also as ::ffff:a.b.c.d), or the first 64 bits of an IPv6 address, which
// is what one customer or machine has for itself. Anything else stays as it is.
[[nodiscard]] std::string source_of(std::string_view ip);

}  // namespace shoal::auth
