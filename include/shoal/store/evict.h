// Which blobs to drop: a pure choice over a sample. Run by the store, by its tests and by the eviction simulator.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "shoal/store/records.h"

namespace shoal::store {

struct Candidate {
  base::Digest digest;
  BlobRecord record;
  bool in_use = false;
};

// Indices into `sample`, worst first, until their sizes reach `bytes` (or the sample ends). Never pinned,
// hosted or in-use ones.
[[nodiscard]] std::vector<std::size_t> choose_victims(std::span<const Candidate> sample, std::uint64_t bytes,
                                                      base::WallTime now);

}  // namespace shoal::store
