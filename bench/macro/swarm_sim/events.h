// EventQueue: what happens next. A wheel of buckets, each put in order when its time comes: events of a simulated
// transfer are near, and there are hundreds of thousands of them at a time.
#pragma once

#include <algorithm>
#include <cstdint>
#include <queue>
#include <utility>
#include <vector>

namespace shoal::sim {

struct Event {
  double at;
  std::uint64_t order;  // of two at the same time, the one that was added first
  std::uint32_t kind;
  std::uint32_t who;
  std::uint32_t piece;
  std::uint32_t unit;
};

class EventQueue {
 public:
  explicit EventQueue(double width) : width_(width), wheel_(kBuckets) {}

  void add(double at, std::uint32_t kind, std::uint32_t who, std::uint32_t piece = 0, std::uint32_t unit = 0) {
    const Event event{at, next_++, kind, who, piece, unit};
    const auto slot = slot_of(at);
    if (slot >= current_ + kBuckets) return far_.push(event);
    if (slot <= current_) {
      late_.push_back(event);
      std::push_heap(late_.begin(), late_.end(), Later{});
    } else {
      put(event, slot);
    }
    ++near_;
  }
  [[nodiscard]] bool empty() const { return near_ == 0 && far_.empty(); }
  Event pop() {
    while (opened_.empty() && late_.empty()) open_next();
    --near_;
    const bool late = opened_.empty() || (!late_.empty() && Later{}(opened_.back(), late_.front()));
    if (late) std::pop_heap(late_.begin(), late_.end(), Later{});
    auto& from = late ? late_ : opened_;
    const Event event = from.back();
    from.pop_back();
    return event;
  }

 private:
  static constexpr std::uint64_t kBuckets = 1 << 16;
  struct Later {
    bool operator()(const Event& a, const Event& b) const { return a.at != b.at ? a.at > b.at : a.order > b.order; }
  };
  [[nodiscard]] std::uint64_t slot_of(double at) const { return static_cast<std::uint64_t>(at / width_); }
  // Few buckets are in use at a time: their memory goes round, or the whole wheel's would, through every cache.
  void put(const Event& event, std::uint64_t slot) {
    auto& bucket = wheel_[slot % kBuckets];
    if (bucket.capacity() == 0 && !spare_.empty()) {
      bucket = std::move(spare_.back());
      spare_.pop_back();
    }
    bucket.push_back(event);
  }
  void open_next() {
    current_ = near_ == 0 ? slot_of(far_.top().at) : current_ + 1;
    for (; !far_.empty() && slot_of(far_.top().at) < current_ + kBuckets; far_.pop(), ++near_)
      put(far_.top(), slot_of(far_.top().at));
    auto& bucket = wheel_[current_ % kBuckets];
    if (bucket.empty()) return;
    spare_.push_back(std::exchange(opened_, std::exchange(bucket, {})));
    std::sort(opened_.begin(), opened_.end(), Later{});
  }

  const double width_;
  std::vector<std::vector<Event>> wheel_, spare_;
  std::vector<Event> opened_, late_;  // of the current bucket: what was in it when its time came, what was added since
  std::priority_queue<Event, std::vector<Event>, Later> far_;
  std::uint64_t current_ = 0;
  std::uint64_t near_ = 0;
  std::uint64_t next_ = 0;
};

}  // namespace shoal::sim
