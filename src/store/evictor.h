// Evictor: makes room, in small steps on the disk executor, from a random sample of the blobs (choose_victims()). Works
// ahead of need between the watermarks; a fill that finds no room may ask for some at once.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>

#include "shoal/base/clock.h"
#include "shoal/store/evict.h"

namespace shoal::store {

struct Core;

class Evictor {
 public:
  explicit Evictor(Core& core) : core_(core) {}

  void kick(std::uint64_t extra = 0);  // any thread: start if above the high watermark with so many bytes more
  // On the disk executor: evicts until `bytes` fit or nothing goes any more; bounded work.
  void make_room(std::uint64_t bytes);

  [[nodiscard]] Departed& departed() { return departed_; }  // what was evicted, and may come back
  [[nodiscard]] std::uint64_t evicted_blobs() const { return blobs_.load(); }
  [[nodiscard]] std::uint64_t evicted_bytes() const { return bytes_.load(); }

 private:
  void step();
  std::uint64_t evict_one();  // the worst of a sample, else an old fill; answers the bytes freed
  void tell_evicted(const Candidate& victim);
  void tell_stuck();

  Core& core_;
  Departed departed_;
  std::atomic<bool> running_{false};
  std::atomic<std::uint64_t> extra_{0};
  std::atomic<std::uint64_t> seed_{0};
  unsigned fruitless_ = 0;  // steps in a row; the running step's
  std::atomic<std::uint64_t> blobs_{0}, bytes_{0};
  std::mutex told_mutex_;
  base::SteadyTime told_{};  // when it last logged that nothing can go
};

}  // namespace shoal::store
