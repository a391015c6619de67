// Garbage: when the hosted repositories are swept, and what is said about it: first the retention rules take tags away
// (sync), then what nothing leads to goes (store).
// Any thread; run_if_due() is the main thread's, now and then. Outlives the pool's last task.
#pragma once

#include <atomic>
#include <mutex>

#include "garbage_probe.h"
#include "gated_strand.h"
#include "shoal/admin/admin.h"
#include "shoal/base/clock.h"
#include "shoal/base/loop.h"
#include "shoal/store/store.h"

namespace shoal::app {

class Garbage {
 public:
  using Done = base::UniqueFunction<void(base::Result<admin::GcOutcome>)>;

  // When the last one ended comes from the store, so that restarts do not put the next one off for ever.
  Garbage(store::Store& store, base::Executor& pool, base::Clock& clock, obs::Metrics& metrics);
  ~Garbage() { stop(); }

  // 0: never by itself.
  void set_options(std::chrono::seconds interval, store::GcOptions options, sync::RetentionOptions retention);
  [[nodiscard]] store::GcOptions options() const;
  void run_if_due();
  void stop();  // before the store goes; what ends afterwards is not written down
  // `done` may be empty; on the pool. ErrorKind::busy: one runs already.
  void run(store::GcOptions options, Done done);
  // A dry run, with the grace and without; beside one in earnest. `done` on the pool, not after stop().
  using Foreseen = base::UniqueFunction<void(base::Result<admin::GcForecast>)>;
  void foresee(store::GcOptions options, Foreseen done);

 private:
  void retained(const store::GcOptions& options, base::SteadyTime began, Done done,
                base::Result<sync::RetentionReport> result);
  void foresee_all(const store::GcOptions& options, base::SteadyTime began, Done done, sync::RetentionReport retention);
  void ended(const store::GcOptions& options, base::SteadyTime began, const base::Result<admin::GcOutcome>& result);

  store::Store& store_;
  base::Executor& pool_;
  base::Clock& clock_;
  GarbageProbe probe_;
  mutable std::mutex mutex_;
  std::chrono::seconds interval_{0};  // under the mutex, as all below
  store::GcOptions options_;
  sync::RetentionOptions retention_;
  base::WallTime last_;
  bool running_ = false;
  bool stopped_ = false;
  GatedStrand strand_;
  std::unique_ptr<sync::RetentionRun> run_;  // the last one; on the strand
};

}  // namespace shoal::app
