// IndexTrimmer: keeps the index below a share of its map by dropping what was used least recently: manifests with their
// tags and links, then links to content that is gone, then negative records. Never what is pinned or hosted. Runs
// inside a write transaction of the index writer; everything it drops can be fetched again.
#pragma once

#include <cstdint>
#include <string>

#include "index_edit.h"

namespace shoal::store {

class IndexTrimmer {
 public:
  explicit IndexTrimmer(std::uint64_t map_size) : limit_(map_size / 5 * 4) {}

  [[nodiscard]] bool wanted(const Txn& txn) const { return txn.used_bytes() > limit_; }
  // One bounded round; answers how many entries went.
  std::size_t trim(IndexEdit& edit);

 private:
  std::size_t trim_manifests(IndexEdit& edit);
  std::size_t trim_links(IndexEdit& edit);
  std::size_t trim_absent(IndexEdit& edit);

  std::uint64_t limit_;
  std::uint64_t seed_ = 0;
  std::string link_hand_;  // where the walk over the links goes on
};

}  // namespace shoal::store
