// Sweeper: upkeep on the disk executor: free space once a second, old fills and orphaned blob files once an hour. Has
// no timer: whoever uses the store calls tick(), which is cheap; an idle store has nothing to sweep.
#pragma once

#include <dirent.h>

#include <atomic>
#include <cstdint>
#include <memory>

#include "shoal/base/clock.h"
#include "shoal/base/digest.h"

namespace shoal::store {

struct Core;

class Sweeper {
 public:
  explicit Sweeper(Core& core) : core_(core) {}
  ~Sweeper();
  Sweeper(const Sweeper&) = delete;
  Sweeper& operator=(const Sweeper&) = delete;

  void start(base::SteadyTime now);  // removes old fills soon
  void tick(base::SteadyTime now);   // any thread that may post to the disk executor

  // On the disk executor:
  void sample_free();
  void remove_old_fills();
  std::uint64_t remove_oldest_fill();  // of those nobody works on; answers its bytes, 0: none

 private:
  [[nodiscard]] bool has_no_record(const base::Digest& digest) const;
  void sweep_orphans();  // one step; posts the next
  bool due(std::atomic<std::int64_t>& next, base::SteadyTime now, base::SteadyTime::duration interval);
  std::uint64_t remove_fill(const std::string& name);

  Core& core_;
  std::atomic<std::int64_t> next_sample_{0}, next_sweep_{0};
  std::atomic<bool> sweeping_{false};
  unsigned shard_ = 0;  // the sweeping step's
  DIR* dir_ = nullptr;  // the same
};

}  // namespace shoal::store
