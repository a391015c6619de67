// Quarantine: keeps what failed verification for a look, up to a number of bytes and files; the oldest go first.
// On the disk executor.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <string>

#include "file_ops.h"
#include "layout.h"

namespace shoal::store {

class Quarantine {
 public:
  Quarantine(const Layout& layout, FileOps& files, std::uint64_t max_bytes)
      : layout_(layout), files_(files), max_bytes_(max_bytes) {}
  // Moves the file there, or deletes it when it is larger than all the room there is.
  [[nodiscard]] base::Result<void> take(const std::string& path, const base::Digest& digest, std::string_view reason);
  [[nodiscard]] std::uint64_t taken() const { return taken_.load(); }  // since start

 private:
  void drop_oldest();
  const Layout& layout_;
  FileOps& files_;
  const std::uint64_t max_bytes_;
  std::mutex mutex_;  // disk threads only
  std::atomic<std::uint64_t> taken_{0};
};

}  // namespace shoal::store
