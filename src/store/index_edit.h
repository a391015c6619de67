// IndexEdit: typed writes of one transaction; keeps the totals and the reverse of the links in step with the records.
// Lives on the index writer's thread (or in Store::open, before that thread starts), for one transaction.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "format.h"
#include "index_view.h"
#include "lmdb_index.h"
#include "shoal/store/records.h"
#include "touches.h"

namespace shoal::store {

class IndexEdit {
 public:
  IndexEdit(WriteTxn& txn, base::WallTime now) : txn_(txn), view_(txn), now_(now), totals_(view_.totals()) {}

  // `unshown` takes the blobs that no repository shows any more (RemoveRepository).
  void apply(const Write& write, std::vector<base::Digest>& unshown);

  void put_blob(const base::Digest& digest, const BlobRecord& record);  // a pin stays; hosted follows the links
  // Only if the record is still about that file: a fill may have published another meanwhile.
  // Identity, size and time of verification; what else is known of it stays.
  void renew_blob(const base::Digest& digest, const BlobRecord& if_same_file, const BlobRecord& renewed);
  void erase_blob(const base::Digest& digest, const BlobRecord& if_same_file);
  // Merges: what was proven or hosted stays so, a known size stays unless a new one comes. Its age begins anew.
  void put_link(std::string_view repository, const base::Digest& digest, const LinkRecord& record);
  void erase_link(std::string_view repository, const base::Digest& digest);
  void release(std::string_view repository, const base::Digest& manifest);  // see Hosted::release_tag
  void put_hosted_manifest(const PutManifest& write);  // as PutManifest, to a repository of our own
  void erase_manifest(const base::Digest& digest);
  bool erase_tag(std::string_view repository, std::string_view tag);
  void touch(const TouchMap& touches);

  // Removes its tags, links and negative records, and manifests that nothing else shows. Blobs that nothing shows any
  // more become the first choice of eviction and are answered. What is hosted stays.
  [[nodiscard]] std::vector<base::Digest> remove_repository(std::string_view repository);

  [[nodiscard]] const IndexView& view() const { return view_; }
  [[nodiscard]] WriteTxn& txn() { return txn_; }
  [[nodiscard]] const format::Totals& totals() const { return totals_; }
  [[nodiscard]] base::WallTime now() const { return now_; }
  void save_totals();  // before the commit

  // A hosted repository without links or tags is no longer one. False: it has some.
  bool drop_if_empty(std::string_view repository);

 private:
  void put_manifest(const PutManifest& write, bool hosted);
  void store_link(std::string_view repository, const base::Digest& digest, format::StoredLink link);
  void write_blob(const base::Digest& digest, const std::optional<BlobRecord>& old, const BlobRecord& record);
  void forget_blob(const BlobRecord& old);
  void set_hosted(const base::Digest& digest, bool hosted);
  void put_absent(const PutAbsent& write);
  void pin(const PinBlob& write);
  void drop_expired_absent(std::string_view behind);

  WriteTxn& txn_;
  IndexView view_;
  base::WallTime now_;
  format::Totals totals_;
};

[[nodiscard]] format::HostedRecord new_hosted(base::WallTime now);
[[nodiscard]] bool is_kept(const BlobRecord& record);  // eviction leaves it alone
[[nodiscard]] bool same_file(const BlobRecord& a, const BlobRecord& b);

// Are the names and values within what the index can hold? ErrorKind::invalid says which is not.
[[nodiscard]] base::Result<void> check_writes(std::span<const Write> writes);
[[nodiscard]] std::size_t approximate_bytes(const Write& write);

}  // namespace shoal::store
