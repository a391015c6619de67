#include "touches.h"

#include <algorithm>

namespace shoal::store {

void Touches::add(const base::Digest& digest, base::WallTime now) {
  auto& shard = shards_[digest.bytes()[31] % kShards];
  const std::lock_guard lock(shard.mutex);
  auto it = shard.map.find(digest);
  if (it == shard.map.end()) {
    if (shard.map.size() >= max_per_shard_) return;
    it = shard.map.emplace(digest, Touch{}).first;
  }
  ++it->second.uses;
  it->second.last = std::max(it->second.last, now);
}

Touch Touches::waiting(const base::Digest& digest) const {
  const auto& shard = shards_[digest.bytes()[31] % kShards];
  const std::lock_guard lock(shard.mutex);
  const auto it = shard.map.find(digest);
  return it == shard.map.end() ? Touch{} : it->second;
}

TouchMap Touches::take() {
  TouchMap all;
  for (auto& shard : shards_) {
    TouchMap part;
    {
      const std::lock_guard lock(shard.mutex);
      part.swap(shard.map);
    }
    all.merge(part);
  }
  return all;
}

}  // namespace shoal::store
