#include "scrubbing.h"

#include <algorithm>
#include <mutex>

#include "scrub_probe.h"
#include "shoal/obs/log.h"

namespace shoal::app {
namespace {

constexpr std::uint64_t kStep = 32ULL << 20;     // keeps a thread of the pool for a fraction of a second
constexpr std::chrono::seconds kMostAtOnce{60};  // what was missed before that is not made up for

}  // namespace

struct Scrubbing::State : std::enable_shared_from_this<State> {
  State(store::Store& s, base::Executor& p, obs::Metrics& metrics) : store(s), pool(p), probe(metrics) {}

  void post_step() {
    pool.post([self = shared_from_this()] { self->step(); });
  }
  void step() {
    const std::lock_guard lock(mutex);  // held over the step: stop() waits for it, nobody else does
    if (stopped) return;
    const auto report = scrub(std::min(budget, kStep));
    budget -= std::min(budget, std::max<std::uint64_t>(report.bytes, 1));
    if (budget > 0 && !report.whole && !report.unreadable) {  // else another time
      post_step();
    } else {
      running.store(false);
    }
  }

  store::ScrubReport scrub(std::uint64_t bytes) {
    auto report = store.scrub(bytes);
    probe.stepped(report);
    for (const auto& name : report.names) {
      obs::error(obs::Category::store, "{} was damaged on disk: it is in quarantine now", name);
    }
    return report;
  }

  store::Store& store;
  base::Executor& pool;
  ScrubProbe probe;
  std::mutex mutex;
  bool stopped = false;      // under the mutex
  std::uint64_t budget = 0;  // of the steps that run; while none does, of the main thread
  std::atomic<bool> running{false};
};

Scrubbing::Scrubbing(store::Store& store, base::Executor& pool, base::Clock& clock, obs::Metrics& metrics,
                     std::uint64_t rate)
    : state_(std::make_shared<State>(store, pool, metrics)), clock_(clock), rate_(rate), last_(clock.steady_now()) {}

Scrubbing::~Scrubbing() { stop(); }

void Scrubbing::tick() {
  if (rate_ == 0 || state_->running.load()) return;
  const auto now = clock_.steady_now();
  const auto since = std::min<std::chrono::duration<double>>(now - last_, kMostAtOnce);
  const auto budget = static_cast<std::uint64_t>(since.count() * static_cast<double>(rate_));
  if (budget == 0) return;
  last_ = now;
  state_->budget = budget;
  state_->running.store(true);
  state_->post_step();
}

// Without the mutex, which would keep stop() and the background waiting: the store has its own for steps.
store::ScrubReport Scrubbing::step(std::uint64_t bytes, admin::ScrubFrom from) {
  if (from == admin::ScrubFrom::the_beginning) state_->store.restart_scrub();
  return state_->scrub(bytes);
}

void Scrubbing::stop() {
  const std::lock_guard lock(state_->mutex);
  state_->stopped = true;
}

}  // namespace shoal::app
