#include <pthread.h>

#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <vector>

#include "block_signals.h"
#include "shoal/base/format.h"
#include "shoal/net/event_loop.h"

namespace shoal::net {

struct ThreadPool::Impl {
  void run() {
    std::unique_lock lock(mutex);
    for (;;) {
      wake.wait(lock, [this] { return stopping || !queue.empty(); });
      if (queue.empty()) return;  // stopping, and everything ran
      {
        auto work = std::move(queue.front());
        queue.pop_front();
        lock.unlock();
        work();
      }
      lock.lock();
    }
  }
  std::mutex mutex;  // guards queue and stopping
  std::condition_variable wake;
  std::deque<base::UniqueFunction<void()>> queue;
  bool stopping = false;
  std::vector<std::thread> threads;
};

ThreadPool::ThreadPool(unsigned threads) : impl_(std::make_unique<Impl>()) {
  const BlockSignals blocked;  // inherited by the threads
  for (unsigned i = 0; i < std::max(1U, threads); ++i) {
    impl_->threads.emplace_back([this] { impl_->run(); });
    (void)::pthread_setname_np(impl_->threads.back().native_handle(), base::format("disk-{}", i).c_str());
  }
}

ThreadPool::~ThreadPool() {
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->stopping = true;
  }
  impl_->wake.notify_all();
  for (auto& thread : impl_->threads) thread.join();
}

void ThreadPool::post(base::UniqueFunction<void()> work) {
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->queue.push_back(std::move(work));
  }
  impl_->wake.notify_one();
}

}  // namespace shoal::net
