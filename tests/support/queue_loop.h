// QueueLoop: a loop and executor that other threads may post to, run by the test's own thread. For parts with real
// threads behind them (the store's index writer). No timers.
#pragma once

#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

#include "shoal/base/loop.h"

namespace shoal::test {

class QueueLoop final : public base::Loop {
 public:
  void post(base::UniqueFunction<void()> work) override {
    const std::lock_guard lock(mutex_);
    queue_.push_back(std::move(work));
    posted_.notify_all();
  }
  [[nodiscard]] base::Timer schedule(std::chrono::milliseconds, base::UniqueFunction<void()>) override { return {}; }
  [[nodiscard]] bool in_loop() const override { return true; }
  [[nodiscard]] base::SteadyTime now() const override { return std::chrono::steady_clock::now(); }
  [[nodiscard]] unsigned index() const override { return 0; }

  bool run_one() {
    base::UniqueFunction<void()> work;
    {
      const std::lock_guard lock(mutex_);
      if (queue_.empty()) return false;
      work = std::move(queue_.front());
      queue_.pop_front();
    }
    work();
    return true;
  }
  void run_all() {
    while (run_one()) {
    }
  }
  // Runs what is posted until `done()`; false after 20 s.
  template <class P>
  bool run_until(P done) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (!done()) {
      if (run_one()) continue;
      std::unique_lock lock(mutex_);
      if (!posted_.wait_until(lock, deadline, [this] { return !queue_.empty(); })) return done();
    }
    return true;
  }

 private:
  std::mutex mutex_;
  std::condition_variable posted_;
  std::deque<base::UniqueFunction<void()>> queue_;
};

// A few threads; the destructor runs what is queued, then joins.
class TestPool final : public base::Executor {
 public:
  explicit TestPool(unsigned threads) {
    for (unsigned i = 0; i < threads; ++i) threads_.emplace_back([this] { run(); });
  }
  ~TestPool() override {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    posted_.notify_all();
    for (auto& thread : threads_) thread.join();
  }
  TestPool(const TestPool&) = delete;
  TestPool& operator=(const TestPool&) = delete;
  void post(base::UniqueFunction<void()> work) override {
    const std::lock_guard lock(mutex_);
    queue_.push_back(std::move(work));
    posted_.notify_one();
  }

 private:
  void run() {
    for (;;) {
      base::UniqueFunction<void()> work;
      {
        std::unique_lock lock(mutex_);
        posted_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
        if (queue_.empty()) return;
        work = std::move(queue_.front());
        queue_.pop_front();
      }
      work();
    }
  }
  std::mutex mutex_;
  std::condition_variable posted_;
  std::deque<base::UniqueFunction<void()>> queue_;
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace shoal::test
