#include "index_trimmer.h"

#include <algorithm>
#include <unordered_set>
#include <vector>

namespace shoal::store {
namespace {

constexpr std::size_t kRuns = 8, kRunLength = 8;  // manifests looked at
constexpr std::size_t kDrops = 16;                // ... and dropped, a round
constexpr std::size_t kLinks = 1024;              // links looked at, a round
constexpr std::size_t kHolders = 64, kTags = 1000;

struct Aged {
  base::Digest digest;
  base::WallTime last_use;
};

std::vector<Aged> sample_manifests(const Txn& txn, const IndexView& view, std::uint64_t seed) {
  std::vector<Aged> sample;
  std::unordered_set<base::Digest> seen;
  auto cursor = txn.cursor(Table::manifests);
  for (std::size_t run = 0; run < kRuns; ++run) {
    bool more = cursor.seek(random_digest_key(seed, run)) || cursor.seek("");
    for (std::size_t i = 0; i < kRunLength && more; ++i) {
      const auto digest = format::parse_digest_key(cursor.key());
      if (digest && seen.insert(*digest).second) {
        const auto manifest = format::decode_manifest(cursor.value());
        if (manifest && !manifest->pinned && !view.has_hosted_link(*digest)) {
          const auto use = view.manifest_use(*digest);
          sample.push_back({*digest, std::max(manifest->record.stored, use ? use->last_use : base::WallTime{})});
        }
      }
      more = cursor.next() || cursor.seek("");
    }
  }
  std::sort(sample.begin(), sample.end(), [](const Aged& a, const Aged& b) { return a.last_use < b.last_use; });
  return sample;
}

}  // namespace

std::size_t IndexTrimmer::trim(IndexEdit& edit) {
  ++seed_;
  return trim_manifests(edit) + trim_links(edit) + trim_absent(edit);
}

std::size_t IndexTrimmer::trim_manifests(IndexEdit& edit) {
  auto sample = sample_manifests(edit.txn(), edit.view(), seed_);
  // The older part of the sample; but a small table may lose all it has.
  if (sample.size() > kDrops) sample.erase(sample.begin() + kDrops, sample.end());
  for (const auto& old : sample) {
    for (const auto& repository : edit.view().holders(old.digest, kHolders)) {
      for (const auto& [tag, record] : edit.view().tags(repository, "", kTags)) {
        if (record.digest == old.digest) (void)edit.erase_tag(repository, tag);  // just seen
      }
      if (!edit.view().blob(old.digest)) edit.erase_link(repository, old.digest);
    }
    edit.erase_manifest(old.digest);
  }
  return sample.size();
}

// A walk that goes on where the last round ended, since names are not spread evenly.
std::size_t IndexTrimmer::trim_links(IndexEdit& edit) {
  std::vector<std::pair<std::string, base::Digest>> dead;
  {
    auto cursor = edit.txn().cursor(Table::links);
    bool more = cursor.seek(link_hand_);
    for (std::size_t i = 0; i < kLinks && more; ++i, more = cursor.next()) {
      const auto parts = format::split_repository_key(cursor.key());
      const auto digest = parts ? format::parse_digest_key(parts->second) : std::nullopt;
      if (!digest) continue;
      const auto link = format::decode_link(cursor.value());
      if (link && link->record.hosted) continue;
      if (edit.view().blob(*digest) || edit.txn().get(Table::manifests, format::digest_key(*digest))) continue;
      dead.emplace_back(std::string(parts->first), *digest);
    }
    link_hand_ = more ? std::string(cursor.key()) : std::string();
  }
  for (const auto& [repository, digest] : dead) edit.erase_link(repository, digest);
  return dead.size();
}

std::size_t IndexTrimmer::trim_absent(IndexEdit& edit) {
  std::vector<std::string> keys;
  {
    auto cursor = edit.txn().cursor(Table::absent);
    for (bool more = cursor.seek(random_digest_key(seed_, 0).substr(1)) || cursor.seek("");
         more && keys.size() < kDrops; more = cursor.next()) {
      keys.emplace_back(cursor.key());
    }
  }
  for (const auto& key : keys) (void)edit.txn().erase(Table::absent, key);  // just seen
  return keys.size();
}

}  // namespace shoal::store
