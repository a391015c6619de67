#include "shoal/base/pacer.h"

#include <algorithm>

namespace shoal::base {
namespace {

constexpr std::chrono::milliseconds kAhead{50};        // so that small pieces need no timer each
constexpr std::chrono::milliseconds kLongest{60'000};  // a rate that was raised meanwhile counts then

}  // namespace

std::chrono::milliseconds Pacer::passed(std::uint64_t bytes, std::uint64_t rate, SteadyTime now) {
  using std::chrono::milliseconds;
  const std::lock_guard lock(mutex_);
  if (rate == 0) {
    due_ = {};
    return milliseconds(0);
  }
  const std::chrono::duration<double> takes(static_cast<double>(bytes) / static_cast<double>(rate));
  due_ = std::max(due_, now) +
         std::chrono::duration_cast<SteadyTime::duration>(std::min<decltype(takes)>(takes, kLongest));
  due_ = std::min(due_, now + kLongest);
  return std::max(milliseconds(0), std::chrono::duration_cast<milliseconds>(due_ - now) - kAhead);
}

}  // namespace shoal::base
