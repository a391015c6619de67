#include "spinner.h"

#include <unistd.h>

#include <chrono>
#include <cstdio>

namespace shoal::cli {

Spinner::Spinner(std::string what) : what_(std::move(what)) {
  if (::isatty(STDERR_FILENO) == 1) thread_ = std::thread([this] { run(); });
}

Spinner::~Spinner() {
  if (!thread_.joinable()) return;
  {
    const std::lock_guard lock(mutex_);
    ended_ = true;
  }
  woken_.notify_one();
  thread_.join();
}

void Spinner::run() {
  constexpr char kFrames[] = "|/-\\";
  const auto began = std::chrono::steady_clock::now();
  std::unique_lock lock(mutex_);
  if (woken_.wait_for(lock, std::chrono::seconds(1), [this] { return ended_; })) return;
  for (unsigned turn = 0; !ended_; ++turn) {
    const auto seconds =
        std::chrono::duration_cast<std::chrono::seconds>(std::chrono::steady_clock::now() - began).count();
    std::fprintf(stderr, "\r%c %s: %lld s", kFrames[turn % 4], what_.c_str(), static_cast<long long>(seconds));
    std::fflush(stderr);
    woken_.wait_for(lock, std::chrono::milliseconds(200), [this] { return ended_; });
  }
  std::fputs("\r\x1b[K", stderr);
}

}  // namespace shoal::cli
