#include "content_removal.h"

#include "hosted_edit.h"
#include "manifest_names.h"

namespace shoal::store {
namespace {

constexpr int kMaxAttempts = 16;
constexpr std::size_t kTagsPerStep = 4096;
constexpr std::size_t kLinksPerStep = 1024;
constexpr std::size_t kBytesPerStep = 8ULL << 20;  // of manifests

}  // namespace

void ContentRemoval::start(Core& core, const std::string& repository, const base::Digest& digest, Answer answer) {
  auto removal = std::make_shared<ContentRemoval>(repository, digest, std::move(answer));
  core.post_disk([removal](Core& c) { removal->begin(c); });
}

void ContentRemoval::begin(Core& core) {
  tags_.clear();
  {
    const auto txn = core.index->read();
    const IndexView view(txn);
    const auto link = view.link(repository_, digest_);
    if (!link || !link->record.hosted) {
      return answer_(base::Error(base::ErrorKind::not_found, digest_.to_string()));
    }
    manifest_ = link->manifest;
    changes_ = changes_of(view, repository_);
  }
  from_ = format::repository_prefix(repository_);
  step(core);
}

void ContentRemoval::step(Core& core) {
  Look look{};
  {
    const auto txn = core.index->read();
    look = manifest_ ? look_for_tags(txn) : look_for_users(txn);
  }
  switch (look) {
    case Look::more: return core.post_disk([self = shared_from_this()](Core& c) { self->step(c); });
    case Look::done: return remove(core);
    case Look::needed: return answer_(base::Error(base::ErrorKind::busy, "a manifest of the repository needs it"));
  }
}

ContentRemoval::Look ContentRemoval::look_for_tags(const Txn& txn) {
  const auto prefix = format::repository_prefix(repository_);
  auto cursor = txn.cursor(Table::tags);
  std::size_t rows = 0;
  for (bool more = cursor.seek(from_); more && cursor.key().starts_with(prefix); more = cursor.next()) {
    from_ = cursor.key();
    if (rows++ == kTagsPerStep) return Look::more;
    const auto record = format::decode_tag(cursor.value());
    if (record && record->digest == digest_) tags_.emplace_back(cursor.key().substr(prefix.size()));
  }
  return Look::done;
}

ContentRemoval::Look ContentRemoval::look_for_users(const Txn& txn) {
  const auto prefix = format::repository_prefix(repository_);
  const IndexView view(txn);
  auto cursor = txn.cursor(Table::links);
  std::size_t rows = 0, bytes = 0;
  for (bool more = cursor.seek(from_); more && cursor.key().starts_with(prefix); more = cursor.next()) {
    from_ = cursor.key();
    if (rows++ == kLinksPerStep || bytes > kBytesPerStep) return Look::more;
    const auto link = format::decode_link(cursor.value());
    const auto holder =
        link && link->manifest ? format::parse_digest_key(cursor.key().substr(prefix.size())) : std::nullopt;
    const auto manifest = holder ? view.manifest(*holder) : std::nullopt;
    if (!manifest) continue;
    bytes += manifest->record.bytes->size();
    if (names(*manifest->record.bytes, digest_)) return Look::needed;
  }
  return Look::done;
}

void ContentRemoval::remove(Core& core) {
  enum class Outcome { removed, gone, changed };
  Outcome outcome{};
  std::vector<Unlinked> unlinked;
  const auto committed = core.writer->submit_and_wait([this, &outcome, &unlinked](IndexEdit& edit) {
    unlinked.clear();
    const auto link = edit.view().link(repository_, digest_);
    outcome = !link || !link->record.hosted                      ? Outcome::gone
              : changes_of(edit.view(), repository_) != changes_ ? Outcome::changed
                                                                 : Outcome::removed;
    if (outcome != Outcome::removed) return;
    for (const auto& tag : tags_) {
      const auto record = edit.view().tag(repository_, tag);
      if (record && record->digest == digest_) (void)edit.erase_tag(repository_, tag);  // just seen
    }
    unlink_content(edit, repository_, digest_, unlinked);
  });
  if (!committed.ok()) return answer_(committed.error());
  if (outcome == Outcome::gone) return answer_(base::Error(base::ErrorKind::not_found, digest_.to_string()));
  if (outcome == Outcome::changed) {
    if (++attempts_ == kMaxAttempts) {
      return answer_(base::Error(base::ErrorKind::busy, "the repository keeps changing"));
    }
    return core.post_disk([self = shared_from_this()](Core& c) { self->begin(c); });
  }
  for (const auto& blob : unlinked) (void)drop_blob(core, blob.digest, blob.record);  // in use: eviction's first choice
  answer_({});
}

}  // namespace shoal::store
