// Names, references and request paths of the OCI Distribution protocol, as pure values.
// OCI distribution-spec 1.1, "Pulling manifests"; facts: names, references, digests.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "shoal/base/digest.h"

namespace shoal::registry {

inline constexpr std::size_t kMaxRepositoryBytes = 255;

// Path part of a repository: "library/nginx". Grammar of the spec, at most 255 bytes.
[[nodiscard]] bool valid_repository(std::string_view name);
// At most 128 characters, [a-zA-Z0-9_][a-zA-Z0-9._-]*
[[nodiscard]] bool valid_tag(std::string_view tag);
// "docker.io", "localhost:5000", "[::1]:5000": something that can name a registry (has a dot, a colon, or is
// localhost).
[[nodiscard]] bool valid_registry_host(std::string_view host);

using Tag = std::string;
using Reference = std::variant<Tag, base::Digest>;
[[nodiscard]] std::string to_string(const Reference& reference);

// What a path under /v2/ asks for.
struct Ping {};
struct Catalog {};
struct ManifestPath {
  std::string repository;
  Reference reference;
};
struct BlobPath {
  std::string repository;
  base::Digest digest;
};
struct TagsPath {
  std::string repository;
};
struct ReferrersPath {
  std::string repository;
  base::Digest digest;
};
struct UploadPath {
  std::string repository;
  std::string session;
};  // session "" = start one
// The path is not one of those. `code` and `message` are for the OCI error body.
struct BadPath {
  int status;
  std::string code;
  std::string message;
};
using ApiPath = std::variant<Ping, Catalog, ManifestPath, BlobPath, TagsPath, ReferrersPath, UploadPath, BadPath>;

// `path` starts behind "/v2" ("/library/nginx/manifests/latest", "/" or "" for the ping), already percent-decoded once
// by the caller (decode_path). Splits at the last keyword, so that a repository may itself be called "a/blobs/b".
[[nodiscard]] ApiPath parse_api_path(std::string_view path);

// Percent-decodes a path. nullopt when an escape is broken, or decodes to '/', '\', '%', a control byte or NUL, or when
// a segment is "." or "..", or empty ("//"): none of those has an honest use here.
[[nodiscard]] std::optional<std::string> decode_path(std::string_view raw);

// The value of one query parameter, decoded ('+' is a space only in form bodies, not here); nullopt when absent or
// broken. The first wins.
[[nodiscard]] std::optional<std::string> query_value(std::string_view query, std::string_view name);
// A value to be put into a query; what a tag, a name or a media type consists of stays readable, but for '+'.
[[nodiscard]] std::string percent_encoded(std::string_view text);

}  // namespace shoal::registry
