// GatedStrand: a strand on the pool that can be shut: stop() waits for the function that runs, and no other one runs
// afterwards. For work that uses what goes before the pool does.
#pragma once

#include <memory>
#include <mutex>

#include "shoal/base/loop.h"

namespace shoal::app {

class GatedStrand final : public base::Executor {
 public:
  explicit GatedStrand(base::Executor& pool) : strand_(pool) {}
  void post(base::UniqueFunction<void()> work) override {
    strand_.post([gate = gate_, work = std::move(work)]() mutable {
      const std::lock_guard lock(gate->mutex);  // held over the work: stop() waits for it, nobody else does
      if (!gate->stopped) work();
    });
  }
  void stop() {
    const std::lock_guard lock(gate_->mutex);
    gate_->stopped = true;
  }

 private:
  struct Gate {
    std::mutex mutex;
    bool stopped = false;
  };
  std::shared_ptr<Gate> gate_ = std::make_shared<Gate>();  // shared with what was posted
  base::Strand strand_;
};

}  // namespace shoal::app
