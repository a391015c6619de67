// EventLoop: base::Loop on libuv, one thread each; ThreadPool: the disk-and-hash Executor.
// The owner (app, or a test) starts and stops both; they outlive everything that posts to them.
#pragma once

#include <cstddef>
#include <memory>

#include "shoal/base/loop.h"
#include "shoal/obs/metrics.h"

namespace shoal::net {

class EventLoop final : public base::Loop {
 public:
  explicit EventLoop(unsigned index);
  ~EventLoop() override;  // stop() first

  void start();  // spawns the thread
  void stop();   // any other thread: runs what was posted, closes handles, joins. Idempotent.

  void post(base::UniqueFunction<void()> work) override;
  [[nodiscard]] base::Timer schedule(std::chrono::milliseconds delay, base::UniqueFunction<void()> fire) override;
  [[nodiscard]] bool in_loop() const override;
  [[nodiscard]] base::SteadyTime now() const override;
  [[nodiscard]] unsigned index() const override;
  // How late the last heartbeat (two a second) ran: what a turn that blocks costs the others. Any thread.
  [[nodiscard]] std::chrono::microseconds lag() const;
  // From now on counts, in seconds: how long each turn took, from the first event it handled to the next wait; and how
  // long what another thread posted waited until the loop came to it (the first of each batch). Any thread, any time
  // after start(); both outlive the loop.
  void measure(obs::Histogram& turns, obs::Histogram& waits);

  struct Impl;
  [[nodiscard]] Impl& impl() { return *impl_; }  // for net's own files only: holds the uv_loop_t

 private:
  std::unique_ptr<Impl> impl_;
};

class ThreadPool final : public base::Executor {
 public:
  explicit ThreadPool(unsigned threads);
  ~ThreadPool() override;  // runs what was posted, joins
  void post(base::UniqueFunction<void()> work) override;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// Watches a file descriptor that something else owns (libcurl's sockets). Drop to stop watching, before the fd closes.
class FdWatch {
 public:
  enum Events : unsigned { none = 0, readable = 1, writable = 2 };
  FdWatch(EventLoop& loop, int fd, base::UniqueFunction<void(unsigned events, bool error)> ready);
  ~FdWatch();
  FdWatch(const FdWatch&) = delete;
  FdWatch& operator=(const FdWatch&) = delete;
  void want(unsigned events);  // replaces the former wish

 private:
  struct Impl;
  Impl* impl_;  // freed by libuv's close callback
};

}  // namespace shoal::net
