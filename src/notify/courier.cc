#include "courier.h"

#include <algorithm>

#include "shoal/base/format.h"
#include "shoal/fetch/url.h"
#include "shoal/obs/log.h"
#include "shoal/registry/wire.h"

namespace shoal::notify {
namespace {

using obs::Category;

constexpr auto kTellEvery = std::chrono::minutes(1);

// The HTTP client's words may hold the URL with its path, and that may be the secret.
std::string without_path(std::string text, const std::string& url, const std::string& origin) {
  const auto printed = fetch::printable_url(url);
  const auto at = printed.empty() ? std::string::npos : text.find(printed);
  if (at != std::string::npos) text.replace(at, printed.size(), origin);
  return text;
}

}  // namespace

Courier::Courier(const Parts& parts, std::shared_ptr<Queue> queue, std::shared_ptr<Board> board,
                 std::shared_ptr<EndpointProbe> probe, std::uint32_t seed)
    : parts_(parts),
      queue_(std::move(queue)),
      board_(std::move(board)),
      probe_(std::move(probe)),
      name_(board_->status().name),
      random_(seed | 1) {}

void Courier::wake() {
  if (state_ == State::idle) next(nullptr);
}

void Courier::try_again() {
  failures_ = 0;
  refusals_ = 0;
  one_by_one_ = 0;
  if (state_ == State::waiting) enter(State::idle);
  wake();
}

void Courier::next(Settle settle) {
  enter(State::packing);
  timer_.cancel();
  parcel_.reset();
  board_->edit([](EndpointStatus& status) { status.next_try.reset(); });
  parts_.strand.post([queue = queue_, loop = &parts_.loop, watch = life_.watch(), this,
                      most = one_by_one_ > 0 ? std::size_t{1} : SIZE_MAX, settle = std::move(settle)]() mutable {
    Packed made;
    made.trouble = settle && !settle(*queue);
    if (!made.trouble) made.parcel = queue->pack(most);
    made.trouble = !made.parcel && queue->pending() > 0;
    loop->post([watch, this, made = std::move(made)]() mutable {
      if (!watch.gone()) packed(std::move(made));
    });
  });
}

void Courier::packed(Packed packed) {
  if (packed.trouble) {
    board_->edit([](EndpointStatus& status) { status.last_error = "its queue on disk cannot be used; see the log"; });
    return wait(std::chrono::seconds(5));
  }
  parcel_ = std::move(packed.parcel);
  if (!parcel_) return enter(State::idle);
  send();
}

void Courier::send() {
  enter(State::sending);
  began_ = parts_.loop.now();
  const auto timeout = parcel_->options->timeout;
  timer_ = parts_.loop.schedule(timeout, [this, timeout] {
    answered(base::Error(base::ErrorKind::timeout, base::format("no answer within {} ms", timeout.count())));
  });
  sending_ =
      parts_.sender.send(std::move(parcel_->request), [this](base::Result<Sender::Reply> reply) { answered(reply); });
}

void Courier::answered(const base::Result<Sender::Reply>& result) {
  timer_.cancel();
  sending_.reset();
  if (!result) {
    const auto why = without_path(result.error().message(), parcel_->options->url, board_->status().origin);
    return failed(Verdict::later, why, std::nullopt);
  }
  const auto verdict = judge(result->status);
  if (verdict == Verdict::delivered) return succeeded();
  const auto retry_after = registry::parse_retry_after(result->retry_after, parts_.clock.wall_now());
  failed(verdict, base::format("the receiver answered {}", result->status), retry_after);
}

void Courier::succeeded() {
  const auto n = parcel_->queued.size();
  const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(parts_.loop.now() - began_);
  probe_->delivered(n, took);
  board_->edit([n, now = parts_.clock.wall_now()](EndpointStatus& status) {
    status.delivered += n;
    status.failures = 0;
    status.last_error.clear();
    status.last_success = now;
  });
  if (failures_ > 0) obs::info(Category::notify, "endpoint {} takes events again", name_);
  failures_ = 0;
  refusals_ = 0;
  one_by_one_ -= std::min(n, one_by_one_);
  next([n](Queue& queue) {
    queue.delivered(n);
    return true;
  });
}

void Courier::failed(Verdict verdict, const std::string& why, std::optional<std::chrono::seconds> retry_after) {
  const auto& options = *parcel_->options;
  const auto n = parcel_->queued.size();
  probe_->failed();
  board_->edit([&why](EndpointStatus& status) {
    ++status.failed;
    ++status.failures;
    status.last_error = why;
  });
  if (verdict == Verdict::refused || verdict == Verdict::never) {
    if (n > 1) {
      one_by_one_ = n;
      return next(nullptr);
    }
    ++refusals_;
    if (verdict == Verdict::never || refusals_ >= options.retries) return bury(1, why, refusals_);
  }
  ++failures_;
  const auto delay = next_delay(options, failures_, retry_after, random());
  obs::log(failures_ == 1 ? obs::Level::warn : obs::Level::debug, Category::notify,
           "endpoint {}: {}; trying again in {} ms", name_, why, delay.count());
  if (const auto old = expired(); old > 0) {
    return bury(old, base::format("not delivered within {} s: {}", options.retry_for.count(), why), failures_);
  }
  wait(delay);
}

// After a dead letter the next event is tried at once, except when nobody is there to take it.
void Courier::bury(std::size_t n, const std::string& why, unsigned attempts) {
  const auto now = parts_.loop.now();
  if (told_dead_ == base::SteadyTime{} || now - told_dead_ >= kTellEvery) {
    told_dead_ = now;
    obs::warn(Category::notify, "endpoint {}: given up, now a dead letter: {}", name_, why);
  }
  refusals_ = 0;
  one_by_one_ -= std::min(n, one_by_one_);
  next([n, why, attempts](Queue& queue) { return queue.bury(n, why, attempts); });
}

// The oldest events, up to the first that has not waited for retry_for.
std::size_t Courier::expired() const {
  const auto oldest = parts_.clock.wall_now() - parcel_->options->retry_for;
  const auto& queued = parcel_->queued;
  return static_cast<std::size_t>(
      std::find_if(queued.begin(), queued.end(), [oldest](base::WallTime at) { return at > oldest; }) - queued.begin());
}

void Courier::wait(std::chrono::milliseconds delay) {
  enter(State::waiting);
  board_->edit([at = parts_.clock.wall_now() + delay](EndpointStatus& status) { status.next_try = at; });
  timer_ = parts_.loop.schedule(delay, [this] { next(nullptr); });
}

std::uint32_t Courier::random() {
  random_ ^= random_ << 13;
  random_ ^= random_ >> 17;
  random_ ^= random_ << 5;
  return random_;
}

}  // namespace shoal::notify
