// Which blobs to drop: a pure choice over a sample, and what is remembered of those that went. Run by the store, by its
// tests and by the eviction simulator.
#pragma once

#include <cstdint>
#include <mutex>
#include <span>
#include <unordered_map>
#include <vector>

#include "shoal/store/records.h"

namespace shoal::store {

struct Candidate {
  base::Digest digest;
  BlobRecord record;
  bool in_use = false;
};

// Each victim is the worst of a sample of its own: a second one from the same sample would often be a good blob.
inline constexpr std::size_t kSampleRuns = 8, kSampleRunLength = 8;

// Indices into `sample`, worst first, until their sizes reach `bytes` (or the sample ends). Never pinned,
// hosted or in-use ones.
[[nodiscard]] std::vector<std::size_t> choose_victims(std::span<const Candidate> sample, std::uint64_t bytes,
                                                      base::WallTime now);

// How often the blobs evicted last were used, so that one that comes back is not taken for new. In memory only: a
// restart forgets. Bounded: the older half goes when the younger is full. Any thread.
class Departed {
 public:
  explicit Departed(std::size_t max_entries = 32'768) : half_(max_entries / 2) {}
  void remember(const base::Digest& digest, std::uint32_t uses);
  [[nodiscard]] std::uint32_t take(const base::Digest& digest);  // its uses, once; 0: not known

 private:
  using Uses = std::unordered_map<std::uint64_t, std::uint32_t>;  // by the digest's first bytes
  std::size_t half_;
  std::mutex mutex_;
  Uses young_, old_;
};

}  // namespace shoal::store
