// Scrubbing: hashes what is stored again, all the time, at a set rate. Steps are the store's; they run on the pool.
// tick() is the main thread's, now and then; stop() waits for the step that runs.
#pragma once

#include <atomic>
#include <memory>

#include "shoal/admin/admin.h"
#include "shoal/base/clock.h"
#include "shoal/base/loop.h"
#include "shoal/obs/metrics.h"
#include "shoal/store/store.h"

namespace shoal::app {

class Scrubbing {
 public:
  // `rate`: bytes a second; 0: never.
  Scrubbing(store::Store& store, base::Executor& pool, base::Clock& clock, obs::Metrics& metrics, std::uint64_t rate);
  ~Scrubbing();
  void tick();  // what the rate allows for the time since the last one that began
  void stop();  // before the store goes
  // A step that somebody asked for; counts and is told of like the others. Any thread; blocks.
  [[nodiscard]] store::ScrubReport step(std::uint64_t bytes, admin::ScrubFrom from);
  [[nodiscard]] std::uint64_t rate() const { return rate_; }

 private:
  struct State;
  std::shared_ptr<State> state_;  // shared with the steps on the pool
  base::Clock& clock_;
  std::uint64_t rate_;
  base::SteadyTime last_;
};

}  // namespace shoal::app
