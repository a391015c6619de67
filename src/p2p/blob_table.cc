#include "blob_table.h"

namespace shoal::p2p {

void BlobTable::put(const lt::sha1_hash& info_hash, std::shared_ptr<SharedBlob> blob) {
  const std::lock_guard lock(mutex_);
  blobs_[info_hash] = std::move(blob);
}

void BlobTable::erase(const lt::sha1_hash& info_hash) {
  const std::lock_guard lock(mutex_);
  blobs_.erase(info_hash);
}

std::shared_ptr<SharedBlob> BlobTable::find(const lt::sha1_hash& info_hash) const {
  const std::lock_guard lock(mutex_);
  const auto found = blobs_.find(info_hash);
  return found == blobs_.end() ? nullptr : found->second;
}

}  // namespace shoal::p2p
