#include "nonce_memory.h"

#include <charconv>

namespace shoal::p2p {

bool NonceMemory::add(std::string_view nonce, base::WallTime now) {
  std::uint64_t number = 0;
  std::from_chars(nonce.data(), nonce.data() + 16, number, 16);
  const std::lock_guard lock(mutex_);
  while (!order_.empty() && order_.front().at + keep_ < now) {
    seen_.erase(order_.front().nonce);
    order_.pop_front();
  }
  if (!seen_.insert(number).second) return false;
  order_.push_back({number, now});
  while (order_.size() > limit_) {
    seen_.erase(order_.front().nonce);
    order_.pop_front();
  }
  return true;
}

std::size_t NonceMemory::size() const {
  const std::lock_guard lock(mutex_);
  return order_.size();
}

}  // namespace shoal::p2p
