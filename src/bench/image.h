// An image as it is pulled: what a manifest says, without any transport. Value.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace shoal::bench {

struct ImageManifest {
  std::string digest;
  std::string media_type;
  std::uint64_t size = 0;
};
struct ImageBlob {
  std::string digest;
  std::string media_type;
  std::uint64_t size = 0;
  bool config = false;
};
struct Image {
  std::string repository;
  std::string reference;                 // as asked for: a tag or a digest
  std::vector<ImageManifest> manifests;  // the one under that name first, then those it leads to
  std::vector<ImageBlob> blobs;          // each once; the config first

  [[nodiscard]] std::uint64_t bytes() const {
    std::uint64_t sum = 0;
    for (const auto& blob : blobs) sum += blob.size;
    return sum;
  }
};

}  // namespace shoal::bench
