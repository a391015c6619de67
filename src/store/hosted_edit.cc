#include "hosted_edit.h"

#include <algorithm>

#include "manifest_names.h"

namespace shoal::store {
namespace {

constexpr std::size_t kMaxDescriptorBytes = 1ULL << 20;

base::Error not_there(const base::Digest& digest) {
  return base::Error(base::ErrorKind::not_found, digest.to_string());
}

// The repository shows it, and it can be had.
bool shows(const IndexEdit& edit, const std::string& repository, const base::Digest& digest) {
  const auto link = edit.view().link(repository, digest);
  return link && link->record.proven && (edit.view().blob(digest) || edit.view().has_manifest(digest));
}

void put_tag(IndexEdit& edit, const ManifestPush& push, const std::string& tag) {
  const auto old = edit.view().tag(push.repository, tag);
  const auto since = old && old->digest == push.digest ? old->fetched : edit.now();
  std::vector<base::Digest> none;
  edit.apply(PutTag{push.repository, tag, {push.digest, since, edit.now()}}, none);
}

}  // namespace

base::Result<void> check_push(const ManifestPush& push) {
  std::vector<Write> writes{PutManifest{push.repository, push.digest, push.media_type, push.bytes, {}}};
  for (const auto& tag : push.tags) writes.emplace_back(RemoveTag{push.repository, tag});
  if (auto checked = check_writes(writes); !checked.ok()) return checked;
  if (push.descriptor.size() > kMaxDescriptorBytes) {
    return base::Error(base::ErrorKind::invalid, "the descriptor is too large for the index");
  }
  return {};
}

base::Result<void> apply_push(IndexEdit& edit, CollectShield& shield, const ManifestPush& push) {
  for (const auto& digest : push.needed) {
    const auto link = edit.view().link(push.repository, digest);
    if (!link || !link->record.hosted || !shows(edit, push.repository, digest)) return not_there(digest);
  }
  for (const auto& tag : push.fixed_tags) {
    const auto old = edit.view().tag(push.repository, tag);
    if (old && old->digest != push.digest) return base::Error(base::ErrorKind::denied, tag);
  }
  edit.put_hosted_manifest({push.repository, push.digest, push.media_type, push.bytes, edit.now()});
  for (const auto& tag : push.tags) put_tag(edit, push, tag);
  if (push.subject) {
    edit.txn().put(Table::referrers, format::referrer_key(push.repository, *push.subject, push.digest),
                   format::encode_descriptor(push.descriptor));
  }
  auto hosted = edit.view().hosted(push.repository).value_or(new_hosted(edit.now()));
  ++hosted.changes;
  edit.txn().put(Table::hosted, push.repository, format::encode(hosted));
  shield.note(push.repository, push.digest);
  for (const auto& digest : push.needed) shield.note(push.repository, digest);
  return {};
}

base::Result<void> apply_mount(IndexEdit& edit, CollectShield& shield, const std::string& repository,
                               const base::Digest& digest, const std::string& from) {
  const auto record = edit.view().blob(digest);
  if (!record) return not_there(digest);
  if (from.empty() ? !record->hosted : !shows(edit, from, digest)) return not_there(digest);
  edit.put_link(repository, digest, {record->size, true, true});
  shield.note(repository, digest);
  return {};
}

void unlink_content(IndexEdit& edit, const std::string& repository, const base::Digest& digest,
                    std::vector<Unlinked>& unlinked) {
  const auto manifest = edit.view().manifest(digest);
  if (manifest) {
    if (const auto subject = subject_of(*manifest->record.bytes)) {
      // None, if it was pushed as a blob.
      (void)edit.txn().erase(Table::referrers, format::referrer_key(repository, *subject, digest));
    }
  }
  edit.erase_link(repository, digest);
  if (edit.view().has_holder(digest)) return;
  if (manifest && !manifest->pinned) edit.erase_manifest(digest);
  const auto blob = edit.view().blob(digest);
  if (blob && !blob->pinned) unlinked.push_back({digest, *blob});
}

std::uint64_t changes_of(const IndexView& view, std::string_view repository) {
  const auto hosted = view.hosted(repository);
  return hosted ? hosted->changes : 0;
}

}  // namespace shoal::store
