// Health: whether the store may still write. Turns read-only once, with the first reason, and stays so until the
// process starts again: after a failed sync nobody knows what reached the disk. Counts what the disk failed. Any
// thread.
#pragma once

#include <atomic>
#include <mutex>
#include <string>

#include "shoal/base/error.h"
#include "shoal/obs/log.h"

namespace shoal::store {

class Health {
 public:
  void write_failed(const base::Error& why) {
    if (why.kind() != base::ErrorKind::full) ++write_errors_;  // for want of room is another matter
  }
  void turn_read_only(const base::Error& why) {
    write_failed(why);
    {
      const std::lock_guard lock(mutex_);
      if (read_only_.load()) return;
      reason_ = why.message();
      read_only_.store(true);
    }
    obs::error(obs::Category::store, "the store is read-only until a restart: {}", why.message());
  }
  [[nodiscard]] bool read_only() const { return read_only_.load(std::memory_order_relaxed); }
  [[nodiscard]] std::uint64_t write_errors() const { return write_errors_; }
  [[nodiscard]] std::string reason() const {
    const std::lock_guard lock(mutex_);
    return reason_;
  }
  [[nodiscard]] base::Error error() const {
    return base::Error(base::ErrorKind::gone, "the store is read-only: " + reason());
  }

 private:
  mutable std::mutex mutex_;
  std::string reason_;
  std::atomic<bool> read_only_{false};
  std::atomic<std::uint64_t> write_errors_{0};
};

}  // namespace shoal::store
