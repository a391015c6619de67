// Manifests and indexes: what a registry needs to read of them. Bytes are never rewritten.
// OCI image-spec manifest.md and image-index.md; Docker schema 2.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "shoal/base/digest.h"
#include "shoal/base/result.h"

namespace shoal::registry {

inline constexpr std::string_view kOciIndex = "application/vnd.oci.image.index.v1+json";
inline constexpr std::string_view kOciManifest = "application/vnd.oci.image.manifest.v1+json";
inline constexpr std::string_view kDockerList = "application/vnd.docker.distribution.manifest.list.v2+json";
inline constexpr std::string_view kDockerManifest = "application/vnd.docker.distribution.manifest.v2+json";
inline constexpr std::string_view kDockerSchema1 = "application/vnd.docker.distribution.manifest.v1+json";
inline constexpr std::string_view kDockerSchema1Signed = "application/vnd.docker.distribution.manifest.v1+prettyjws";
// The Accept header for every manifest request upstream.
[[nodiscard]] const std::string& manifest_accept();

struct Descriptor {
  base::Digest digest;
  std::uint64_t size = 0;
  std::string media_type;
  std::string platform;      // "linux/arm64/v8", of an index's child; "" if none
  bool is_manifest = false;  // a child of an index; otherwise a config or layer
  bool foreign = false;      // has urls: need not be in the registry
};

struct ManifestView {
  std::string media_type;  // the body's own, or told by its shape (schemaVersion, layers, manifests); "" if unknowable
  bool declares_type = false;  // media_type is the body's own
  std::string artifact_type;
  std::vector<Descriptor> children;  // config first, then layers; or the index's manifests
  std::optional<Descriptor> subject;
};

// ErrorKind::corrupt when it is not a JSON object that could be a manifest (HTML, broken JSON, nested too deep).
// Unknown fields and media types are fine; a descriptor we cannot read is left out.
[[nodiscard]] base::Result<ManifestView> parse_manifest(std::string_view bytes);

// The Content-Type to serve: upstream's without parameters if it says what it is, else the view's.
[[nodiscard]] std::string manifest_media_type(std::string_view upstream_content_type, const ManifestView& view);

}  // namespace shoal::registry
