// Unreadable: the blobs whose files the disk lately failed to read. What is not remembered, because there are too many
// or the process began anew, the next read finds again. Any thread.
#pragma once

#include <atomic>
#include <mutex>
#include <optional>
#include <unordered_map>

#include "shoal/base/clock.h"
#include "shoal/base/digest.h"

namespace shoal::store {

class Unreadable {
 public:
  enum class News { first, again };
  News add(const base::Digest& digest, std::uint64_t inode, base::SteadyTime now);
  void forget(const base::Digest& digest);
  [[nodiscard]] std::optional<base::SteadyTime> since(const base::Digest& digest,
                                                      std::uint64_t inode) const;  // the last failure of that file
  [[nodiscard]] std::uint64_t errors() const { return errors_; }                   // ever

 private:
  struct Failure {
    std::uint64_t inode;
    base::SteadyTime last;
  };
  static constexpr std::size_t kMost = 10'000;
  mutable std::mutex mutex_;
  std::unordered_map<base::Digest, Failure> blobs_;
  std::atomic<std::size_t> size_{0};  // of blobs_: nearly always 0, and then nobody locks
  std::atomic<std::uint64_t> errors_{0};
};

}  // namespace shoal::store
