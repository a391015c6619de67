#include "quota.h"

#include "shoal/registry/pattern.h"

namespace shoal::serve {
namespace {

constexpr std::chrono::seconds kLookAgain{10};
constexpr std::size_t kSlice = 1000;

}  // namespace

const Quota* quota_of(const HostedOptions& options, std::string_view repository) {
  for (const auto& quota : options.quotas) {
    if (registry::matches(quota.repositories, repository)) return &quota;
  }
  return nullptr;
}

std::uint64_t measure_quota(const store::Hosted& hosted, const HostedOptions& options, const Quota& quota) {
  std::uint64_t bytes = 0;
  std::string last;
  for (;;) {
    const auto names = hosted.list_hosted(last, kSlice);
    for (const auto& name : names) {
      const auto* its = quota_of(options, name);
      if (its != nullptr && its->repositories == quota.repositories) bytes += hosted.measure(name).bytes;
    }
    if (names.size() < kSlice) return bytes;
    last = names.back();
  }
}

std::optional<std::uint64_t> QuotaBook::used(const Quota& quota, base::SteadyTime now) const {
  const auto it = uses_.find(quota.repositories);
  if (it == uses_.end() || now - it->second.at >= kLookAgain) return std::nullopt;
  return it->second.bytes;
}

void QuotaBook::measured(const Quota& quota, std::uint64_t bytes, base::SteadyTime now) {
  uses_.insert_or_assign(quota.repositories, Use{bytes, now});
}

void QuotaBook::took(const Quota& quota, std::uint64_t bytes) {
  if (const auto it = uses_.find(quota.repositories); it != uses_.end()) it->second.bytes += bytes;
}

}  // namespace shoal::serve
