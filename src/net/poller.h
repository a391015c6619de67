// Poller: one epoll set per loop for the sockets net owns, edge-triggered, nested in libuv's through one uv_poll.
// uv_poll re-arms with two epoll_ctl calls at every change of interest; sockets here are added once and never touched
// again, and a reset is seen even while nobody reads. Loop thread only.
#pragma once

#include <sys/epoll.h>

#include <cstdint>
#include <vector>

#include "shoal/base/result.h"

namespace shoal::net {

class PollTarget {
 public:
  virtual void on_poll(std::uint32_t epoll_events) = 0;  // may drop the target

 protected:
  ~PollTarget() = default;
};

class Poller {
 public:
  using Token = std::uint64_t;  // slot and generation: an event for a dropped target finds nobody

  Poller();
  ~Poller();
  Poller(const Poller&) = delete;
  Poller& operator=(const Poller&) = delete;

  [[nodiscard]] base::Result<Token> add(int fd, std::uint32_t events, PollTarget& target);
  void change(int fd, std::uint32_t events, Token token);
  void forget(Token token);  // the caller closes the fd, which takes it out of the set
  void dispatch();           // what is ready now, without waiting
  void deliver(Token token, std::uint32_t events);
  [[nodiscard]] int fd() const { return epoll_fd_; }

 private:
  struct Slot {
    PollTarget* target = nullptr;
    std::uint32_t generation = 0;
  };
  int epoll_fd_;
  std::vector<Slot> slots_;
  std::vector<std::uint32_t> free_;
};

}  // namespace shoal::net
