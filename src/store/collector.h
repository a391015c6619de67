// Collector: the garbage collection of the hosted repositories, one at a time beside a few dry runs, in short steps on
// the executor it is given. What is garbage, and why a push beside it loses nothing: README.md.
//
// One round is one chain of steps: no two run at once, so its state needs no lock. Each step holds at most one read
// transaction, or waits for one commit.
#pragma once

#include <atomic>
#include <memory>

#include "shoal/base/result.h"
#include "shoal/base/unique_function.h"
#include "shoal/store/hosted.h"

namespace shoal::store {

struct Core;

class Collector {
 public:
  using Answer = base::UniqueFunction<void(base::Result<GcReport>)>;  // inside a step, or inside start(): busy
  explicit Collector(Core& core) : core_(core) {}
  void start(GcOptions options, base::Executor& on, Answer answer);  // any thread

 private:
  friend class CollectRound;
  Core& core_;
  std::atomic<bool> running_{false};
  std::atomic<int> dry_runs_{0};
};

}  // namespace shoal::store
