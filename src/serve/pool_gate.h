// PoolGate: lets jobs on the pool use the store until the handler goes. Its destructor waits for those that run; what
// is queued still, or comes later, does nothing then. Any thread.
#pragma once

#include <mutex>
#include <shared_mutex>

namespace shoal::serve {

class PoolGate {
 public:
  // Runs `job` unless closed.
  template <class Job>
  void pass(Job job) {
    const std::shared_lock lock(mutex_);
    if (!closed_) job();
  }
  void close() {
    const std::unique_lock lock(mutex_);
    closed_ = true;
  }

 private:
  std::shared_mutex mutex_;  // shared: a job runs
  bool closed_ = false;
};

}  // namespace shoal::serve
