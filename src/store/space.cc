#include "space.h"

#include <algorithm>

namespace shoal::store {
namespace {

std::uint64_t minus(std::uint64_t a, std::uint64_t b) { return a > b ? a - b : 0; }

}  // namespace

// Eviction for min_free starts one slack above it and frees one more, so that it works ahead of need.
std::uint64_t Space::free_slack() const { return std::min<std::uint64_t>(limits_.min_free / 20, 256ULL << 20); }

void Space::set_limits(SpaceLimits limits) {
  const std::lock_guard lock(mutex_);
  limits_ = limits;
}

SpaceLimits Space::limits() const {
  const std::lock_guard lock(mutex_);
  return limits_;
}

bool Space::take(std::uint64_t bytes) {
  const std::lock_guard lock(mutex_);
  if (limits_.max_size != 0 && blobs_ + fills_ + bytes > limits_.max_size) return false;
  if (limits_.min_free != 0 && minus(free_, bytes) < limits_.min_free) return false;
  fills_ += bytes;
  if (free_ != UINT64_MAX) free_ = minus(free_, bytes);
  return true;
}

void Space::give_back(std::uint64_t bytes) {
  const std::lock_guard lock(mutex_);
  fills_ = minus(fills_, bytes);
  if (free_ != UINT64_MAX) free_ += bytes;
}

void Space::add_fill(std::uint64_t bytes) {
  const std::lock_guard lock(mutex_);
  fills_ += bytes;
}

void Space::fill_to_blob(std::uint64_t size) {
  const std::lock_guard lock(mutex_);
  fills_ = minus(fills_, size);
  blobs_ += size;
}

void Space::blob_to_fill(std::uint64_t size) {
  const std::lock_guard lock(mutex_);
  blobs_ = minus(blobs_, size);
  fills_ += size;
}

void Space::add_blob(std::uint64_t size) {
  const std::lock_guard lock(mutex_);
  blobs_ += size;
}

void Space::remove_blob(std::uint64_t size) {
  const std::lock_guard lock(mutex_);
  blobs_ = minus(blobs_, size);
  if (free_ != UINT64_MAX) free_ += size;
}

void Space::sample_free(std::uint64_t bytes) {
  const std::lock_guard lock(mutex_);
  free_ = bytes;
}

SpaceUse Space::use() const {
  const std::lock_guard lock(mutex_);
  return {blobs_, fills_, free_ == UINT64_MAX ? 0 : free_};
}

std::uint64_t Space::above(double watermark, unsigned slack_shares, std::uint64_t extra) const {
  std::uint64_t over = 0;
  if (limits_.max_size != 0) {
    const auto mark = static_cast<std::uint64_t>(static_cast<double>(limits_.max_size) * watermark);
    over = minus(blobs_ + fills_ + extra, mark);
  }
  if (limits_.min_free != 0) {
    over = std::max(over, minus(limits_.min_free + slack_shares * free_slack(), minus(free_, extra)));
  }
  return over;
}

std::uint64_t Space::to_evict(std::uint64_t extra) const {
  const std::lock_guard lock(mutex_);
  return above(limits_.high_watermark, 1, extra) == 0 ? 0 : above(limits_.low_watermark, 2, extra);
}

std::uint64_t Space::above_low(std::uint64_t extra) const {
  const std::lock_guard lock(mutex_);
  return above(limits_.low_watermark, 2, extra);
}

bool Space::can_ever_fit(std::uint64_t size, std::uint64_t pinned) const {
  const std::lock_guard lock(mutex_);
  if (limits_.max_size != 0 && size > minus(limits_.max_size, pinned)) return false;
  if (limits_.min_free != 0 && free_ != UINT64_MAX) {
    const auto evictable = minus(blobs_, pinned);
    if (size > minus(free_ + evictable, limits_.min_free)) return false;
  }
  return true;
}

std::uint64_t Space::room(std::uint64_t pinned) const {
  const std::lock_guard lock(mutex_);
  std::uint64_t room = UINT64_MAX;
  if (limits_.max_size != 0) room = minus(limits_.max_size, pinned);
  if (free_ != UINT64_MAX) room = std::min(room, minus(free_ + minus(blobs_, pinned), limits_.min_free));
  return room;
}

}  // namespace shoal::store
