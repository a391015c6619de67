// LoopThread: a real net::EventLoop with its thread, and run(): a function on it, waited for.
#pragma once

#include <future>

#include "shoal/net/event_loop.h"

namespace shoal::test {

class LoopThread {
 public:
  explicit LoopThread(unsigned index = 0) : loop_(index) { loop_.start(); }
  ~LoopThread() { loop_.stop(); }
  [[nodiscard]] net::EventLoop& loop() { return loop_; }

  template <class F>
  void run(F&& f) {
    std::promise<void> done;
    loop_.post([&] {
      f();
      done.set_value();
    });
    done.get_future().wait();
  }

 private:
  net::EventLoop loop_;
};

}  // namespace shoal::test
