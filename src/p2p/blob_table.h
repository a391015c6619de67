// BlobTable: which blob a torrent stands on. Filled before the torrent is added. Any thread.
#pragma once

#include <libtorrent/sha1_hash.hpp>
#include <memory>
#include <mutex>
#include <unordered_map>

#include "shared_blob.h"

namespace shoal::p2p {

class BlobTable {
 public:
  void put(const lt::sha1_hash& info_hash, std::shared_ptr<SharedBlob> blob);
  void erase(const lt::sha1_hash& info_hash);
  [[nodiscard]] std::shared_ptr<SharedBlob> find(const lt::sha1_hash& info_hash) const;

 private:
  mutable std::mutex mutex_;
  std::unordered_map<lt::sha1_hash, std::shared_ptr<SharedBlob>> blobs_;
};

}  // namespace shoal::p2p
