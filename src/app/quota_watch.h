// QuotaWatch: measures now and then how much the repositories of each quota hold, for the metrics. Refusals do not come
// from here: serve measures for those.
// set_quotas() and tick() are the main thread's; the measuring runs on the pool, one repository at a time. stop() waits
// for the one that is under way.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "gated_strand.h"
#include "quota_probe.h"
#include "shoal/base/clock.h"
#include "shoal/serve/hosted.h"
#include "shoal/store/store.h"

namespace shoal::app {

class QuotaWatch {
 public:
  // References outlive the pool's last task.
  QuotaWatch(store::Store& store, base::Executor& pool, base::Clock& clock, obs::Metrics& metrics);
  ~QuotaWatch() { stop(); }
  void set_quotas(std::vector<serve::Quota> quotas);  // measures at once
  void tick();                                        // measures if it is time
  void stop() { strand_.stop(); }                     // before the store goes

 private:
  struct Round {
    std::vector<serve::Quota> quotas;
    std::vector<std::uint64_t> used;  // by quota
    std::string last;                 // the repository that was measured last
    base::SteadyTime began;
  };
  void begin();
  void measure_next(Round round);
  void end(const Round& round);

  store::Store& store_;
  base::Clock& clock_;
  QuotaProbe probe_;
  std::mutex mutex_;
  std::vector<serve::Quota> quotas_;  // under the mutex, as all below
  base::SteadyTime due_{};
  bool measuring_ = false, again_ = false;
  GatedStrand strand_;
};

}  // namespace shoal::app
