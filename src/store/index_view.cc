#include "index_view.h"

#include <algorithm>
#include <unordered_set>

namespace shoal::store {
namespace {

// The repository of the first key behind all keys of `last`; nullopt: none.
std::optional<std::string> next_repository(const Txn& txn, Table table, std::string_view last) {
  auto cursor = txn.cursor(table);
  if (!cursor.seek(last.empty() ? std::string() : format::after_repository(last))) return std::nullopt;
  const auto parts = format::split_repository_key(cursor.key());
  if (!parts) return std::nullopt;
  return std::string(parts->first);
}

// splitmix64: spreads a counter over 64 bits.
std::uint64_t mix(std::uint64_t x) {
  x += 0x9e3779b97f4a7c15ULL;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
  return x ^ (x >> 31);
}

}  // namespace

std::string random_digest_key(std::uint64_t seed, std::uint64_t i) {
  const std::uint64_t r = mix(seed ^ mix(i));
  std::string key(1, static_cast<char>(base::HashAlgorithm::sha256));
  for (int b = 0; b < 8; ++b) key += static_cast<char>((r >> (8 * b)) & 0xff);
  return key;
}

format::Totals IndexView::totals() const {
  const auto bytes = txn_.get(Table::meta, "totals");
  return bytes ? format::decode_totals(*bytes).value_or(format::Totals{}) : format::Totals{};
}

std::optional<BlobRecord> IndexView::blob(const base::Digest& digest) const {
  const auto bytes = txn_.get(Table::blobs, format::digest_key(digest));
  return bytes ? format::decode_blob(*bytes) : std::nullopt;
}

std::optional<format::StoredManifest> IndexView::manifest(const base::Digest& digest) const {
  const auto bytes = txn_.get(Table::manifests, format::digest_key(digest));
  return bytes ? format::decode_manifest(*bytes) : std::nullopt;
}

std::optional<format::ManifestUse> IndexView::manifest_use(const base::Digest& digest) const {
  const auto bytes = txn_.get(Table::manifest_use, format::digest_key(digest));
  return bytes ? format::decode_use(*bytes) : std::nullopt;
}

std::optional<TagRecord> IndexView::tag(std::string_view repository, std::string_view tag) const {
  const auto bytes = txn_.get(Table::tags, format::name_key(repository, tag));
  return bytes ? format::decode_tag(*bytes) : std::nullopt;
}

std::optional<format::StoredLink> IndexView::link(std::string_view repository, const base::Digest& digest) const {
  const auto bytes = txn_.get(Table::links, format::link_key(repository, digest));
  return bytes ? format::decode_link(*bytes) : std::nullopt;
}

std::optional<base::WallTime> IndexView::absent(std::string_view repository, std::string_view reference) const {
  const auto bytes = txn_.get(Table::absent, format::name_key(repository, reference));
  return bytes ? format::decode_time(*bytes) : std::nullopt;
}

std::optional<std::string> IndexView::state(std::string_view key) const {
  const auto bytes = txn_.get(Table::state, key);
  if (!bytes) return std::nullopt;
  return std::string(*bytes);
}

std::vector<std::pair<std::string, std::string>> IndexView::states(std::string_view prefix, std::string_view last,
                                                                   std::size_t limit) const {
  std::vector<std::pair<std::string, std::string>> found;
  auto cursor = txn_.cursor(Table::state);
  for (bool more = cursor.seek(std::max(prefix, last)); more && found.size() < limit; more = cursor.next()) {
    if (!cursor.key().starts_with(prefix)) break;
    if (cursor.key() != last) found.emplace_back(cursor.key(), cursor.value());
  }
  return found;
}

bool IndexView::has_holder(const base::Digest& digest) const {
  const auto prefix = format::digest_key(digest);
  auto cursor = txn_.cursor(Table::holders);
  return cursor.seek(prefix) && cursor.key().starts_with(prefix);
}

bool IndexView::has_hosted_link(const base::Digest& digest, std::string_view except) const {
  const auto prefix = format::digest_key(digest);
  auto cursor = txn_.cursor(Table::holders);
  for (bool more = cursor.seek(prefix); more && cursor.key().starts_with(prefix); more = cursor.next()) {
    const auto repository = cursor.key().substr(prefix.size());
    const auto held = repository == except ? std::nullopt : link(repository, digest);
    if (held && held->record.hosted) return true;
  }
  return false;
}

bool IndexView::has_manifest(const base::Digest& digest) const {
  return txn_.get(Table::manifests, format::digest_key(digest)).has_value();
}

std::optional<format::HostedRecord> IndexView::hosted(std::string_view repository) const {
  const auto bytes = txn_.get(Table::hosted, repository);
  return bytes ? format::decode_hosted(*bytes) : std::nullopt;
}

std::vector<std::string> IndexView::holders(const base::Digest& digest, std::size_t limit) const {
  std::vector<std::string> found;
  const auto prefix = format::digest_key(digest);
  auto cursor = txn_.cursor(Table::holders);
  for (bool more = cursor.seek(prefix); more && found.size() < limit; more = cursor.next()) {
    if (!cursor.key().starts_with(prefix)) break;
    found.emplace_back(cursor.key().substr(prefix.size()));
  }
  return found;
}

std::vector<std::string> IndexView::repositories(std::string_view last, std::size_t limit) const {
  std::vector<std::string> found;
  std::string at(last);
  while (found.size() < limit) {
    auto next = next_repository(txn_, Table::links, at);
    auto tagged = next_repository(txn_, Table::tags, at);
    if (tagged && (!next || *tagged < *next)) next = std::move(tagged);
    if (!next) break;
    at = *next;
    found.push_back(std::move(*next));
  }
  return found;
}

std::vector<std::pair<std::string, TagRecord>> IndexView::tags(std::string_view repository, std::string_view last,
                                                               std::size_t limit) const {
  std::vector<std::pair<std::string, TagRecord>> found;
  const auto prefix = format::repository_prefix(repository);
  const auto from = format::name_key(repository, last);
  auto cursor = txn_.cursor(Table::tags);
  for (bool more = cursor.seek(from); more && found.size() < limit; more = cursor.next()) {
    if (!cursor.key().starts_with(prefix)) break;
    const auto tag = cursor.key().substr(prefix.size());
    if (tag == last) continue;
    if (const auto record = format::decode_tag(cursor.value())) found.emplace_back(std::string(tag), *record);
  }
  return found;
}

std::vector<std::pair<base::Digest, BlobRecord>> IndexView::blobs(const std::optional<base::Digest>& last,
                                                                  std::size_t limit) const {
  std::vector<std::pair<base::Digest, BlobRecord>> found;
  auto cursor = txn_.cursor(Table::blobs);
  for (bool more = cursor.seek(last ? format::digest_key(*last) : std::string()); more && found.size() < limit;
       more = cursor.next()) {
    const auto digest = format::parse_digest_key(cursor.key());
    if (!digest || (last && *digest == *last)) continue;
    if (const auto record = format::decode_blob(cursor.value())) found.emplace_back(*digest, *record);
  }
  return found;
}

// Keys only: large manifests lie on pages of their own, which are not touched.
std::vector<base::Digest> IndexView::manifests(const std::optional<base::Digest>& last, std::size_t limit) const {
  std::vector<base::Digest> found;
  auto cursor = txn_.cursor(Table::manifests);
  for (bool more = cursor.seek(last ? format::digest_key(*last) : std::string()); more && found.size() < limit;
       more = cursor.next()) {
    const auto digest = format::parse_digest_key(cursor.key());
    if (digest && digest != last) found.push_back(*digest);
  }
  return found;
}

std::vector<std::pair<base::Digest, BlobRecord>> IndexView::sample_blobs(std::size_t runs, std::size_t run_length,
                                                                         std::uint64_t seed) const {
  std::vector<std::pair<base::Digest, BlobRecord>> sample;
  std::unordered_set<base::Digest> seen;
  auto cursor = txn_.cursor(Table::blobs);
  for (std::size_t run = 0; run < runs; ++run) {
    bool more = cursor.seek(random_digest_key(seed, run)) || cursor.seek("");
    for (std::size_t i = 0; i < run_length && more; ++i) {
      const auto digest = format::parse_digest_key(cursor.key());
      if (digest && seen.insert(*digest).second) {
        if (const auto record = format::decode_blob(cursor.value())) sample.emplace_back(*digest, *record);
      }
      more = cursor.next() || cursor.seek("");
    }
  }
  return sample;
}

}  // namespace shoal::store
