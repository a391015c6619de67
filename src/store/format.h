// Keys and values of the index as bytes. A value starts with a version byte; integers are fixed-size little-endian,
// times are nanoseconds since 1970. A value with an unknown version or a wrong length decodes to nullopt and is treated
// as absent, never as an error: it is a cache. Pure; fuzzed.
//
//   table         key                              value
//   meta          "totals"                         Totals
//   blobs         digest                           BlobRecord
//   manifests     digest                           StoredManifest
//   manifest_use  digest                           ManifestUse
//   tags          repository NUL tag               TagRecord
//   links         repository NUL digest            StoredLink
//   holders       digest repository                (empty; the reverse of links)
//   absent        repository NUL reference         WallTime
//   state         key                              raw bytes
//   uploads       id                               UploadRecord
//   hosted        repository                       HostedRecord
//   referrers     repository NUL subject referrer  descriptor (JSON)
//
// digest = algorithm byte, raw bytes. A key is at most 511 bytes (LMDB's limit); see kMaxRepositoryKeyBytes and co.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "shoal/store/records.h"

namespace shoal::store::format {

inline constexpr std::size_t kMaxRepositoryKeyBytes = 320;  // host/path, canonical
inline constexpr std::size_t kMaxTagBytes = 128;
inline constexpr std::size_t kMaxReferenceBytes = 136;  // a tag, or "sha512:<128 hex>"
inline constexpr std::size_t kMaxStateKeyBytes = 480;

struct Totals {
  std::uint64_t blobs = 0;
  std::uint64_t blob_bytes = 0;
  std::uint64_t pinned_bytes = 0;  // of blobs that eviction leaves alone: pinned or hosted
  std::uint64_t manifests = 0;
  std::uint64_t tags = 0;
  friend bool operator==(const Totals&, const Totals&) = default;
};

struct StoredManifest {
  ManifestRecord record;
  bool pinned = false;
};

struct ManifestUse {
  base::WallTime last_use{};
  std::uint32_t uses = 0;
};

struct StoredLink {
  LinkRecord record;
  base::WallTime stored{};
  bool manifest = false;  // it was pushed as a manifest
  bool released = false;  // ... and retention took a tag from it since
};

struct UploadRecord {  // a push in progress
  std::string repository;
  base::WallTime started{};
};

struct HostedRecord {  // of a repository that something was pushed to
  base::WallTime created{};
  std::uint64_t changes = 0;  // goes up with every manifest pushed: what was read of the repository may be out of date
};

[[nodiscard]] std::string digest_key(const base::Digest& digest);
[[nodiscard]] std::optional<base::Digest> parse_digest_key(std::string_view key);

[[nodiscard]] std::string repository_prefix(std::string_view repository);                // "repository NUL"
[[nodiscard]] std::string after_repository(std::string_view repository);                 // sorts behind all of its keys
[[nodiscard]] std::string name_key(std::string_view repository, std::string_view name);  // tags, absent
[[nodiscard]] std::string link_key(std::string_view repository, const base::Digest& digest);
[[nodiscard]] std::string subject_prefix(std::string_view repository, const base::Digest& subject);
[[nodiscard]] std::string referrer_key(std::string_view repository, const base::Digest& subject,
                                       const base::Digest& referrer);
[[nodiscard]] std::string holder_key(const base::Digest& digest, std::string_view repository);

// Splits at the NUL; nullopt when there is none. The views point into `key`.
[[nodiscard]] std::optional<std::pair<std::string_view, std::string_view>> split_repository_key(std::string_view key);
[[nodiscard]] std::optional<std::pair<base::Digest, std::string_view>> parse_holder_key(std::string_view key);

[[nodiscard]] std::string encode(const Totals& totals);
[[nodiscard]] std::string encode(const BlobRecord& record);
[[nodiscard]] std::string encode(const StoredManifest& manifest);
[[nodiscard]] std::string encode(const ManifestUse& use);
[[nodiscard]] std::string encode(const TagRecord& record);
[[nodiscard]] std::string encode(const StoredLink& link);
[[nodiscard]] std::string encode(const UploadRecord& record);
[[nodiscard]] std::string encode(const HostedRecord& record);
[[nodiscard]] std::string encode_descriptor(std::string_view json);
[[nodiscard]] std::string encode_time(base::WallTime time);

[[nodiscard]] std::optional<Totals> decode_totals(std::string_view bytes);
[[nodiscard]] std::optional<BlobRecord> decode_blob(std::string_view bytes);
[[nodiscard]] std::optional<StoredManifest> decode_manifest(std::string_view bytes);
[[nodiscard]] std::optional<ManifestUse> decode_use(std::string_view bytes);
[[nodiscard]] std::optional<TagRecord> decode_tag(std::string_view bytes);
[[nodiscard]] std::optional<StoredLink> decode_link(std::string_view bytes);
[[nodiscard]] std::optional<UploadRecord> decode_upload(std::string_view bytes);
[[nodiscard]] std::optional<HostedRecord> decode_hosted(std::string_view bytes);
[[nodiscard]] std::optional<std::string> decode_descriptor(std::string_view bytes);
[[nodiscard]] std::optional<base::WallTime> decode_time(std::string_view bytes);

}  // namespace shoal::store::format
