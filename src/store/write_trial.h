// WriteTrial: after a failed sync, whether the disk writes again. Every half a minute that somebody uses the store: a
// file of its own, what else waits for the disk (syncfs), the directories, and a commit of the index. If all of that
// reached the disk, the store may write again. That is safe because nothing of what failed was acknowledged, and none
// of it is there any more: a fill's or an upload's file goes when its sync failed, and a commit that failed is no part
// of the index.
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
  [[nodiscard]] base::Result<void> write() const;
  [[nodiscard]] base::Result<void> sync_all() const;

  Core& core_;
  std::atomic<std::int64_t> next_{0};  // of the steady clock; 0: the store has not been seen read-only
  std::atomic<bool> running_{false};   // for longer than the interval, where the disk hangs
  unsigned failed_ = 0;                // of the running one
};

}  // namespace shoal::store
