#include "collect_marks.h"

#include "manifest_names.h"

namespace shoal::store {
namespace {

constexpr std::size_t kRowsPerStep = 1024;
constexpr std::size_t kOpenPerStep = 512;          // digests looked into
constexpr std::size_t kBytesPerStep = 4ULL << 20;  // ... of manifests

}  // namespace

void CollectMarks::settle_some(const IndexView& view, const Txn& txn) {
  std::size_t looked = 0, rows = 0, bytes = 0;
  while (!settled() && looked < kOpenPerStep && bytes < kBytesPerStep) {
    if (!subject_) {
      ++looked;
      open_next(view, bytes);
    }
    if (subject_ && !add_referrers(txn, rows)) return;
  }
}

void CollectMarks::open_next(const IndexView& view, std::size_t& bytes) {
  const auto digest = open_.back();
  open_.pop_back();
  if (gone_ != nullptr && gone_->contains(digest)) return;
  const auto link = view.link(repository_, digest);
  if (!link || !link->manifest) return;
  const auto manifest = view.manifest(digest);
  if (!manifest) return;
  bytes += manifest->record.bytes->size();
  for (const auto& named : named_by(*manifest->record.bytes)) add(named);
  subject_ = digest;
  referrers_from_ = format::subject_prefix(repository_, digest);
}

// A subject may have any number of them. One that comes behind the walk is noted in the shield by its push.
bool CollectMarks::add_referrers(const Txn& txn, std::size_t& rows) {
  const auto prefix = format::subject_prefix(repository_, *subject_);
  auto cursor = txn.cursor(Table::referrers);
  for (bool more = cursor.seek(referrers_from_); more && cursor.key().starts_with(prefix); more = cursor.next()) {
    if (rows++ == kRowsPerStep) {
      referrers_from_ = cursor.key();
      return false;
    }
    if (const auto referrer = format::parse_digest_key(cursor.key().substr(prefix.size()))) add(*referrer);
  }
  subject_.reset();
  return true;
}

}  // namespace shoal::store
