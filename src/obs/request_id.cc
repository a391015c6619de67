#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <random>

#include "shoal/obs/metrics.h"

namespace shoal::obs {
namespace {

std::uint64_t random_start() {
  std::random_device device;
  const auto now = std::chrono::system_clock::now().time_since_epoch().count();
  return (static_cast<std::uint64_t>(device()) << 32 | device()) ^ static_cast<std::uint64_t>(now);
}

// splitmix64's finisher: one to one, so ids of one process never repeat, yet neighbours do not look alike.
std::uint64_t scramble(std::uint64_t x) {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
  return x ^ (x >> 31);
}

}  // namespace

std::string next_request_id() {
  static std::atomic<std::uint64_t> next{random_start()};
  auto value = scramble(next.fetch_add(1, std::memory_order_relaxed));
  std::string id(16, '0');
  for (auto digit = id.rbegin(); digit != id.rend(); ++digit, value >>= 4) *digit = "0123456789abcdef"[value & 15];
  return id;
}

}  // namespace shoal::obs
