// WriteTrial: after a failed sync, whether the disk writes again. Every half a minute that somebody uses the store: a
// file in every directory whose entries change, what else waits for the disk, and a commit of the index. If all of that
// reaches the disk, the store writes again. That is safe because of what failed nothing was acknowledged, and nothing
// is taken up: files whose sync failed go (Doubtful), a commit that failed is no part of the index, and uploads that
// began before are over (Health).
#pragma once

#include <atomic>
#include <cstdint>

#include "shoal/base/clock.h"
#include "shoal/base/result.h"

namespace shoal::store {

struct Core;

class WriteTrial {
 public:
  explicit WriteTrial(Core& core) : core_(core) {}
  void tick(base::SteadyTime now);  // any thread that may post to the disk executor; cheap

 private:
  void run();  // on the disk executor; waits for the writer
  [[nodiscard]] base::Result<void> attempt();
  [[nodiscard]] base::Result<void> write_in(const std::string& directory) const;
  [[nodiscard]] base::Result<void> sync_all() const;

  Core& core_;
  std::atomic<std::int64_t> next_{0};  // of the steady clock; 0: the store has not been seen read-only
  std::atomic<bool> running_{false};   // for longer than the interval, where the disk hangs
  unsigned failed_ = 0;                // of the running one
};

}  // namespace shoal::store
