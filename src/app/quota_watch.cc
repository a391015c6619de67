#include "quota_watch.h"

#include <algorithm>

#include "shoal/obs/log.h"
#include "shoal/registry/pattern.h"

namespace shoal::app {
namespace {

constexpr std::chrono::seconds kEvery{60};
constexpr int kShare = 20;  // of the time at most one part in so many goes into measuring

}  // namespace

QuotaWatch::QuotaWatch(store::Store& store, base::Executor& pool, base::Clock& clock, obs::Metrics& metrics)
    : store_(store), clock_(clock), probe_(metrics), strand_(pool) {}

void QuotaWatch::set_quotas(std::vector<serve::Quota> quotas) {
  {
    const std::lock_guard lock(mutex_);
    for (const auto& old : quotas_) {
      const bool stays = std::any_of(quotas.begin(), quotas.end(),
                                     [&old](const auto& quota) { return quota.repositories == old.repositories; });
      if (!stays) probe_.gone(old.repositories);
    }
    for (const auto& quota : quotas) probe_.limited(quota.repositories, quota.bytes);
    quotas_ = std::move(quotas);
    again_ = measuring_;
    if (again_) return;
  }
  begin();
}

void QuotaWatch::tick() {
  {
    const std::lock_guard lock(mutex_);
    if (measuring_ || clock_.steady_now() < due_) return;
  }
  begin();
}

void QuotaWatch::begin() {
  Round round;
  {
    const std::lock_guard lock(mutex_);
    if (measuring_ || quotas_.empty()) return;
    measuring_ = true;
    again_ = false;
    round.quotas = quotas_;
  }
  round.used.resize(round.quotas.size());
  round.began = clock_.steady_now();
  strand_.post([this, round = std::move(round)]() mutable { measure_next(std::move(round)); });
}

// The first quota that matches counts, as for pushes.
void QuotaWatch::measure_next(Round round) {
  const auto next = store_.hosted().read_hosted(round.last, 1);
  if (!next) {
    obs::warn(obs::Category::app, "quotas: {}", next.error().message());
    round.quotas.clear();
    return end(round);
  }
  if (next->empty()) return end(round);
  round.last = next->front();
  for (std::size_t i = 0; i < round.quotas.size(); ++i) {
    if (!registry::matches(round.quotas[i].repositories, round.last)) continue;
    const auto repository = store_.hosted().measure(round.last);
    if (!repository) {
      obs::warn(obs::Category::app, "quotas: {}: {}", round.last, repository.error().message());
      round.quotas.clear();
      return end(round);
    }
    round.used[i] += repository->bytes;
    break;
  }
  strand_.post([this, round = std::move(round)]() mutable { measure_next(std::move(round)); });
}

// Without quotas: it failed, and the figures of before stay.
void QuotaWatch::end(const Round& round) {
  bool again = false;
  {
    const std::lock_guard lock(mutex_);
    measuring_ = false;
    again = again_;
    const auto now = clock_.steady_now();
    due_ = now + std::max<base::SteadyTime::duration>(kEvery, kShare * (now - round.began));
    for (std::size_t i = 0; !again && i < round.quotas.size(); ++i) {
      probe_.measured(round.quotas[i].repositories, round.used[i]);
    }
  }
  if (again) begin();
}

}  // namespace shoal::app
