// What a registry reads of a manifest that is pushed to it, and how it lists referrers. Pure.
// OCI distribution-spec "Pushing manifests", "Listing referrers"; image-spec manifest.md, image-index.md.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "shoal/base/digest.h"
#include "shoal/base/result.h"

namespace shoal::registry {

struct PushedManifest {
  std::string media_type;            // to serve it with: Content-Type without parameters, else the body's mediaType
  std::vector<base::Digest> needed;  // each once; neither the subject nor what lives elsewhere (urls, foreign layers)
  std::optional<base::Digest> subject;
};

enum class IndexChildren { needed, optional };

// ErrorKind::invalid when it cannot be taken: not a manifest, another type than it was sent with, Docker schema 1.
[[nodiscard]] base::Result<PushedManifest> read_push(std::string_view content_type, std::string_view bytes,
                                                     IndexChildren children);

// JSON of the descriptor that a referrers list holds: mediaType, digest, size, artifactType, annotations.
[[nodiscard]] std::string referrer_descriptor(std::string_view bytes, const base::Digest& digest,
                                              std::string_view media_type);
[[nodiscard]] std::string descriptor_artifact_type(std::string_view descriptor);  // "" if it has none
// An OCI index of such descriptors.
[[nodiscard]] std::string referrers_body(const std::vector<std::string>& descriptors);

// "22-41" as an upload has it, without a unit: first and last byte.
struct ChunkRange {
  std::uint64_t first = 0;
  std::uint64_t last = 0;
  [[nodiscard]] std::uint64_t size() const { return last - first + 1; }
  friend bool operator==(const ChunkRange&, const ChunkRange&) = default;
};
// Also with "bytes " in front and "/<total>" or "/*" behind, as HTTP writes it. nullopt: malformed.
[[nodiscard]] std::optional<ChunkRange> parse_chunk_range(std::string_view text);

}  // namespace shoal::registry
