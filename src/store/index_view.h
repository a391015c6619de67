// IndexView: typed reads of one transaction. Made, used and dropped within one call.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "format.h"
#include "lmdb_index.h"
#include "shoal/store/records.h"

namespace shoal::store {

class IndexView {
 public:
  explicit IndexView(const Txn& txn) : txn_(txn) {}

  [[nodiscard]] format::Totals totals() const;
  [[nodiscard]] std::optional<BlobRecord> blob(const base::Digest& digest) const;
  [[nodiscard]] std::optional<format::StoredManifest> manifest(const base::Digest& digest) const;
  [[nodiscard]] std::optional<format::ManifestUse> manifest_use(const base::Digest& digest) const;
  [[nodiscard]] std::optional<TagRecord> tag(std::string_view repository, std::string_view tag) const;
  [[nodiscard]] std::optional<format::StoredLink> link(std::string_view repository, const base::Digest& digest) const;
  [[nodiscard]] std::optional<base::WallTime> absent(std::string_view repository, std::string_view reference) const;
  [[nodiscard]] std::optional<std::string> state(std::string_view key) const;
  [[nodiscard]] std::vector<std::pair<std::string, std::string>> states(std::string_view prefix, std::string_view last,
                                                                        std::size_t limit) const;
  [[nodiscard]] bool has_holder(const base::Digest& digest) const;  // some repository links to it
  [[nodiscard]] bool has_hosted_link(const base::Digest& digest,
                                     std::string_view except = {}) const;  // some hosted repository shows it
  [[nodiscard]] bool has_manifest(const base::Digest& digest) const;       // without reading it
  [[nodiscard]] std::optional<format::HostedRecord> hosted(std::string_view repository) const;

  [[nodiscard]] std::vector<std::string> repositories(std::string_view last, std::size_t limit) const;
  [[nodiscard]] std::vector<std::pair<std::string, TagRecord>> tags(std::string_view repository, std::string_view last,
                                                                    std::size_t limit) const;
  [[nodiscard]] std::vector<std::pair<base::Digest, BlobRecord>> blobs(const std::optional<base::Digest>& last,
                                                                       std::size_t limit) const;
  [[nodiscard]] std::vector<base::Digest> manifests(const std::optional<base::Digest>& last, std::size_t limit) const;
  [[nodiscard]] std::vector<std::string> holders(const base::Digest& digest, std::size_t limit) const;

  // Up to `runs` short runs of neighbours from `seed`-chosen places, wrapping around; no digest twice. Digests are
  // spread evenly, so neighbours are as good as strangers and a run costs one descent of the tree.
  [[nodiscard]] std::vector<std::pair<base::Digest, BlobRecord>> sample_blobs(std::size_t runs, std::size_t run_length,
                                                                              std::uint64_t seed) const;

 private:
  const Txn& txn_;
};

// One key after `seed`-chosen `i`-th random point of a table keyed by digest.
[[nodiscard]] std::string random_digest_key(std::uint64_t seed, std::uint64_t i);

}  // namespace shoal::store
