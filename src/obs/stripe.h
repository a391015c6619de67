// A small number that differs between threads, for things striped per thread.
#pragma once

#include <atomic>

namespace shoal::obs {

inline unsigned stripe() {
  static std::atomic<unsigned> next{0};
  thread_local const unsigned mine = next.fetch_add(1, std::memory_order_relaxed);
  return mine;
}

}  // namespace shoal::obs
