#include "support/fake_loop.h"

namespace shoal::test {

bool FakeExecutor::run_one() {
  if (queue_.empty()) return false;
  auto work = std::move(queue_.front());
  queue_.pop_front();
  work();
  return true;
}

void FakeExecutor::run_all() {
  while (run_one()) {
  }
}

struct FakeLoop::FakeTimer final : base::Timer::Impl {
  FakeTimer(FakeLoop& l, base::UniqueFunction<void()> f) : loop(l), fire(std::move(f)) {}
  ~FakeTimer() override {
    if (queued) loop.timers_.erase(at);
  }
  FakeLoop& loop;
  base::UniqueFunction<void()> fire;
  std::multimap<base::SteadyTime, FakeTimer*>::iterator at;
  bool queued = true;
};

base::Timer FakeLoop::schedule(std::chrono::milliseconds delay, base::UniqueFunction<void()> fire) {
  auto timer = std::make_unique<FakeTimer>(*this, std::move(fire));
  timer->at = timers_.emplace(clock_.steady_now() + delay, timer.get());
  return base::Timer(std::move(timer));
}

bool FakeLoop::run_one() {
  if (queue_.empty()) return false;
  auto work = std::move(queue_.front());
  queue_.pop_front();
  work();
  return true;
}

void FakeLoop::run_all() {
  while (run_one()) {
  }
}

void FakeLoop::advance(std::chrono::milliseconds by) {
  const auto until = clock_.steady_now() + by;
  run_all();
  while (!timers_.empty() && timers_.begin()->first <= until) {
    const auto due = timers_.begin()->first;
    if (due > clock_.steady_now()) {
      clock_.advance(std::chrono::duration_cast<std::chrono::milliseconds>(due - clock_.steady_now()));
    }
    FakeTimer* timer = timers_.begin()->second;
    timers_.erase(timers_.begin());
    timer->queued = false;
    auto fire = std::move(timer->fire);  // the timer may be dropped inside
    fire();
    run_all();
  }
  if (until > clock_.steady_now()) {
    clock_.advance(std::chrono::duration_cast<std::chrono::milliseconds>(until - clock_.steady_now()));
  }
}

}  // namespace shoal::test
