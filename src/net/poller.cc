#include "poller.h"

#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>

namespace shoal::net {

namespace {
constexpr int kEventsPerTurn = 256;  // more stay ready for the next turn
}

Poller::Poller() : epoll_fd_(::epoll_create1(EPOLL_CLOEXEC)) {
  if (epoll_fd_ < 0) std::abort();  // at start only: no loop without it
}

Poller::~Poller() { (void)::close(epoll_fd_); }

base::Result<Poller::Token> Poller::add(int fd, std::uint32_t events, PollTarget& target) {
  std::uint32_t index = 0;
  if (free_.empty()) {
    index = static_cast<std::uint32_t>(slots_.size());
    slots_.emplace_back();
  } else {
    index = free_.back();
    free_.pop_back();
  }
  Slot& slot = slots_[index];
  slot.target = &target;
  const Token token = (static_cast<Token>(slot.generation) << 32) | index;
  epoll_event event{};
  event.events = events;
  event.data.u64 = token;
  if (::epoll_ctl(epoll_fd_, EPOLL_CTL_ADD, fd, &event) != 0) {
    const int error = errno;
    forget(token);
    return base::from_errno(error, "watch socket");
  }
  return token;
}

void Poller::change(int fd, std::uint32_t events, Token token) {
  epoll_event event{};
  event.events = events;
  event.data.u64 = token;
  (void)::epoll_ctl(epoll_fd_, EPOLL_CTL_MOD, fd, &event);  // cannot fail for an fd in the set
}

void Poller::forget(Token token) {
  const auto index = static_cast<std::uint32_t>(token);
  Slot& slot = slots_[index];
  slot.target = nullptr;
  ++slot.generation;
  free_.push_back(index);
}

void Poller::deliver(Token token, std::uint32_t events) {
  const Slot slot = slots_[static_cast<std::uint32_t>(token)];
  if (slot.target != nullptr && slot.generation == token >> 32) slot.target->on_poll(events);
}

void Poller::dispatch() {
  std::array<epoll_event, kEventsPerTurn> events;
  const int count = ::epoll_wait(epoll_fd_, events.data(), kEventsPerTurn, 0);
  for (int i = 0; i < count; ++i) {
    deliver(events[static_cast<std::size_t>(i)].data.u64, events[static_cast<std::size_t>(i)].events);
  }
}

}  // namespace shoal::net
