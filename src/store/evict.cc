// The choice of victims. Badness of a blob = idle seconds * size factor / worth^2, where
//   worth       = 1 + further uses, halved for every week without use: what was used once is worth 1;
//   size factor = 1 + log2(1 + MiB): a large blob frees more, but a re-fetch of it costs more too, so slower than size.
// So a layer that one scan pulled goes long before one that is pulled every day, and between equals the idler and the
// larger goes first.
#include "shoal/store/evict.h"

#include <algorithm>
#include <cmath>

namespace shoal::store {
namespace {

double badness(const BlobRecord& record, base::WallTime now) {
  using Seconds = std::chrono::duration<double>;
  constexpr double kHalfLife = 7.0 * 24 * 3600;
  const double idle = std::max(1.0, Seconds(now - record.last_use).count());
  const double further = record.uses > 1 ? static_cast<double>(record.uses - 1) : 0.0;
  const double worth = 1.0 + further * std::exp2(-idle / kHalfLife);
  const double mib = static_cast<double>(record.size) / (1024.0 * 1024.0);
  return idle * (1.0 + std::log2(1.0 + mib)) / (worth * worth);
}

}  // namespace

std::vector<std::size_t> choose_victims(std::span<const Candidate> sample, std::uint64_t bytes, base::WallTime now) {
  std::vector<std::pair<double, std::size_t>> ranked;
  ranked.reserve(sample.size());
  for (std::size_t i = 0; i < sample.size(); ++i) {
    if (sample[i].in_use || sample[i].record.pinned || sample[i].record.hosted) continue;
    ranked.emplace_back(badness(sample[i].record, now), i);
  }
  std::sort(ranked.begin(), ranked.end(),
            [](const auto& a, const auto& b) { return a.first != b.first ? a.first > b.first : a.second < b.second; });
  std::vector<std::size_t> victims;
  std::uint64_t freed = 0;
  for (const auto& [bad, i] : ranked) {
    if (freed >= bytes) break;
    freed += sample[i].record.size;
    victims.push_back(i);
  }
  return victims;
}

}  // namespace shoal::store
