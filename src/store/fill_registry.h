// FillRegistry: at most one fill of a digest has an owner; and a new one queues behind what the last one left undone,
// because both use the digest's strand. Any thread.
#pragma once

#include <memory>
#include <mutex>
#include <unordered_map>

#include "guard.h"
#include "shoal/base/digest.h"
#include "shoal/base/loop.h"

namespace shoal::store {

class FillRegistry;

// Shared by the fill's owner and its queued disk work; with the last of them, the digest is free again.
struct FillSlot {
  FillSlot(FillRegistry& r, const base::Digest& d, base::Executor& disk) : registry(r), digest(d), strand(disk) {}
  ~FillSlot();
  FillSlot(const FillSlot&) = delete;
  FillSlot& operator=(const FillSlot&) = delete;
  FillRegistry& registry;
  const base::Digest digest;
  base::Strand strand;
  bool owned = true;  // under the registry's mutex
};

class FillRegistry {
 public:
  explicit FillRegistry(Guard& guard) : guard_(guard) {}
  [[nodiscard]] std::shared_ptr<FillSlot> begin(const base::Digest& digest, base::Executor& disk);  // null: busy
  void release(FillSlot& slot);                                                                     // its owner goes

 private:
  friend struct FillSlot;
  void forget(const FillSlot& slot);
  Guard& guard_;
  std::mutex mutex_;
  std::unordered_map<base::Digest, std::weak_ptr<FillSlot>> slots_;
};

}  // namespace shoal::store
