#include "drive.h"

#include <algorithm>

#include "shoal/base/format.h"

namespace shoal::bench {
namespace {

constexpr std::chrono::milliseconds kTellEvery{200};

}  // namespace

Drive::Drive(Engine& engine, const Options& options, const Hooks& hooks)
    : engine_(engine), options_(options), hooks_(hooks), began_(std::chrono::steady_clock::now()) {}

bool Drive::stopped() {
  if (!why_.empty()) return true;
  if (hooks_.stop != nullptr && hooks_.stop->load(std::memory_order_relaxed)) {
    why_ = "interrupted";
  } else if (options_.max_time.count() > 0 && std::chrono::steady_clock::now() - began_ >= options_.max_time) {
    why_ = base::format("the time (--max-time, {} s) was up", options_.max_time.count());
  } else if (options_.max_bytes > 0 && engine_.received() >= options_.max_bytes) {
    why_ = base::format("{} bytes had come (--max-bytes)", engine_.received());
  }
  return !why_.empty();
}

base::Result<Answer> Drive::call(Ask ask) {
  Answer answer;
  bool done = false;
  engine_.start(std::move(ask), [&answer, &done](Answer came) {
    answer = std::move(came);
    done = true;
  });
  if (!until([&done] { return done; })) {
    engine_.drop_all();  // its callback points here
    return base::Error(base::ErrorKind::cancelled, why_);
  }
  if (!answer.error.empty()) return base::Error(base::ErrorKind::gone, answer.error);
  return answer;
}

void Drive::turn(Time until) {
  engine_.turn(std::min(until, std::chrono::steady_clock::now() + kTick));
  tell();
}

void Drive::doing(std::string what, double from, double to, std::uint64_t bytes) {
  progress_ = {std::move(what), from};
  from_ = from;
  to_ = to;
  received_before_ = engine_.received();
  expected_ = bytes;
  told_ = {};  // what blocks next (hashing generated layers) could not
  tell();
}

void Drive::sleep(std::chrono::milliseconds time) {
  const auto end = std::chrono::steady_clock::now() + time;
  (void)this->until([end] { return std::chrono::steady_clock::now() >= end; });  // stopped: whoever waits sees it, too
}

void Drive::tell() {
  const auto now = std::chrono::steady_clock::now();
  if (!hooks_.progress || now - told_ < kTellEvery) return;
  told_ = now;
  if (expected_ > 0) {
    const auto came = static_cast<double>(engine_.received() - received_before_);
    progress_.part = from_ + (to_ - from_) * std::min(1.0, came / static_cast<double>(expected_));
  }
  hooks_.progress(progress_);
}

}  // namespace shoal::bench
