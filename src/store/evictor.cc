#include "evictor.h"

#include <algorithm>
#include <vector>

#include "core.h"

namespace shoal::store {
namespace {

constexpr std::size_t kMaxTries = 8;  // of a sample, when its worst cannot be removed
constexpr unsigned kMaxFruitless = 8;
constexpr int kMaxInlineSteps = 512;
constexpr auto kTellEvery = std::chrono::minutes(1);

}  // namespace

void Evictor::kick(std::uint64_t extra) {
  if (core_.health.read_only() || core_.space.to_evict(extra) == 0) return;
  if (running_.exchange(true)) return;
  extra_ = extra;
  core_.post_disk([](Core& core) { core.evictor.step(); });
}

void Evictor::step() {
  const auto need = core_.space.above_low(extra_.load());
  if (need == 0 || core_.health.read_only()) {
    fruitless_ = 0;
    running_ = false;
    return;
  }
  fruitless_ = evict_one() > 0 ? 0 : fruitless_ + 1;
  if (fruitless_ >= kMaxFruitless) {
    fruitless_ = 0;
    running_ = false;
    tell_stuck();
    return;
  }
  core_.post_disk([](Core& core) { core.evictor.step(); });
}

void Evictor::make_room(std::uint64_t bytes) {
  if (core_.health.read_only()) return;
  unsigned fruitless = 0;
  for (int i = 0; i < kMaxInlineSteps && fruitless < kMaxFruitless; ++i) {
    const auto need = core_.space.above_low(bytes);
    if (need == 0) return;
    fruitless = evict_one() > 0 ? 0 : fruitless + 1;
  }
}

std::uint64_t Evictor::evict_one() {
  std::vector<Candidate> sample;
  {
    const auto txn = core_.index->read();
    for (auto& [digest, record] : IndexView(txn).sample_blobs(kSampleRuns, kSampleRunLength, ++seed_)) {
      sample.push_back({digest, record, core_.guard->in_use(digest)});
    }
  }
  for (auto& candidate : sample) {  // uses of the last seconds are not in its record yet
    const auto touch = core_.touches.waiting(candidate.digest);
    candidate.record.uses += std::min(touch.uses, UINT32_MAX - candidate.record.uses);
    candidate.record.last_use = std::max(candidate.record.last_use, touch.last);
  }
  std::size_t tries = 0;
  for (const auto i : choose_victims(sample, UINT64_MAX, core_.clock.wall_now())) {
    if (tries++ == kMaxTries) break;
    const auto& [digest, record, in_use] = sample[i];
    if (!drop_blob(core_, digest, record)) continue;
    departed_.remember(digest, record.uses);
    ++blobs_;
    bytes_ += record.size;
    tell_evicted(sample[i]);
    if (record.size > 0) return record.size;
  }
  return core_.sweeper.remove_oldest_fill();
}

void Evictor::tell_evicted(const Candidate& victim) {
  if (!core_.events.wants(obs::EventKind::evict, obs::EventObject::blob)) return;
  obs::Event event;
  event.kind = obs::EventKind::evict;
  event.object = obs::EventObject::blob;
  event.digest = victim.digest.to_string();
  event.size = victim.record.size;
  event.reason = "space";
  core_.events.publish(std::move(event));
}

void Evictor::tell_stuck() {
  const auto now = core_.clock.steady_now();
  {
    const std::lock_guard lock(told_mutex_);
    if (told_ != base::SteadyTime{} && now - told_ < kTellEvery) return;
    told_ = now;
  }
  obs::warn(obs::Category::store, "no blob can be evicted: all {} bytes are pinned or in use, or the disk is short",
            core_.space.use().blob_bytes);
}

}  // namespace shoal::store
