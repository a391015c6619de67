// EventLoop::Impl: the uv_loop_t and what every turn needs. Private to net.
#pragma once

#include <uv.h>

#include <atomic>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "poller.h"
#include "shoal/net/event_loop.h"

namespace shoal::net {

constexpr std::size_t kReadBufferBytes = 64 * 1024;

// What handle->data points to, for handles whose owner must hear when the stopping loop closes them.
struct OwnedHandle {
  void (*closed)(uv_handle_t*) = nullptr;
};

struct EventLoop::Impl {
  explicit Impl(unsigned index);
  ~Impl();

  void run();                                          // the thread's body
  void post_local(base::UniqueFunction<void()> work);  // loop thread only: no lock, no wake-up
  void post_any(base::UniqueFunction<void()> work);
  bool run_posted();  // one batch of each queue; false: both were empty
  void touch() {      // each callback of libuv does, first of all
    now = std::chrono::steady_clock::now();
    if (turn_began == base::SteadyTime{}) turn_began = now;
  }
  void end_turn();
  [[nodiscard]] bool here() const;
  void close_handles();

  unsigned index;
  uv_loop_t loop;
  uv_async_t wake;  // another thread posted
  uv_idle_t again;  // active while the loop has posted to itself: keeps the next turn from waiting
  uv_prepare_t before_wait;
  uv_timer_t heartbeat;
  uv_poll_t sockets;  // readable while `poller` has events
  Poller poller;
  base::SteadyTime now{};
  base::SteadyTime turn_began{};  // no event yet: the epoch
  base::SteadyTime heartbeat_due{};
  obs::Histogram* turns = nullptr;  // see EventLoop::measure; both set on the loop
  obs::Histogram* waits = nullptr;
  std::atomic<std::int64_t> lag_us{0};
  std::unique_ptr<char[]> read_buffer;  // one for all streams: data is valid during the callback only
  std::vector<base::UniqueFunction<void()>> local;
  std::vector<base::UniqueFunction<void()>> running;

  std::mutex mutex;  // guards the three below
  std::vector<base::UniqueFunction<void()>> posted;
  base::SteadyTime posted_at{};  // the first of them
  bool closed = false;           // posts are dropped from now on

  std::thread thread;
};

}  // namespace shoal::net
