// The choice of victims. A blob is worth keeping by
//   fame^2 / idle seconds * (1 + kRequestCost / size), where
//   fame is 1 and its uses beyond the first, these halved for every twelve hours without one: what is used again and
//   again stays
//     through a scan, what was loved last week does not;
//   the last factor is what a re-fetch costs for each byte that the blob takes: its bytes, and the request, which costs
//     about what kRequestCost bytes do. So small blobs stay, and among large ones size does not matter.
// Figures were found with bench/macro/eviction_sim.
#include "shoal/store/evict.h"

#include <algorithm>
#include <cmath>

namespace shoal::store {
namespace {

constexpr double kHalfLife = 12.0 * 3600;
constexpr double kRequestCost = 4.0 * 1024 * 1024;

double worth(const BlobRecord& record, base::WallTime now) {
  using Seconds = std::chrono::duration<double>;
  const double idle = std::max(1.0, Seconds(now - record.last_use).count());
  const double further = record.uses > 1 ? static_cast<double>(record.uses - 1) : 0.0;
  const double fame = 1.0 + further * std::exp2(-idle / kHalfLife);
  const double size = std::max(1.0, static_cast<double>(record.size));
  return fame * fame / idle * (1.0 + kRequestCost / size);
}

std::uint64_t key_of(const base::Digest& digest) {
  std::uint64_t key = 0;
  for (std::size_t i = 0; i < sizeof key; ++i) key = key << 8 | digest.bytes()[i];
  return key;
}

}  // namespace

std::vector<std::size_t> choose_victims(std::span<const Candidate> sample, std::uint64_t bytes, base::WallTime now) {
  std::vector<std::pair<double, std::size_t>> ranked;
  ranked.reserve(sample.size());
  for (std::size_t i = 0; i < sample.size(); ++i) {
    if (sample[i].in_use || sample[i].record.pinned || sample[i].record.hosted) continue;
    ranked.emplace_back(worth(sample[i].record, now), i);
  }
  std::sort(ranked.begin(), ranked.end());
  std::vector<std::size_t> victims;
  std::uint64_t freed = 0;
  for (const auto& [value, i] : ranked) {
    if (freed >= bytes) break;
    freed += sample[i].record.size;
    victims.push_back(i);
  }
  return victims;
}

void Departed::remember(const base::Digest& digest, std::uint32_t uses) {
  const std::lock_guard lock(mutex_);
  if (young_.size() >= half_) {
    old_ = std::move(young_);
    young_ = {};
  }
  young_[key_of(digest)] = std::max<std::uint32_t>(uses, 1);
}

std::uint32_t Departed::take(const base::Digest& digest) {
  const std::lock_guard lock(mutex_);
  for (auto* half : {&young_, &old_}) {
    const auto it = half->find(key_of(digest));
    if (it == half->end()) continue;
    const auto uses = it->second;
    half->erase(it);
    return uses;
  }
  return 0;
}

}  // namespace shoal::store
