#include "fill_registry.h"

namespace shoal::store {

FillSlot::~FillSlot() { registry.forget(*this); }

std::shared_ptr<FillSlot> FillRegistry::begin(const base::Digest& digest, base::Executor& disk) {
  const std::lock_guard lock(mutex_);
  auto& entry = slots_[digest];
  if (auto draining = entry.lock()) {
    if (draining->owned) return nullptr;
    draining->owned = true;
    return draining;
  }
  auto slot = std::make_shared<FillSlot>(*this, digest, disk);
  entry = slot;
  (void)guard_.begin_fill(digest);  // held already when the last slot is just going
  return slot;
}

void FillRegistry::release(FillSlot& slot) {
  const std::lock_guard lock(mutex_);
  slot.owned = false;
}

void FillRegistry::forget(const FillSlot& slot) {
  const std::lock_guard lock(mutex_);
  const auto it = slots_.find(slot.digest);
  if (it == slots_.end() || !it->second.expired()) return;  // a successor took the place
  slots_.erase(it);
  guard_.end_fill(slot.digest);
}

}  // namespace shoal::store
