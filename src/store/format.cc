#include "format.h"

#include <span>

namespace shoal::store::format {
namespace {

constexpr std::uint8_t kVersion = 1;
constexpr std::uint8_t kLinkVersion = 2;  // 1 had no hosted links

class Out {
 public:
  explicit Out(std::uint8_t version = kVersion) { u8(version); }
  void u8(std::uint8_t v) { bytes_ += static_cast<char>(v); }
  void u16(std::uint16_t v) { little(v, 2); }
  void u32(std::uint32_t v) { little(v, 4); }
  void u64(std::uint64_t v) { little(v, 8); }
  void i64(std::int64_t v) { u64(static_cast<std::uint64_t>(v)); }
  void time(base::WallTime t) {
    i64(std::chrono::duration_cast<std::chrono::nanoseconds>(t.time_since_epoch()).count());
  }
  void raw(std::string_view v) { bytes_.append(v); }
  [[nodiscard]] std::string take() { return std::move(bytes_); }

 private:
  void little(std::uint64_t v, int n) {
    for (int i = 0; i < n; ++i) bytes_ += static_cast<char>((v >> (8 * i)) & 0xff);
  }
  std::string bytes_;
};

// Reads past the end give zeros and make ok() false; look once, at the end.
class In {
 public:
  explicit In(std::string_view bytes, std::uint8_t newest = kVersion) : rest_(bytes) {
    version_ = u8();
    ok_ = version_ >= kVersion && version_ <= newest && ok_;
  }
  [[nodiscard]] std::uint8_t version() const { return version_; }
  std::uint8_t u8() { return static_cast<std::uint8_t>(little(1)); }
  std::uint16_t u16() { return static_cast<std::uint16_t>(little(2)); }
  std::uint32_t u32() { return static_cast<std::uint32_t>(little(4)); }
  std::uint64_t u64() { return little(8); }
  std::int64_t i64() { return static_cast<std::int64_t>(u64()); }
  base::WallTime time() { return base::WallTime(std::chrono::nanoseconds(i64())); }
  std::string_view raw(std::size_t n) {
    if (n > rest_.size()) {
      ok_ = false;
      return {};
    }
    const auto piece = rest_.substr(0, n);
    rest_.remove_prefix(n);
    return piece;
  }
  std::string_view rest() { return raw(rest_.size()); }
  [[nodiscard]] bool at_end() const { return ok_ && rest_.empty(); }
  [[nodiscard]] bool ok() const { return ok_; }

 private:
  std::uint64_t little(std::size_t n) {
    const auto piece = raw(n);
    std::uint64_t v = 0;
    for (std::size_t i = 0; i < piece.size(); ++i) {
      v |= static_cast<std::uint64_t>(static_cast<std::uint8_t>(piece[i])) << (8 * i);
    }
    return v;
  }
  std::string_view rest_;
  std::uint8_t version_ = 0;
  bool ok_ = true;
};

std::size_t raw_size(std::uint8_t algorithm) {
  switch (algorithm) {
    case static_cast<std::uint8_t>(base::HashAlgorithm::sha256): return 32;
    case static_cast<std::uint8_t>(base::HashAlgorithm::sha512): return 64;
    default: return 0;
  }
}

// The digest at the front of `bytes`, and what follows.
std::optional<std::pair<base::Digest, std::string_view>> front_digest(std::string_view bytes) {
  if (bytes.empty()) return std::nullopt;
  const auto algorithm = static_cast<std::uint8_t>(bytes[0]);
  const std::size_t size = raw_size(algorithm);
  if (size == 0 || bytes.size() < 1 + size) return std::nullopt;
  const auto* raw = reinterpret_cast<const std::uint8_t*>(bytes.data() + 1);
  return std::pair{base::Digest::from_bytes(static_cast<base::HashAlgorithm>(algorithm), std::span(raw, size)),
                   bytes.substr(1 + size)};
}

enum BlobFlags : std::uint8_t { kPinned = 1, kHosted = 2 };
enum LinkFlags : std::uint8_t { kProven = 1, kHasSize = 2, kLinkHosted = 4, kManifest = 8, kReleased = 16 };

}  // namespace

std::string digest_key(const base::Digest& digest) {
  std::string key(1, static_cast<char>(digest.algorithm()));
  const auto raw = digest.bytes();
  return key.append(reinterpret_cast<const char*>(raw.data()), raw.size());
}

std::optional<base::Digest> parse_digest_key(std::string_view key) {
  auto front = front_digest(key);
  if (!front || !front->second.empty()) return std::nullopt;
  return front->first;
}

std::string repository_prefix(std::string_view repository) { return std::string(repository).append(1, '\0'); }

std::string after_repository(std::string_view repository) { return std::string(repository).append(1, '\x01'); }

std::string name_key(std::string_view repository, std::string_view name) {
  return repository_prefix(repository).append(name);
}

std::string link_key(std::string_view repository, const base::Digest& digest) {
  return repository_prefix(repository).append(digest_key(digest));
}

std::string subject_prefix(std::string_view repository, const base::Digest& subject) {
  return link_key(repository, subject);
}

std::string referrer_key(std::string_view repository, const base::Digest& subject, const base::Digest& referrer) {
  return subject_prefix(repository, subject).append(digest_key(referrer));
}

std::string holder_key(const base::Digest& digest, std::string_view repository) {
  return digest_key(digest).append(repository);
}

std::optional<std::pair<std::string_view, std::string_view>> split_repository_key(std::string_view key) {
  const auto nul = key.find('\0');
  if (nul == std::string_view::npos) return std::nullopt;
  return std::pair{key.substr(0, nul), key.substr(nul + 1)};
}

std::optional<std::pair<base::Digest, std::string_view>> parse_holder_key(std::string_view key) {
  return front_digest(key);
}

std::string encode(const Totals& totals) {
  Out out;
  for (const auto v : {totals.blobs, totals.blob_bytes, totals.pinned_bytes, totals.manifests, totals.tags}) out.u64(v);
  return out.take();
}

std::optional<Totals> decode_totals(std::string_view bytes) {
  In in(bytes);
  Totals totals;
  for (auto* v : {&totals.blobs, &totals.blob_bytes, &totals.pinned_bytes, &totals.manifests, &totals.tags}) {
    *v = in.u64();
  }
  if (!in.at_end()) return std::nullopt;
  return totals;
}

std::string encode(const BlobRecord& record) {
  Out out;
  out.u64(record.size);
  out.time(record.verified);
  out.time(record.last_use);
  out.u32(record.uses);
  out.u8(static_cast<std::uint8_t>((record.pinned ? kPinned : 0) | (record.hosted ? kHosted : 0)));
  out.u64(record.inode);
  out.i64(record.mtime_ns);
  out.i64(record.ctime_ns);
  return out.take();
}

std::optional<BlobRecord> decode_blob(std::string_view bytes) {
  In in(bytes);
  BlobRecord record;
  record.size = in.u64();
  record.verified = in.time();
  record.last_use = in.time();
  record.uses = in.u32();
  const auto flags = in.u8();
  record.pinned = (flags & kPinned) != 0;
  record.hosted = (flags & kHosted) != 0;
  record.inode = in.u64();
  record.mtime_ns = in.i64();
  record.ctime_ns = in.i64();
  if (!in.at_end()) return std::nullopt;
  return record;
}

std::string encode(const StoredManifest& manifest) {
  Out out;
  out.u8(manifest.pinned ? kPinned : 0);
  out.time(manifest.record.stored);
  out.u16(static_cast<std::uint16_t>(manifest.record.media_type.size()));
  out.raw(manifest.record.media_type);
  out.raw(*manifest.record.bytes);
  return out.take();
}

std::optional<StoredManifest> decode_manifest(std::string_view bytes) {
  In in(bytes);
  StoredManifest manifest;
  manifest.pinned = (in.u8() & kPinned) != 0;
  manifest.record.stored = in.time();
  manifest.record.media_type = in.raw(in.u16());
  if (!in.ok()) return std::nullopt;
  manifest.record.bytes = std::make_shared<const std::string>(in.rest());
  return manifest;
}

std::string encode(const ManifestUse& use) {
  Out out;
  out.time(use.last_use);
  out.u32(use.uses);
  return out.take();
}

std::optional<ManifestUse> decode_use(std::string_view bytes) {
  In in(bytes);
  ManifestUse use;
  use.last_use = in.time();
  use.uses = in.u32();
  if (!in.at_end()) return std::nullopt;
  return use;
}

std::string encode(const TagRecord& record) {
  Out out;
  out.time(record.fetched);
  out.time(record.checked);
  out.raw(digest_key(record.digest));
  return out.take();
}

std::optional<TagRecord> decode_tag(std::string_view bytes) {
  In in(bytes);
  const auto fetched = in.time();
  const auto checked = in.time();
  if (!in.ok()) return std::nullopt;
  const auto digest = parse_digest_key(in.rest());
  if (!digest) return std::nullopt;
  return TagRecord{*digest, fetched, checked};
}

std::string encode(const StoredLink& link) {
  Out out(kLinkVersion);
  out.u8(static_cast<std::uint8_t>((link.record.proven ? kProven : 0) | (link.record.size ? kHasSize : 0) |
                                   (link.record.hosted ? kLinkHosted : 0) | (link.manifest ? kManifest : 0) |
                                   (link.released ? kReleased : 0)));
  out.u64(link.record.size.value_or(0));
  out.time(link.stored);
  return out.take();
}

std::optional<StoredLink> decode_link(std::string_view bytes) {
  In in(bytes, kLinkVersion);
  const auto flags = in.u8();
  const auto size = in.u64();
  StoredLink link;
  link.stored = in.time();
  if (!in.at_end()) return std::nullopt;
  link.record.proven = (flags & kProven) != 0;
  if ((flags & kHasSize) != 0) link.record.size = size;
  if (in.version() >= kLinkVersion) {
    link.record.hosted = (flags & kLinkHosted) != 0;
    link.manifest = link.record.manifest = (flags & kManifest) != 0;
    link.released = (flags & kReleased) != 0;
  }
  return link;
}

std::string encode(const UploadRecord& record) {
  Out out;
  out.time(record.started);
  out.raw(record.repository);
  return out.take();
}

std::optional<UploadRecord> decode_upload(std::string_view bytes) {
  In in(bytes);
  UploadRecord record;
  record.started = in.time();
  if (!in.ok()) return std::nullopt;
  record.repository = in.rest();
  if (record.repository.empty() || record.repository.size() > kMaxRepositoryKeyBytes) return std::nullopt;
  return record;
}

std::string encode(const HostedRecord& record) {
  Out out;
  out.time(record.created);
  out.u64(record.changes);
  return out.take();
}

std::optional<HostedRecord> decode_hosted(std::string_view bytes) {
  In in(bytes);
  HostedRecord record;
  record.created = in.time();
  record.changes = in.u64();
  if (!in.at_end()) return std::nullopt;
  return record;
}

std::string encode_descriptor(std::string_view json) {
  Out out;
  out.raw(json);
  return out.take();
}

std::optional<std::string> decode_descriptor(std::string_view bytes) {
  In in(bytes);
  if (!in.ok()) return std::nullopt;
  return std::string(in.rest());
}

std::string encode_time(base::WallTime time) {
  Out out;
  out.time(time);
  return out.take();
}

std::optional<base::WallTime> decode_time(std::string_view bytes) {
  In in(bytes);
  const auto time = in.time();
  if (!in.at_end()) return std::nullopt;
  return time;
}

}  // namespace shoal::store::format
