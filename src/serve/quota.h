// QuotaBook: how much the repositories of a quota hold, measured on the pool now and then and counted on in between.
// One per loop: what other loops took since the last look is not in it, so a quota may be passed by what ten seconds
// bring.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "shoal/base/clock.h"
#include "shoal/serve/hosted.h"
#include "shoal/store/store.h"

namespace shoal::serve {

// The first quota that a repository falls under; null: none.
[[nodiscard]] const Quota* quota_of(const HostedOptions& options, std::string_view repository);
// Of all repositories that fall under it. Walks them: on the pool.
[[nodiscard]] std::uint64_t measure_quota(const store::Hosted& hosted, const HostedOptions& options,
                                          const Quota& quota);

class QuotaBook {
 public:
  [[nodiscard]] std::optional<std::uint64_t> used(const Quota& quota, base::SteadyTime now) const;  // nullopt: look
  void measured(const Quota& quota, std::uint64_t bytes, base::SteadyTime now);
  void took(const Quota& quota, std::uint64_t bytes);

 private:
  struct Use {
    std::uint64_t bytes;
    base::SteadyTime at;
  };
  std::map<std::string, Use> uses_;  // by pattern
};

}  // namespace shoal::serve
