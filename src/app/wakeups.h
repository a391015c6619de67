// Wakeups: the main thread's inbox: signals and requests from other threads. Made first in main: it blocks the signals
// for this thread and all it starts, so that they arrive here only.
#pragma once

#include <deque>
#include <mutex>
#include <optional>

#include "shoal/base/clock.h"
#include "shoal/base/result.h"
#include "shoal/base/unique_function.h"

namespace shoal::app {

class Wakeups {
 public:
  Wakeups();  // SIGTERM, SIGINT, SIGHUP; SIGPIPE is ignored
  ~Wakeups();
  Wakeups(const Wakeups&) = delete;
  Wakeups& operator=(const Wakeups&) = delete;

  void post(base::UniqueFunction<void()> work);  // any thread; runs in wait()
  // Runs what is posted until a signal comes: its number; or until `deadline`, or until a posted function ran (so that
  // the caller can look at what it changed): 0.
  [[nodiscard]] int wait(std::optional<base::SteadyTime> deadline = {});
  void restore_signals();  // from here on they end the process, as usual

 private:
  int signals_ = -1;
  int wake_ = -1;
  std::mutex mutex_;
  std::deque<base::UniqueFunction<void()>> posted_;
};

}  // namespace shoal::app
