// Health: whether the store may still write. A failed sync turns it read-only, with the first reason, because nobody
// knows then what reached the disk; a WriteTrial that succeeds lets it write again, where the filesystem can be trusted
// with what it wrote before (FileOps::stops_itself); elsewhere a restart does. What began before such a failure is
// never acknowledged after it: its bytes may be among those that the kernel gave up, and it tells of that once. So
// whatever takes longer than a call keeps the epoch it began in. Counts what the disk failed. Any thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>

#include "shoal/base/error.h"
#include "shoal/obs/log.h"

namespace shoal::store {

class Health {
 public:
  // While the store opens: whether a read-only one may write again without a restart.
  void set_may_recover(bool may) { may_recover_ = may; }
  [[nodiscard]] bool may_recover() const { return may_recover_; }

  void write_failed(const base::Error& why) {
    if (why.kind() != base::ErrorKind::full) ++write_errors_;  // for want of room is another matter
  }
  void turn_read_only(const base::Error& why) {
    write_failed(why);
    {
      const std::lock_guard lock(mutex_);
      ++epoch_;
      if (read_only_) return;
      reason_ = why.message();
      read_only_ = true;
    }
    obs::error(obs::Category::store, "the store is read-only until {}: {}",
               may_recover_ ? "its disk writes again" : "a restart, best after a check of its filesystem",
               why.message());
  }
  // False: something has failed since `epoch`, and nothing changes.
  [[nodiscard]] bool write_again(std::uint64_t epoch) {
    {
      const std::lock_guard lock(mutex_);
      if (epoch_ != epoch) return false;
      ++epoch_;
      reason_.clear();
      read_only_ = false;
    }
    obs::warn(obs::Category::store, "the store writes again: a trial and a commit of the index reached the disk");
    return true;
  }
  [[nodiscard]] std::uint64_t epoch() const { return epoch_; }
  // Why nothing that began in `epoch` is acknowledged any more.
  [[nodiscard]] std::optional<base::Error> refuses(std::uint64_t epoch) const {
    if (read_only_) return error();
    if (epoch_ == epoch) return std::nullopt;
    return base::Error(base::ErrorKind::gone, "the disk failed meanwhile; begin anew");
  }
  [[nodiscard]] bool read_only() const { return read_only_; }
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
  std::atomic<bool> may_recover_{false};
  std::atomic<bool> read_only_{false};
  std::atomic<std::uint64_t> epoch_{0};  // raised by each failure, and when the store writes again
  std::atomic<std::uint64_t> write_errors_{0};
};

}  // namespace shoal::store
