#include "index.h"

#include <algorithm>

#include "shoal/obs/log.h"

namespace shoal::mirror {
namespace {

constexpr std::size_t kShareFrom = 16 * 1024;
constexpr std::size_t kSweepFrom = 256;  // entries of reading_

std::string key(const std::string& repository, const std::string& reference) { return repository + '\0' + reference; }

store::LinkRecord merge(const store::LinkRecord& older, const store::LinkRecord& newer) {
  return {newer.size ? newer.size : older.size, older.proven || newer.proven};
}

}  // namespace

Index::Index(store::Store& store, base::Executor& completions)
    : store_(store), completions_(completions), overlay_(std::make_shared<Overlay>()), sweep_at_(kSweepFrom) {}

std::optional<store::TagRecord> Index::find_tag(const std::string& repository, const std::string& tag) const {
  if (overlay_->commits.load(std::memory_order_acquire) != 0) {
    const std::lock_guard lock(overlay_->mutex);
    const auto it = overlay_->tags.find(key(repository, tag));
    if (it != overlay_->tags.end()) return it->second.value;
  }
  return store_.find_tag(repository, tag);
}

std::optional<store::LinkRecord> Index::find_link(const std::string& repository, const base::Digest& digest) const {
  std::optional<store::LinkRecord> newer;
  if (overlay_->commits.load(std::memory_order_acquire) != 0) {
    const std::lock_guard lock(overlay_->mutex);
    const auto it = overlay_->links.find(key(repository, digest.to_string()));
    if (it != overlay_->links.end()) newer = it->second.value;
  }
  const auto older = store_.find_link(repository, digest);
  if (older && newer) return merge(*older, *newer);
  return newer ? newer : older;
}

std::optional<base::WallTime> Index::find_absent(const std::string& repository, const std::string& reference) const {
  if (overlay_->commits.load(std::memory_order_acquire) != 0) {
    const std::lock_guard lock(overlay_->mutex);
    const auto it = overlay_->absents.find(key(repository, reference));
    if (it != overlay_->absents.end()) return it->second.value;
  }
  return store_.find_absent(repository, reference);
}

std::optional<store::ManifestRecord> Index::find_manifest(const base::Digest& digest) const {
  if (overlay_->commits.load(std::memory_order_acquire) != 0) {
    const std::lock_guard lock(overlay_->mutex);
    const auto it = overlay_->manifests.find(digest);
    if (it != overlay_->manifests.end()) return it->second.value;
  }
  auto record = store_.find_manifest(digest);
  if (record && record->bytes->size() > kShareFrom) record->bytes = shared(digest, std::move(record->bytes));
  return record;
}

std::shared_ptr<const std::string> Index::shared(const base::Digest& digest,
                                                 std::shared_ptr<const std::string> bytes) const {
  const std::lock_guard lock(reading_mutex_);
  auto& entry = reading_[digest];
  if (auto held = entry.lock()) return held;  // the same: it has the same digest
  entry = bytes;
  if (reading_.size() > sweep_at_) {
    std::erase_if(reading_, [](const auto& item) { return item.second.expired(); });
    sweep_at_ = std::max(kSweepFrom, 2 * reading_.size());
  }
  return bytes;
}

void Index::lay_over(Overlay& overlay, const store::Write& write, Touched& touched) {
  const auto sequence = overlay.sequence;
  const auto note = [](std::vector<std::string>& list, const std::string& repository, const std::string& reference) {
    return list.emplace_back(key(repository, reference));
  };
  const auto link = [&](const std::string& repository, const base::Digest& digest, const store::LinkRecord& record) {
    auto [it, fresh] = overlay.links.try_emplace(note(touched.links, repository, digest.to_string()), sequence, record);
    if (!fresh) it->second = {sequence, merge(it->second.value, record)};
  };
  if (const auto* put = std::get_if<store::PutManifest>(&write)) {
    touched.manifests.push_back(put->digest);
    overlay.manifests.insert_or_assign(
        put->digest,
        Entry<store::ManifestRecord>{sequence, store::ManifestRecord{put->media_type, put->bytes, put->now}});
    link(put->repository, put->digest, {put->bytes->size(), true});
  } else if (const auto* tag = std::get_if<store::PutTag>(&write)) {
    overlay.tags.insert_or_assign(note(touched.tags, tag->repository, tag->tag),
                                  Entry<std::optional<store::TagRecord>>{sequence, tag->record});
    overlay.absents.insert_or_assign(note(touched.absents, tag->repository, tag->tag),
                                     Entry<std::optional<base::WallTime>>{sequence, std::nullopt});
  } else if (const auto* removed = std::get_if<store::RemoveTag>(&write)) {
    overlay.tags.insert_or_assign(note(touched.tags, removed->repository, removed->tag),
                                  Entry<std::optional<store::TagRecord>>{sequence, std::nullopt});
  } else if (const auto* absent = std::get_if<store::PutAbsent>(&write)) {
    overlay.absents.insert_or_assign(note(touched.absents, absent->repository, absent->reference),
                                     Entry<std::optional<base::WallTime>>{sequence, absent->until});
  } else if (const auto* put_link = std::get_if<store::PutLink>(&write)) {
    link(put_link->repository, put_link->digest, put_link->record);
  }
}

void Index::forget(Overlay& overlay, const Touched& touched, std::uint64_t sequence) {
  const auto drop = [sequence](auto& entries, const auto& keys) {
    for (const auto& key : keys) {
      const auto it = entries.find(key);
      if (it != entries.end() && it->second.sequence == sequence) entries.erase(it);
    }
  };
  drop(overlay.tags, touched.tags);
  drop(overlay.links, touched.links);
  drop(overlay.absents, touched.absents);
  drop(overlay.manifests, touched.manifests);
}

void Index::commit(std::vector<store::Write> writes) {
  if (writes.empty()) return;
  std::uint64_t sequence = 0;
  Touched touched;
  {
    const std::lock_guard lock(overlay_->mutex);
    sequence = ++overlay_->sequence;
    for (const auto& write : writes) lay_over(*overlay_, write, touched);
    overlay_->commits.fetch_add(1, std::memory_order_release);
  }
  store_.commit(std::move(writes), completions_,
                [overlay = overlay_, sequence, touched = std::move(touched)](base::Result<void> result) {
                  if (!result.ok())
                    obs::debug(obs::Category::mirror, "the index did not take a write: {}", result.error().message());
                  const std::lock_guard lock(overlay->mutex);
                  forget(*overlay, touched, sequence);
                  overlay->commits.fetch_sub(1, std::memory_order_release);
                });
}

}  // namespace shoal::mirror
