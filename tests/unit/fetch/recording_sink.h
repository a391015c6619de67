// A Sink that remembers, and a latch to wait for its end. One loop; the test's thread waits and then reads.
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>

#include "shoal/fetch/client.h"

namespace shoal::test {

class RecordingSink : public fetch::Sink {
 public:
  void on_head(const fetch::ResponseHead& h) override {
    head = h;
    if (at_head) at_head();
  }
  fetch::Flow on_data(std::string_view bytes) override {
    {
      const std::lock_guard lock(mutex_);
      body.append(bytes);
      changed_.notify_all();  // locked: the waiter may destroy us
    }
    return at_data ? at_data(bytes) : fetch::Flow::go_on;
  }
  void on_end(base::Result<void> r) override {
    {
      const std::lock_guard lock(mutex_);
      result = std::move(r);
      ++ends;
      changed_.notify_all();  // locked: the waiter may destroy us
    }
  }

  // False: nothing within 10 s.
  bool wait_for_end() {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(10), [this] { return ends > 0; });
  }
  bool wait_for_bytes(std::size_t n) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(10), [&] { return body.size() >= n; });
  }
  std::size_t bytes() {
    const std::lock_guard lock(mutex_);
    return body.size();
  }

  fetch::ResponseHead head;
  std::string body;
  base::Result<void> result;
  int ends = 0;
  std::function<void()> at_head;
  std::function<fetch::Flow(std::string_view)> at_data;

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
};

}  // namespace shoal::test
