// Executor, Loop, Timer, Strand: where work runs. Interfaces; net implements Loop and Executor on libuv and threads,
// tests/support implements both by hand.
#pragma once

#include <chrono>
#include <deque>
#include <memory>
#include <mutex>

#include "shoal/base/clock.h"
#include "shoal/base/unique_function.h"

namespace shoal::base {

// Runs functions some time later, never inside post(). Any thread may post.
class Executor {
 public:
  virtual ~Executor() = default;
  virtual void post(UniqueFunction<void()> work) = 0;
};

// A timer that has not fired yet; dropping it cancels it. Use and drop on the loop that made it.
class Timer {
 public:
  class Impl {
   public:
    virtual ~Impl() = default;  // cancels
  };
  Timer() = default;
  explicit Timer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
  void cancel() { impl_.reset(); }
  [[nodiscard]] bool armed() const { return impl_ != nullptr; }  // until cancelled; firing does not clear it

 private:
  std::unique_ptr<Impl> impl_;
};

// One event loop = one thread. post() from any thread; everything else on the loop's own thread.
class Loop : public Executor {
 public:
  [[nodiscard]] virtual Timer schedule(std::chrono::milliseconds delay, UniqueFunction<void()> fire) = 0;
  [[nodiscard]] virtual bool in_loop() const = 0;
  [[nodiscard]] virtual SteadyTime now() const = 0;  // cached once per turn
  [[nodiscard]] virtual unsigned index() const = 0;  // 0 .. loops-1
};

// Runs what is posted to it one after the other, in order, on an Executor. Any thread may post.
// Dropping the Strand lets what was posted run to its end.
class Strand {
 public:
  explicit Strand(Executor& executor) : state_(std::make_shared<State>(executor)) {}
  void post(UniqueFunction<void()> work);

 private:
  struct State {
    explicit State(Executor& e) : executor(e) {}
    Executor& executor;
    std::mutex mutex;
    std::deque<UniqueFunction<void()>> queue;
    bool running = false;
  };
  static void run(const std::shared_ptr<State>& state);
  std::shared_ptr<State> state_;  // shared with the function that is running now
};

// Tells callbacks that outlive their object: `[alive = life_.watch(), this] { if (alive.gone()) return; ... }`.
// One loop only: the object dies on the loop its callbacks run on.
class Lifetime {
 public:
  class Watch {
   public:
    explicit Watch(std::weak_ptr<int> token) : token_(std::move(token)) {}
    [[nodiscard]] bool gone() const { return token_.expired(); }

   private:
    std::weak_ptr<int> token_;
  };
  [[nodiscard]] Watch watch() const { return Watch(token_); }

 private:
  std::shared_ptr<int> token_ = std::make_shared<int>(0);
};

}  // namespace shoal::base
