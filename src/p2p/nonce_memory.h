// NonceMemory: which nonces were seen, for a while. Bounded: when it is full, the oldest go. Thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <mutex>
#include <string_view>
#include <unordered_set>

#include "shoal/base/clock.h"

namespace shoal::p2p {

class NonceMemory {
 public:
  NonceMemory(std::chrono::milliseconds keep, std::size_t limit) : keep_(keep), limit_(limit) {}
  // `nonce`: at least 16 hex digits. False: it was seen within `keep`.
  [[nodiscard]] bool add(std::string_view nonce, base::WallTime now);
  [[nodiscard]] std::size_t size() const;

 private:
  struct Seen {
    std::uint64_t nonce;  // its first half: only who knows the secret could look for two that agree
    base::WallTime at;
  };
  const std::chrono::milliseconds keep_;
  const std::size_t limit_;
  mutable std::mutex mutex_;
  std::unordered_set<std::uint64_t> seen_;
  std::deque<Seen> order_;  // oldest first
};

}  // namespace shoal::p2p
