#include "pull_progress.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "command.h"
#include "shoal/base/format.h"

namespace shoal::cli {
namespace {

using base::format;

constexpr std::size_t kMostBars = 16;
constexpr std::size_t kBar = 20;
constexpr std::chrono::seconds kLineEvery{10};

}  // namespace

std::string progress_bar(std::uint64_t received, std::uint64_t expected) {
  const auto part = expected == 0 ? 0.0 : std::min(1.0, static_cast<double>(received) / static_cast<double>(expected));
  const auto full = static_cast<std::size_t>(part * kBar);
  return format("[{}{}] {:>3}%  {} of {}", std::string(full, '#'), std::string(kBar - full, '.'),
                static_cast<int>(part * 100), human_bytes(received), human_bytes(expected));
}

PullProgress::PullProgress(const std::deque<PullState>& nodes)
    : nodes_(nodes), terminal_(::isatty(STDERR_FILENO) == 1), last_(std::chrono::steady_clock::now()) {}

std::string PullProgress::total() const {
  std::uint64_t received = 0, expected = 0;
  std::size_t over = 0;
  for (const auto& node : nodes_) {
    received += node.received.load(std::memory_order_relaxed);
    expected += node.expected.load(std::memory_order_relaxed);
    over += node.over.load(std::memory_order_relaxed) ? 1 : 0;
  }
  return format("{} of {} nodes done  {}", over, nodes_.size(), progress_bar(received, expected));
}

void PullProgress::show() {
  if (!terminal_) {
    const auto now = std::chrono::steady_clock::now();
    if (now - last_ < kLineEvery) return;
    last_ = now;
    std::fprintf(stderr, "%s\n", total().c_str());
    return;
  }
  std::string out;
  std::size_t lines = 0;
  if (nodes_.size() > kMostBars) {
    out = "\x1b[K" + total() + "\n";
    lines = 1;
  } else {
    std::size_t widest = 0;
    for (const auto& node : nodes_) widest = std::max(widest, node.url.size());
    for (const auto& node : nodes_) {
      if (node.over.load(std::memory_order_acquire)) continue;  // it has its line already
      out += format(
          "\x1b[K{:<{}}  {}\n", node.url, widest,
          progress_bar(node.received.load(std::memory_order_relaxed), node.expected.load(std::memory_order_relaxed)));
      ++lines;
    }
  }
  clear();
  std::fputs(out.c_str(), stderr);
  std::fflush(stderr);
  lines_ = lines;
}

void PullProgress::clear() {
  if (lines_ == 0) return;
  std::fprintf(stderr, "\x1b[%zuA\x1b[J", lines_);
  std::fflush(stderr);
  lines_ = 0;
}

}  // namespace shoal::cli
