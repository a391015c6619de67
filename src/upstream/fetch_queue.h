// FetchQueue: at most `limit` blob fetches at once over all loops, first come first served. Thread-safe.
#pragma once

#include <deque>
#include <memory>
#include <mutex>

#include "shoal/base/loop.h"

namespace shoal::upstream {

class FetchQueue {
 public:
  explicit FetchQueue(std::size_t limit) : state_(std::make_shared<State>(limit)) {}

  // A place in the queue, then a slot. Dropping it gives either back. Made and dropped on one loop.
  class Ticket {
   public:
    ~Ticket();
    Ticket(const Ticket&) = delete;
    Ticket& operator=(const Ticket&) = delete;

   private:
    friend class FetchQueue;
    Ticket() = default;
    struct Entry;
    std::shared_ptr<Entry> entry_;  // shared with the queue and the posted grant
  };
  // A slot is free: *granted is true and `ready` is never called. Otherwise `ready` runs once, later, on `loop`.
  [[nodiscard]] std::unique_ptr<Ticket> enter(base::Loop& loop, base::UniqueFunction<void()> ready, bool* granted);

  void set_limit(std::size_t limit);
  [[nodiscard]] std::size_t running() const;
  [[nodiscard]] std::size_t waiting() const;

 private:
  struct State;
  static void grant_next(State& state);  // with the mutex held

  std::shared_ptr<State> state_;  // tickets may outlive the queue
};

struct FetchQueue::Ticket::Entry {
  std::shared_ptr<FetchQueue::State> queue;
  base::Loop* loop = nullptr;
  base::UniqueFunction<void()> ready;
  bool granted = false;  // under the queue's mutex
  bool dropped = false;  // on `loop` only
};

struct FetchQueue::State {
  explicit State(std::size_t l) : limit(l) {}
  mutable std::mutex mutex;
  std::size_t limit;
  std::size_t running = 0;
  std::deque<std::shared_ptr<Ticket::Entry>> waiting;
};

}  // namespace shoal::upstream
