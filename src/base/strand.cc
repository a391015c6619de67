#include "shoal/base/loop.h"

namespace shoal::base {

void Strand::post(UniqueFunction<void()> work) {
  {
    const std::lock_guard lock(state_->mutex);
    state_->queue.push_back(std::move(work));
    if (state_->running) return;
    state_->running = true;
  }
  state_->executor.post([state = state_] { run(state); });
}

// One item per turn, so that a long strand does not keep a pool thread from the others.
void Strand::run(const std::shared_ptr<State>& state) {
  UniqueFunction<void()> work;
  {
    const std::lock_guard lock(state->mutex);
    work = std::move(state->queue.front());
    state->queue.pop_front();
  }
  work();
  work = nullptr;  // its captures die before the strand goes on
  {
    const std::lock_guard lock(state->mutex);
    if (state->queue.empty()) {
      state->running = false;
      return;
    }
  }
  state->executor.post([state] { run(state); });
}

}  // namespace shoal::base
