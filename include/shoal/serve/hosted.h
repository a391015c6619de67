// HostedOptions: what pushes to hosted repositories may do. A value; replaced as a whole on SIGHUP. Which repositories
// are hosted is the RouteTable's business (route.h).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace shoal::serve {

// Tags that never move to another manifest and are not deleted. Both doublestar patterns (registry::matches).
struct FixedTags {
  std::string repositories;  // "team/**"
  std::string tags;          // "v*"
};

// The repositories of the pattern together may hold so much. The first that matches counts.
struct Quota {
  std::string repositories;
  std::uint64_t bytes = 0;
};

struct HostedOptions {
  std::size_t max_manifest_bytes = 4 << 20;  // beyond: 413
  std::uint64_t max_blob_bytes = 0;          // beyond: 413; 0: no limit
  bool remove = true;                        // DELETE of tags, manifests and blobs; false: 405
  bool anonymous_mount = false;              // ?mount= without from= looks in every hosted repository
  bool sparse_indexes = false;               // an index may name manifests that are not here
  std::vector<FixedTags> fixed_tags;
  std::vector<Quota> quotas;
};

}  // namespace shoal::serve
