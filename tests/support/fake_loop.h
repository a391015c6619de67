// FakeClock, FakeLoop, FakeExecutor: time and turns driven by the test, one thread. No sleeps.
// The clock may be read by other threads (a store's index writer).
#pragma once

#include <atomic>
#include <deque>
#include <functional>
#include <map>

#include "shoal/base/loop.h"

namespace shoal::test {

class FakeClock final : public base::Clock {
 public:
  [[nodiscard]] base::WallTime wall_now() const override { return wall_.load(); }
  [[nodiscard]] base::SteadyTime steady_now() const override { return steady_.load(); }
  void advance(std::chrono::milliseconds by) {
    wall_ = wall_.load() + by;
    steady_ = steady_.load() + by;
  }

 private:
  std::atomic<base::WallTime> wall_{base::WallTime(std::chrono::seconds(1'800'000'000))};
  std::atomic<base::SteadyTime> steady_{base::SteadyTime(std::chrono::seconds(1'000))};
};

class FakeExecutor final : public base::Executor {
 public:
  void post(base::UniqueFunction<void()> work) override { queue_.push_back(std::move(work)); }
  bool run_one();  // false: nothing to run
  void run_all();

 private:
  std::deque<base::UniqueFunction<void()>> queue_;
};

class FakeLoop final : public base::Loop {
 public:
  explicit FakeLoop(FakeClock& clock, unsigned index = 0) : clock_(clock), index_(index) {}
  void post(base::UniqueFunction<void()> work) override { queue_.push_back(std::move(work)); }
  [[nodiscard]] base::Timer schedule(std::chrono::milliseconds delay, base::UniqueFunction<void()> fire) override;
  [[nodiscard]] bool in_loop() const override { return true; }
  [[nodiscard]] base::SteadyTime now() const override { return clock_.steady_now(); }
  [[nodiscard]] unsigned index() const override { return index_; }

  bool run_one();                              // one posted function; false: none
  void run_all();                              // until nothing is posted (timers stay)
  void advance(std::chrono::milliseconds by);  // moves the clock, firing due timers in order, running all between
  [[nodiscard]] std::size_t timers() const { return timers_.size(); }

 private:
  struct FakeTimer;
  FakeClock& clock_;
  unsigned index_;
  std::deque<base::UniqueFunction<void()>> queue_;
  std::multimap<base::SteadyTime, FakeTimer*> timers_;
};

}  // namespace shoal::test
