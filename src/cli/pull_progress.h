// PullProgress: what of a pull can be seen while it runs, on standard error. On a terminal a bar for each node, or one
// in total when they are many; elsewhere a line now and then. One thread.
#pragma once

#include <chrono>
#include <deque>
#include <string>

#include "node_pull.h"

namespace shoal::cli {

// "[####......]  40%   12.0 MiB of 30.0 MiB"; nothing is known yet: expected is 0. Pure.
[[nodiscard]] std::string progress_bar(std::uint64_t received, std::uint64_t expected);

class PullProgress {
 public:
  explicit PullProgress(const std::deque<PullState>& nodes);
  ~PullProgress() { clear(); }
  PullProgress(const PullProgress&) = delete;
  PullProgress& operator=(const PullProgress&) = delete;
  void show();
  void clear();  // before something else is printed

 private:
  [[nodiscard]] std::string total() const;

  const std::deque<PullState>& nodes_;
  const bool terminal_;
  std::size_t lines_ = 0;  // on the terminal now
  std::chrono::steady_clock::time_point last_;
};

}  // namespace shoal::cli
