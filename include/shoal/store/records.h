// What the index remembers, as values. Byte formats: src/store/format.h.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "shoal/base/clock.h"
#include "shoal/base/digest.h"

namespace shoal::store {

struct BlobRecord {
  std::uint64_t size = 0;
  base::WallTime verified{};  // its digest was checked then
  base::WallTime last_use{};  // flushed in batches: may lag by seconds
  std::uint32_t uses = 0;
  bool pinned = false;
  bool hosted = false;  // some repository's link is hosted; kept by the index
  // Identity of the file when it was verified; another one means somebody touched it: verify before serving.
  std::uint64_t inode = 0;
  std::int64_t mtime_ns = 0;
  std::int64_t ctime_ns = 0;
};

struct ManifestRecord {
  std::string media_type;
  std::shared_ptr<const std::string> bytes;
  base::WallTime stored{};
};

// A tag of a mirrored repository as upstream last told. Whether it is fresh is mirror's decision, by policy.
struct TagRecord {
  base::Digest digest;
  base::WallTime fetched{};  // first seen with this digest
  base::WallTime checked{};  // upstream last confirmed it
};

// Repository <-> content. `proven`: fetched there, or upstream said in that repository that it exists; only then may
// the repository show it. A manifest that names a blob gives its size, which is a hint, not a proof.
struct LinkRecord {
  std::optional<std::uint64_t> size;
  bool proven = false;
  bool hosted = false;    // pushed to, or mounted in, a repository of our own: its content is never evicted
  bool manifest = false;  // hosted, and pushed there as a manifest; told by find_link, not taken by PutLink
};

// --- writes: values handed to Store::commit, applied together in order ---
struct PutManifest {  // also links it to `repository` as proven
  std::string repository;
  base::Digest digest;
  std::string media_type;
  std::shared_ptr<const std::string> bytes;
  base::WallTime now;
};
struct PutTag {  // also removes a negative record of the same reference
  std::string repository;
  std::string tag;
  TagRecord record;
};
struct RemoveTag {
  std::string repository;
  std::string tag;
};
struct PutLink {  // merges: proven stays proven, a known size stays unless a new one comes
  std::string repository;
  base::Digest digest;
  LinkRecord record;
};
struct PutAbsent {  // upstream said 404 for this tag or digest
  std::string repository;
  std::string reference;
  base::WallTime until;
};
struct PutState {  // small things other modules persist ("upstream/docker.io/health"); empty value removes
  std::string key;
  std::string value;
};
struct RemoveRepository {  // its tags, links and negative records; content goes when nothing else shows it
  std::string repository;
};
struct PinBlob {
  base::Digest digest;
  bool pinned;
};
using Write = std::variant<PutManifest, PutTag, RemoveTag, PutLink, PutAbsent, PutState, RemoveRepository, PinBlob>;

}  // namespace shoal::store
