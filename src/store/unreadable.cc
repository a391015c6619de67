#include "unreadable.h"

namespace shoal::store {

Unreadable::News Unreadable::add(const base::Digest& digest, std::uint64_t inode, base::SteadyTime now) {
  ++errors_;
  const std::lock_guard lock(mutex_);
  if (const auto it = blobs_.find(digest); it != blobs_.end()) {
    it->second = {inode, now};
    return News::again;
  }
  if (blobs_.size() >= kMost) blobs_.erase(blobs_.begin());  // any: the next read finds it again
  blobs_.emplace(digest, Failure{inode, now});
  size_ = blobs_.size();
  return News::first;
}

void Unreadable::forget(const base::Digest& digest) {
  if (size_ == 0) return;
  const std::lock_guard lock(mutex_);
  blobs_.erase(digest);
  size_ = blobs_.size();
}

std::optional<base::SteadyTime> Unreadable::since(const base::Digest& digest, std::uint64_t inode) const {
  if (size_ == 0) return std::nullopt;
  const std::lock_guard lock(mutex_);
  const auto it = blobs_.find(digest);
  if (it == blobs_.end() || it->second.inode != inode) return std::nullopt;
  return it->second.last;
}

}  // namespace shoal::store
