// The side of a fill that faces the disk and the readers: bytes on their way to the file, or past it, and when upstream
// has to wait.
#include "explain.h"
#include "fill.h"
#include "hash_only.h"
#include "shoal/obs/log.h"

namespace shoal::mirror {
namespace {

constexpr std::size_t kGather = 1 << 20;    // one append at most, while others are under way
constexpr std::size_t kBatch = 256 * 1024;  // so much goes on its way at once; less waits for more, but not for long
constexpr std::chrono::milliseconds kLinger{1};
constexpr std::uint64_t kUnsizedShare =
    4;  // is there room for a blob of unknown size: if it is that many times larger?

}  // namespace

fetch::Flow Fill::take(std::string_view bytes, Origin from) {
  last_progress_ = parts_.loop.now();
  failed_over_ = false;
  const auto skipped = std::min<std::uint64_t>(skip_, bytes.size());
  skip_ -= skipped;
  bytes.remove_prefix(skipped);
  const auto size = state_->size();
  const bool more_than_all = size && bytes.size() > *size - received_;
  if (more_than_all) bytes = bytes.substr(0, *size - received_);
  const auto wanted = received_ + bytes.size();
  const auto free_to = site_ ? site_->claim(received_, wanted) : wanted;
  const auto rest = bytes.substr(free_to - received_);
  bytes.remove_suffix(rest.size());
  if (gathered_from_ != from) state_->came(received_, std::exchange(gathered_from_, from));
  received_ += bytes.size();
  if (gathered_.empty()) {
    const auto most = (writing_.empty() ? kBatch : kGather) + bytes.size();
    gathered_.reserve(std::min<std::uint64_t>(most, size.value_or(kBatch)));
  }
  gathered_.append(bytes);
  if (free_to < wanted) return hold(rest, from);
  if (more_than_all) {  // whatever follows, the digest decides on what there should be
    on_end(std::nullopt);
    return fetch::Flow::go_on;
  }
  const auto limit = source().upstream->options().max_blob_bytes;
  if (limit != 0 && received_ > limit) {
    call_.cancel();
    drop_source({Refusal::Kind::too_large, too_large(source().registry, limit), {}});
    return fetch::Flow::go_on;
  }
  if (!size && kept_ && received_ >= look_for_room_at_) look_for_room();
  flush_soon();
  paused_ = congested();
  resume_if_room();
  return paused_ ? fetch::Flow::pause : fetch::Flow::go_on;
}

// A body that does not say where it ends must not push everything else out of the cache before it is found too large.
void Fill::look_for_room() {
  look_for_room_at_ = 2 * received_;
  if (parts_.index.store().admit(kUnsizedShare * received_) == store::Admission::keep) return;
  stop_keeping("its size is not known, and there may be no room for it");
}

// A reader that has nothing left to take cannot make room: then bytes must come, whatever is in memory.
bool Fill::congested() const {
  if (writing_bytes_ + gathered_.size() >= options_.write_queue && !writing_.empty()) return true;
  const auto backlog = state_->backlog();
  return backlog > 0 && backlog >= options_.spill_memory;
}

// Each append costs a few wake-ups on its way to the readers. A slow upstream's bytes go at once, a fast one's
// together.
void Fill::flush_soon() {
  if (gathered_.empty() || lingering_.armed()) {
    if (gathered_.size() >= kBatch && writing_.empty()) flush();
    return;
  }
  if (!writing_.empty()) {
    if (gathered_.size() >= kGather) flush();
    return;  // else appended() comes back to it
  }
  if (gathered_.size() >= kBatch || parts_.loop.now() - last_flush_ >= kLinger) return flush();
  lingering_ = parts_.loop.schedule(kLinger, [this] { flush(); });
}

void Fill::flush() {
  lingering_.cancel();
  last_flush_ = parts_.loop.now();
  if (gathered_.empty()) return;
  state_->came(received_, gathered_from_);
  auto bytes = std::make_shared<const std::string>(std::exchange(gathered_, {}));
  writing_bytes_ += bytes->size();
  writing_.push_back(bytes);
  file_->append(bytes, [this, bytes](base::Result<std::uint64_t> result) { appended(bytes, result); });
}

void Fill::appended(const std::shared_ptr<const std::string>& bytes, const base::Result<std::uint64_t>& result) {
  writing_bytes_ -= bytes->size();
  writing_.pop_front();
  if (state_now_ == State::finished || state_now_ == State::restarting) return;
  if (result.ok()) {
    state_->advance(*result);
    if (site_) site_->advance(*result);
  } else {
    if (kept_) stop_keeping(result.error().message());
    state_->spill(bytes);
  }
  if (writing_.empty() && !ended_) flush_soon();
  resume_if_room();
  if (!writing_.empty() || !ended_) return;
  if (auto failure = std::exchange(pending_failure_, std::nullopt)) return retry(std::move(*failure));
  check();
}

void Fill::stop_keeping(std::string_view why) {
  kept_ = false;
  state_->stop_keeping();
  if (site_) site_->no_more_swarm();
  file_->discard();  // what is there stays readable until the last reader let go of it
  obs::warn(obs::Category::mirror, "{} is passed on without being kept: {}", subject(), why);
  if (held_) timer_ = parts_.loop.schedule(std::chrono::milliseconds(0), [this] { let_go(); });
}

// Only while nothing has been received: a hash cannot change horses.
// What the old file has not answered it never will.
void Fill::only_hash() {
  file_ = make_hash_only_fill(digest_, parts_.loop, parts_.disk);
  writing_.clear();
  writing_bytes_ = 0;
}

void Fill::drained() {
  if (fetching() && pointless()) return abandon();
  resume_if_room();
}

void Fill::resume_if_room() {
  if (!paused_) return;
  if (congested()) {
    if (state_->spilling()) watch_laggards();
    return;
  }
  paused_ = false;
  last_progress_ = parts_.loop.now();
  if (call_.running()) call_.resume();
  if (site_) site_->resume();
}

// Memory is full because somebody has not read on. Others wait for that one so long, then no longer, unless at least
// another memory full went through in that time.
void Fill::watch_laggards() {
  if (laggards_.armed()) return;
  laggards_ = parts_.loop.schedule(options_.laggard_patience, [this, from = state_->window_begin()] {
    laggards_.cancel();
    const bool moved = state_->window_begin() - from >= options_.spill_memory;
    if (!paused_ || state_->backlog() == 0) return;
    if (!moved && state_->cut_laggards()) {
      obs::info(obs::Category::mirror, "{} cannot be kept: a client that reads too slowly was cut", subject());
      resume_if_room();
    }
    if (paused_) watch_laggards();
  });
}

}  // namespace shoal::mirror
