#include "content_removal.h"

#include <algorithm>
#include <chrono>

#include "hosted_edit.h"
#include "manifest_names.h"

namespace shoal::store {
namespace {

constexpr int kMaxAttempts = 16;
constexpr std::chrono::seconds kBusy{5};  // then somebody may have stopped pushing there
constexpr std::size_t kTagsPerStep = 4096;
constexpr std::size_t kLinksPerStep = 1024;
constexpr std::size_t kBytesPerStep = 8ULL << 20;  // of manifests

// The tag or the manifest that is not found may be there.
}  // namespace

void ContentRemoval::start(Core& core, const std::string& repository, const base::Digest& digest, Removal removal,
                           Answer answer) {
  auto work = std::make_shared<ContentRemoval>(repository, digest, std::move(removal), std::move(answer));
  core.post_disk([work](Core& c) { work->begin(c); });
}

void ContentRemoval::begin(Core& core) {
  tags_.clear();
  parents_ = {digest_};
  any_fixed_ = false;
  bool manifest = false;
  {
    const auto txn = core.index->read();
    const IndexView view(txn);
    const auto link = view.link(repository_, digest_);
    if (!txn.ok()) return answer_(unreadable_index());
    if (!link || !link->record.hosted || link->manifest != removal_.manifest.value_or(link->manifest)) {
      return answer_(base::Error(base::ErrorKind::not_found, digest_.to_string()));
    }
    manifest = link->manifest;
    changes_ = changes_of(view, repository_);
  }
  enter(manifest ? Stage::tags : Stage::users);
  step(core);
}

void ContentRemoval::enter(Stage stage) {
  stage_ = stage;
  from_ = format::repository_prefix(repository_);
  more_parents_ = false;
}

void ContentRemoval::step(Core& core) {
  Look found{};
  {
    const auto txn = core.index->read();
    found = look(txn);
    if (!txn.ok()) return answer_(unreadable_index());
  }
  switch (found) {
    case Look::more: return core.post_disk([self = shared_from_this()](Core& c) { self->step(c); });
    case Look::done: return looked(core);
    case Look::needed: return answer_(base::Error(base::ErrorKind::busy, "a manifest of the repository needs it"));
    case Look::fixed: return answer_(base::Error(base::ErrorKind::denied, fixed_tag_));
  }
}

ContentRemoval::Look ContentRemoval::look(const Txn& txn) {
  switch (stage_) {
    case Stage::tags:
    case Stage::tags_of_parents: return look_for_tags(txn);
    case Stage::parents: return look_for_parents(txn);
    case Stage::users: break;
  }
  return look_for_users(txn);
}

void ContentRemoval::looked(Core& core) {
  if (stage_ == Stage::tags && any_fixed_) {
    enter(Stage::parents);
  } else if (stage_ == Stage::parents && more_parents_) {
    enter(Stage::parents);  // an index of indexes
  } else if (stage_ == Stage::parents && parents_.size() > 1) {
    enter(Stage::tags_of_parents);
  } else {
    return remove(core);
  }
  core.post_disk([self = shared_from_this()](Core& c) { self->step(c); });
}

ContentRemoval::Look ContentRemoval::look_for_tags(const Txn& txn) {
  const auto prefix = format::repository_prefix(repository_);
  auto cursor = txn.cursor(Table::tags);
  std::size_t rows = 0;
  for (bool more = cursor.seek(from_); more && cursor.key().starts_with(prefix); more = cursor.next()) {
    from_ = cursor.key();
    if (rows++ == kTagsPerStep) return Look::more;
    const auto record = format::decode_tag(cursor.value());
    const auto tag = cursor.key().substr(prefix.size());
    const bool fixed = removal_.is_fixed && removal_.is_fixed(tag);
    any_fixed_ = any_fixed_ || fixed;
    if (!record || !parents_.contains(record->digest)) continue;
    if (fixed) {
      fixed_tag_ = tag;
      return Look::fixed;
    }
    if (record->digest == digest_ && stage_ == Stage::tags) tags_.emplace_back(tag);
  }
  return Look::done;
}

ContentRemoval::Look ContentRemoval::look_for_parents(const Txn& txn) {
  return look_at_manifests(txn, [this](const base::Digest& holder, const std::string& bytes) {
    const auto is_parent = [&bytes](const base::Digest& child) { return names(bytes, child); };
    if (parents_.contains(holder) || !std::any_of(parents_.begin(), parents_.end(), is_parent)) return Look::done;
    more_parents_ = true;
    parents_.insert(holder);
    return Look::done;
  });
}

ContentRemoval::Look ContentRemoval::look_for_users(const Txn& txn) {
  return look_at_manifests(txn, [this](const base::Digest&, const std::string& bytes) {
    return names(bytes, digest_) ? Look::needed : Look::done;
  });
}

ContentRemoval::Look ContentRemoval::look_at_manifests(
    const Txn& txn, const std::function<Look(const base::Digest&, const std::string&)>& look) {
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
    if (const auto seen = look(*holder, *manifest->record.bytes); seen != Look::done) return seen;
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
      return answer_(base::Error(base::ErrorKind::busy, "the repository keeps changing").retry_after(kBusy));
    }
    return core.post_disk([self = shared_from_this()](Core& c) { self->begin(c); });
  }
  for (const auto& blob : unlinked) (void)drop_blob(core, blob.digest, blob.record);  // in use: eviction's first choice
  answer_({});
}

}  // namespace shoal::store
