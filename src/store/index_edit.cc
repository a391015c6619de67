#include "index_edit.h"

#include <algorithm>
#include <limits>

namespace shoal::store {
namespace {

// Negative records beyond this many are dropped oldest place first, expired or not: a client can make them at will.
constexpr std::uint64_t kMaxAbsent = 100'000;

std::vector<std::string> keys_of(const Txn& txn, Table table, std::string_view prefix) {
  std::vector<std::string> keys;
  auto cursor = txn.cursor(table);
  for (bool more = cursor.seek(prefix); more && cursor.key().starts_with(prefix); more = cursor.next()) {
    keys.emplace_back(cursor.key());
  }
  return keys;
}

std::uint32_t add_uses(std::uint32_t uses, std::uint32_t more) {
  return more > std::numeric_limits<std::uint32_t>::max() - uses ? std::numeric_limits<std::uint32_t>::max()
                                                                 : uses + more;
}

}  // namespace

// The count of changes begins where none before it can have been: a repository that comes again is not taken for what
// it was.
format::HostedRecord new_hosted(base::WallTime now) {
  return {now, static_cast<std::uint64_t>(now.time_since_epoch().count())};
}

bool is_kept(const BlobRecord& record) { return record.pinned || record.hosted; }

bool same_file(const BlobRecord& a, const BlobRecord& b) {
  return a.size == b.size && a.inode == b.inode && a.mtime_ns == b.mtime_ns && a.ctime_ns == b.ctime_ns;
}

void IndexEdit::save_totals() { txn_.put(Table::meta, "totals", format::encode(totals_)); }

void IndexEdit::apply(const Write& write, std::vector<base::Digest>& unshown) {
  if (const auto* w = std::get_if<PutManifest>(&write)) return put_manifest(*w, /*hosted=*/false);
  if (const auto* w = std::get_if<PutTag>(&write)) {
    const auto key = format::name_key(w->repository, w->tag);
    if (!txn_.get(Table::tags, key)) ++totals_.tags;
    txn_.put(Table::tags, key, format::encode(w->record));
    (void)txn_.erase(Table::absent, key);  // it was not there: as good
    return;
  }
  if (const auto* w = std::get_if<RemoveTag>(&write)) {
    (void)erase_tag(w->repository, w->tag);  // gone already: as good
    return;
  }
  if (const auto* w = std::get_if<PutLink>(&write)) return put_link(w->repository, w->digest, w->record);
  if (const auto* w = std::get_if<PutAbsent>(&write)) return put_absent(*w);
  if (const auto* w = std::get_if<PutState>(&write)) {
    if (w->value.empty()) {
      (void)txn_.erase(Table::state, w->key);  // gone already: as good
    } else {
      txn_.put(Table::state, w->key, w->value);
    }
    return;
  }
  if (const auto* w = std::get_if<RemoveRepository>(&write)) {
    const auto more = remove_repository(w->repository);
    unshown.insert(unshown.end(), more.begin(), more.end());
    return;
  }
  if (const auto* w = std::get_if<PinBlob>(&write)) return pin(*w);
}

void IndexEdit::put_blob(const base::Digest& digest, const BlobRecord& record) {
  BlobRecord merged = record;
  const auto old = view_.blob(digest);
  if (old) {
    merged.pinned = merged.pinned || old->pinned;
    merged.uses = std::max(merged.uses, old->uses);
  }
  merged.hosted = old ? old->hosted : view_.has_hosted_link(digest);
  write_blob(digest, old, merged);
}

// The one place where a blob's record comes or changes: the totals follow.
void IndexEdit::write_blob(const base::Digest& digest, const std::optional<BlobRecord>& old, const BlobRecord& record) {
  if (old) forget_blob(*old);
  ++totals_.blobs;
  totals_.blob_bytes += record.size;
  if (is_kept(record)) totals_.pinned_bytes += record.size;
  txn_.put(Table::blobs, format::digest_key(digest), format::encode(record));
}

void IndexEdit::forget_blob(const BlobRecord& old) {
  --totals_.blobs;
  totals_.blob_bytes -= old.size;
  if (is_kept(old)) totals_.pinned_bytes -= old.size;
}

void IndexEdit::renew_blob(const base::Digest& digest, const BlobRecord& if_same_file, const BlobRecord& renewed) {
  const auto old = view_.blob(digest);
  if (!old || !same_file(*old, if_same_file)) return;
  BlobRecord record = *old;
  record.verified = renewed.verified;
  record.size = renewed.size;
  record.inode = renewed.inode;
  record.mtime_ns = renewed.mtime_ns;
  record.ctime_ns = renewed.ctime_ns;
  put_blob(digest, record);
}

void IndexEdit::erase_blob(const base::Digest& digest, const BlobRecord& if_same_file) {
  const auto old = view_.blob(digest);
  if (!old || !same_file(*old, if_same_file)) return;
  forget_blob(*old);
  (void)txn_.erase(Table::blobs, format::digest_key(digest));  // it is there
}

void IndexEdit::put_hosted_manifest(const PutManifest& write) { put_manifest(write, /*hosted=*/true); }

void IndexEdit::put_manifest(const PutManifest& write, bool hosted) {
  format::StoredManifest manifest{{write.media_type, write.bytes, write.now}, false};
  const auto key = format::digest_key(write.digest);
  if (const auto old = view_.manifest(write.digest)) {
    manifest.pinned = old->pinned;
    // Another repository must not change what a hosted one says of its manifest.
    if (view_.has_hosted_link(write.digest, write.repository)) {
      manifest.record.media_type = old->record.media_type;
    }
  } else {
    ++totals_.manifests;
  }
  txn_.put(Table::manifests, key, format::encode(manifest));
  store_link(write.repository, write.digest, {{write.bytes->size(), true, hosted}, now_, hosted});
  touch({{write.digest, Touch{1, write.now}}});
  (void)txn_.erase(Table::absent, format::name_key(write.repository, write.digest.to_string()));  // none: as good
}

void IndexEdit::put_link(std::string_view repository, const base::Digest& digest, const LinkRecord& record) {
  store_link(repository, digest, {record, now_, false});
}

void IndexEdit::store_link(std::string_view repository, const base::Digest& digest, format::StoredLink link) {
  if (const auto old = view_.link(repository, digest)) {
    link.record.proven = link.record.proven || old->record.proven;
    link.record.hosted = link.record.hosted || old->record.hosted;
    link.released = old->released && !link.manifest;  // pushed again: it is wanted
    link.manifest = link.manifest || old->manifest;
    if (!link.record.size) link.record.size = old->record.size;
  } else {
    txn_.put(Table::holders, format::holder_key(digest, repository), {});
  }
  txn_.put(Table::links, format::link_key(repository, digest), format::encode(link));
  if (!link.record.hosted) return;
  if (!txn_.get(Table::hosted, repository)) {
    txn_.put(Table::hosted, repository, format::encode(new_hosted(now_)));
  }
  set_hosted(digest, true);
}

void IndexEdit::release(std::string_view repository, const base::Digest& digest) {
  auto link = view_.link(repository, digest);
  if (!link || !link->manifest || link->released) return;
  link->released = true;
  txn_.put(Table::links, format::link_key(repository, digest), format::encode(*link));
}

void IndexEdit::set_hosted(const base::Digest& digest, bool hosted) {
  const auto old = view_.blob(digest);
  if (!old || old->hosted == hosted) return;
  auto record = *old;
  record.hosted = hosted;
  write_blob(digest, old, record);
}

void IndexEdit::erase_link(std::string_view repository, const base::Digest& digest) {
  const auto old = view_.link(repository, digest);
  (void)txn_.erase(Table::links, format::link_key(repository, digest));      // none: as good
  (void)txn_.erase(Table::holders, format::holder_key(digest, repository));  // the same
  if (old && old->record.hosted && !view_.has_hosted_link(digest)) set_hosted(digest, false);
}

void IndexEdit::erase_manifest(const base::Digest& digest) {
  const auto key = format::digest_key(digest);
  if (txn_.erase(Table::manifests, key)) --totals_.manifests;
  (void)txn_.erase(Table::manifest_use, key);  // none: as good
}

bool IndexEdit::drop_if_empty(std::string_view repository) {
  const auto prefix = format::repository_prefix(repository);
  for (const auto table : {Table::links, Table::tags}) {
    auto cursor = txn_.cursor(table);
    if (cursor.seek(prefix) && cursor.key().starts_with(prefix)) return false;
  }
  return txn_.erase(Table::hosted, repository);
}

bool IndexEdit::erase_tag(std::string_view repository, std::string_view tag) {
  if (!txn_.erase(Table::tags, format::name_key(repository, tag))) return false;
  --totals_.tags;
  return true;
}

void IndexEdit::put_absent(const PutAbsent& write) {
  const auto key = format::name_key(write.repository, write.reference);
  txn_.put(Table::absent, key, format::encode_time(write.until));
  drop_expired_absent(key);
}

// Each new negative record looks at a few behind a random place, so that the expired ones go without a sweep.
void IndexEdit::drop_expired_absent(std::string_view behind) {
  constexpr int kLooks = 4;
  const bool too_many = txn_.entries(Table::absent) > kMaxAbsent;
  std::vector<std::string> expired;
  {
    auto cursor = txn_.cursor(Table::absent);
    bool more = cursor.seek(behind) && (cursor.next() || cursor.seek(""));
    for (int i = 0; i < kLooks && more; ++i) {
      const auto until = format::decode_time(cursor.value());
      if (cursor.key() != behind && (too_many || !until || *until <= now_)) expired.emplace_back(cursor.key());
      more = cursor.next() || cursor.seek("");
    }
  }
  for (const auto& key : expired) (void)txn_.erase(Table::absent, key);  // it is there, unless seen twice
}

void IndexEdit::pin(const PinBlob& write) {
  if (const auto old = view_.blob(write.digest); old && old->pinned != write.pinned) {
    auto record = *old;
    record.pinned = write.pinned;
    write_blob(write.digest, old, record);
  }
  if (auto manifest = view_.manifest(write.digest); manifest && manifest->pinned != write.pinned) {
    manifest->pinned = write.pinned;
    txn_.put(Table::manifests, format::digest_key(write.digest), format::encode(*manifest));
  }
}

void IndexEdit::touch(const TouchMap& touches) {
  for (const auto& [digest, touched] : touches) {
    const auto key = format::digest_key(digest);
    if (auto record = view_.blob(digest)) {
      record->uses = add_uses(record->uses, touched.uses);
      record->last_use = std::max(record->last_use, touched.last);
      txn_.put(Table::blobs, key, format::encode(*record));
    }
    if (txn_.get(Table::manifests, key)) {
      auto use = view_.manifest_use(digest).value_or(format::ManifestUse{});
      use.uses = add_uses(use.uses, touched.uses);
      use.last_use = std::max(use.last_use, touched.last);
      txn_.put(Table::manifest_use, key, format::encode(use));
    }
  }
}

std::vector<base::Digest> IndexEdit::remove_repository(std::string_view repository) {
  const auto prefix = format::repository_prefix(repository);
  const bool hosted = view_.hosted(repository).has_value();
  for (const auto& key : hosted ? std::vector<std::string>() : keys_of(txn_, Table::tags, prefix)) {
    if (txn_.erase(Table::tags, key)) --totals_.tags;
  }
  for (const auto& key : keys_of(txn_, Table::absent, prefix)) (void)txn_.erase(Table::absent, key);  // just seen

  std::vector<base::Digest> unshown;
  for (const auto& key : keys_of(txn_, Table::links, prefix)) {
    const auto digest = format::parse_digest_key(std::string_view(key).substr(prefix.size()));
    if (!digest) {
      (void)txn_.erase(Table::links, key);  // of another version: nothing can be known about it
      continue;
    }
    if (const auto link = view_.link(repository, *digest); hosted && link && link->record.hosted) continue;
    erase_link(repository, *digest);
    if (view_.has_holder(*digest)) continue;
    const auto manifest = view_.manifest(*digest);
    if (manifest && !manifest->pinned) erase_manifest(*digest);
    if (auto record = view_.blob(*digest); record && !record->pinned) {
      record->uses = 0;
      record->last_use = {};
      txn_.put(Table::blobs, format::digest_key(*digest), format::encode(*record));
      unshown.push_back(*digest);
    }
  }
  return unshown;
}

}  // namespace shoal::store
