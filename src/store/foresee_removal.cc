// LocalStore::foresee_removal: what IndexEdit::remove_repository and what follows it would do, without doing it.
#include "local_store.h"

namespace shoal::store {
namespace {

constexpr std::size_t kSlice = 1024;  // rows a read transaction

struct Sum {
  std::uint64_t& blobs;
  std::uint64_t& bytes;
};

}  // namespace

base::Result<RemovalForecast> LocalStore::foresee_removal(std::string_view repository) const {
  RemovalForecast sum;
  const auto prefix = format::repository_prefix(repository);
  for (const auto table : {Table::tags, Table::links}) {
    std::string from = prefix;
    while (!from.empty()) {
      const auto txn = core_->index->read();
      const IndexView view(txn);
      auto cursor = txn.cursor(table);
      bool more = cursor.seek(from);
      for (std::size_t rows = 0; more && cursor.key().starts_with(prefix) && rows < kSlice;
           more = cursor.next(), ++rows) {
        if (table == Table::tags) {
          ++sum.tags;
          continue;
        }
        const auto digest = format::parse_digest_key(cursor.key().substr(prefix.size()));
        if (!digest) continue;
        const bool alone = view.holders(*digest, 2).size() < 2;
        if (alone) {
          const auto manifest = view.manifest(*digest);
          if (manifest && !manifest->pinned) ++sum.manifests;
        }
        const auto blob = view.blob(*digest);
        if (!blob) continue;
        const Sum part = !alone                          ? Sum{sum.blobs_shared, sum.bytes_shared}
                         : blob->pinned                  ? Sum{sum.blobs_pinned, sum.bytes_pinned}
                         : core_->guard->in_use(*digest) ? Sum{sum.blobs_in_use, sum.bytes_in_use}
                                                         : Sum{sum.blobs, sum.bytes};
        ++part.blobs;
        part.bytes += blob->size;
      }
      if (!txn.ok()) return unreadable_index();
      from = more && cursor.key().starts_with(prefix) ? std::string(cursor.key()) : std::string();
    }
  }
  return sum;
}

}  // namespace shoal::store
