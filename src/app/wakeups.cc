#include "wakeups.h"

#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>

namespace shoal::app {
namespace {

sigset_t ours() {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&set, signal);
  return set;
}

}  // namespace

Wakeups::Wakeups() {
  const auto set = ours();
  (void)::signal(SIGPIPE, SIG_IGN);
  (void)::pthread_sigmask(SIG_BLOCK, &set, nullptr);  // cannot fail with these arguments
  signals_ = ::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
  wake_ = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (signals_ < 0 || wake_ < 0) std::abort();  // no descriptors at the very start
}

Wakeups::~Wakeups() {
  (void)::close(signals_);
  (void)::close(wake_);
}

void Wakeups::post(base::UniqueFunction<void()> work) {
  {
    const std::lock_guard lock(mutex_);
    posted_.push_back(std::move(work));
  }
  const std::uint64_t one = 1;
  (void)!::write(wake_, &one, sizeof one);  // full means it is awake already
}

int Wakeups::wait(std::optional<base::SteadyTime> deadline) {
  for (;;) {
    int timeout = -1;
    if (deadline) {
      const auto left =
          std::chrono::ceil<std::chrono::milliseconds>(*deadline - std::chrono::steady_clock::now()).count();
      if (left <= 0) return 0;
      timeout = static_cast<int>(std::min<std::int64_t>(left, 1'000'000));
    }
    pollfd ready[] = {{signals_, POLLIN, 0}, {wake_, POLLIN, 0}};
    if (::poll(ready, 2, timeout) < 0 && errno != EINTR) std::abort();
    signalfd_siginfo info;
    if (::read(signals_, &info, sizeof info) == sizeof info) return static_cast<int>(info.ssi_signo);
    std::uint64_t count = 0;
    (void)!::read(wake_, &count, sizeof count);  // empty is fine
    std::deque<base::UniqueFunction<void()>> work;
    {
      const std::lock_guard lock(mutex_);
      work.swap(posted_);
    }
    for (auto& one : work) one();
    if (!work.empty()) return 0;
  }
}

void Wakeups::restore_signals() {
  const auto set = ours();
  (void)::pthread_sigmask(SIG_UNBLOCK, &set, nullptr);  // cannot fail with these arguments
}

}  // namespace shoal::app
