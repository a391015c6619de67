// Touches: last uses waiting to be written, one entry per digest. The index writer takes them every few seconds.
// Bounded: when full, a new digest is not remembered (its last use is then older than the truth). Any thread.
#pragma once

#include <array>
#include <mutex>
#include <unordered_map>

#include "shoal/base/clock.h"
#include "shoal/base/digest.h"

namespace shoal::store {

struct Touch {
  std::uint32_t uses = 0;
  base::WallTime last{};
};
using TouchMap = std::unordered_map<base::Digest, Touch>;

class Touches {
 public:
  explicit Touches(std::size_t max_entries = 65536) : max_per_shard_(max_entries / kShards) {}
  void add(const base::Digest& digest, base::WallTime now);
  [[nodiscard]] Touch waiting(const base::Digest& digest) const;  // all zero: none
  [[nodiscard]] TouchMap take();

 private:
  static constexpr std::size_t kShards = 16;
  struct Shard {
    mutable std::mutex mutex;
    TouchMap map;
  };
  std::size_t max_per_shard_;
  std::array<Shard, kShards> shards_;
};

}  // namespace shoal::store
