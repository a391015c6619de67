#include "network_queue.h"

#include <boost/asio/post.hpp>

namespace shoal::p2p {

void NetworkQueue::push(Task task, std::int64_t answers) {
  {
    const std::lock_guard lock(mutex_);
    ready_.push_back(Ready{std::move(task), answers});
    if (posted_) return;
    posted_ = true;
  }
  boost::asio::post(io_, [self = shared_from_this()] { self->drain(); });
}

void NetworkQueue::close() {
  closing_ = true;
  if (outstanding_.load() == 0) work_.reset();
}

void NetworkQueue::drain() {
  std::vector<Ready> batch;
  {
    const std::lock_guard lock(mutex_);
    batch.swap(ready_);
    posted_ = false;
  }
  std::int64_t answered = 0;
  for (Ready& ready : batch) {
    ready.task();
    ready.task = nullptr;
    answered += ready.answers;
  }
  if (outstanding_.fetch_sub(answered) == answered && closing_) work_.reset();
}

}  // namespace shoal::p2p
