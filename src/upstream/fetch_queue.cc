#include "fetch_queue.h"

#include <algorithm>

namespace shoal::upstream {

std::unique_ptr<FetchQueue::Ticket> FetchQueue::enter(base::Loop& loop, base::UniqueFunction<void()> ready,
                                                      bool* granted) {
  std::unique_ptr<Ticket> ticket(new Ticket);
  ticket->entry_ = std::make_shared<Ticket::Entry>();
  Ticket::Entry& entry = *ticket->entry_;
  entry.queue = state_;
  entry.loop = &loop;
  entry.ready = std::move(ready);
  const std::lock_guard lock(state_->mutex);
  entry.granted = state_->running < std::max<std::size_t>(state_->limit, 1) && state_->waiting.empty();
  *granted = entry.granted;
  if (entry.granted) {
    ++state_->running;
  } else {
    state_->waiting.push_back(ticket->entry_);
  }
  return ticket;
}

FetchQueue::Ticket::~Ticket() {
  entry_->dropped = true;
  State& state = *entry_->queue;
  const std::lock_guard lock(state.mutex);
  if (entry_->granted) {
    --state.running;
  } else {
    std::erase(state.waiting, entry_);
  }
  grant_next(state);
}

void FetchQueue::grant_next(State& state) {
  while (!state.waiting.empty() && state.running < std::max<std::size_t>(state.limit, 1)) {
    auto entry = std::move(state.waiting.front());
    state.waiting.pop_front();
    entry->granted = true;
    ++state.running;
    base::Loop* loop = entry->loop;
    loop->post([entry = std::move(entry)] {
      if (!entry->dropped) entry->ready();
    });
  }
}

void FetchQueue::set_limit(std::size_t limit) {
  const std::lock_guard lock(state_->mutex);
  state_->limit = limit;
  grant_next(*state_);
}

std::size_t FetchQueue::running() const {
  const std::lock_guard lock(state_->mutex);
  return state_->running;
}

std::size_t FetchQueue::waiting() const {
  const std::lock_guard lock(state_->mutex);
  return state_->waiting.size();
}

}  // namespace shoal::upstream
