#include "shared_blob.h"

#include <algorithm>
#include <utility>

namespace shoal::p2p {

SharedBlob::SharedBlob(Naming naming, std::shared_ptr<PieceFile> file, std::shared_ptr<BlobEvents> events,
                       const ShareState& state)
    : naming_(std::move(naming)),
      file_(std::move(file)),
      events_(std::move(events)),
      states_(naming_.pieces()),
      map_(naming_.pieces()),
      known_(naming_.pieces()) {
  for (std::uint32_t i = 0; i < naming_.pieces(); ++i)
    if (state.complete || (i < state.good.size() && state.good[i])) enter_good(i);
}

void SharedBlob::enter_good(std::uint32_t piece) {
  if (states_[piece].exchange(State::good, std::memory_order_acq_rel) != State::good)
    good_count_.fetch_add(1, std::memory_order_acq_rel);
}

template <class P>
std::vector<SharedBlob::Wait> SharedBlob::take_waits(P which) {
  const auto taken = std::stable_partition(waits_.begin(), waits_.end(), [&](const Wait& w) { return !which(w); });
  std::vector<Wait> out(std::make_move_iterator(taken), std::make_move_iterator(waits_.end()));
  waits_.erase(taken, waits_.end());
  return out;
}

bool SharedBlob::claim(std::uint32_t piece) {
  if (piece >= naming_.pieces()) return false;
  const std::lock_guard lock(mutex_);
  if (state(piece) == State::open) states_[piece] = State::claimed;
  return state(piece) == State::claimed;
}

void SharedBlob::unclaim(std::uint32_t piece) {
  if (piece >= naming_.pieces()) return;
  std::vector<Wait> waits;
  {
    const std::lock_guard lock(mutex_);
    if (state(piece) != State::claimed) return;
    states_[piece] = State::open;
    waits = take_waits([piece](const Wait& wait) { return wait.piece == piece; });
  }
  for (Wait& wait : waits) wait.again(false);
}

void SharedBlob::have(std::uint32_t piece) {
  std::vector<Wait> waits;
  {
    const std::lock_guard lock(mutex_);
    enter_good(piece);
    waits = take_waits([piece](const Wait& wait) { return wait.piece == piece; });
  }
  for (Wait& wait : waits) wait.again(false);
}

void SharedBlob::learn(std::uint32_t piece, const PieceHash& hash) {
  std::vector<Wait> waits;
  {
    const std::lock_guard lock(mutex_);
    if (known_[piece]) return;
    map_[piece] = hash;
    known_[piece] = true;
    waits = take_waits([piece](const Wait& wait) { return wait.piece == piece && wait.for_entry; });
  }
  for (Wait& wait : waits) wait.again(false);
}

std::optional<PieceHash> SharedBlob::entry(std::uint32_t piece) const {
  const std::lock_guard lock(mutex_);
  if (!known_[piece]) return std::nullopt;
  return map_[piece];
}

bool SharedBlob::expected(std::uint32_t piece) const {
  const std::lock_guard lock(mutex_);
  return piece < naming_.pieces() && known_[piece] && state(piece) != State::claimed;
}

void SharedBlob::expire(base::SteadyTime now) {
  std::vector<Wait> waits;
  {
    const std::lock_guard lock(mutex_);
    waits = take_waits([now](const Wait& wait) { return wait.for_entry && wait.deadline <= now; });
  }
  for (Wait& wait : waits) {
    events_->map_missing(wait.piece);
    wait.again(true);
  }
}

void SharedBlob::resume_writing() {
  const std::lock_guard lock(mutex_);
  stuck_ = false;
}

void SharedBlob::give_up_waiting() {
  std::vector<Wait> waits;
  {
    const std::lock_guard lock(mutex_);
    waits.swap(waits_);
  }
  for (Wait& wait : waits) wait.again(true);
}

std::vector<PeerRef> SharedBlob::take_convicted() {
  const std::lock_guard lock(mutex_);
  return std::exchange(convicted_, {});
}

void SharedBlob::close() {
  {
    const std::lock_guard lock(mutex_);
    closed_ = true;
  }
  give_up_waiting();
}

SharedBlob::Next SharedBlob::next(std::uint32_t piece, const PieceHash& hash, base::SteadyTime deadline, Again& again) {
  const std::lock_guard lock(mutex_);
  if (state(piece) == State::good) return Next::good;
  if (closed_ || stuck_) return Next::drop;
  const bool claimed = state(piece) != State::open;
  if (claimed || !known_[piece]) {
    waits_.push_back(Wait{piece, deadline, !claimed, std::move(again)});
    return Next::wait;
  }
  if (map_[piece] != hash) return Next::mismatch;
  states_[piece] = State::writing;
  return Next::write;
}

Judgement SharedBlob::written(std::uint32_t piece, std::string_view bytes) {
  std::vector<Wait> waits;
  Judgement hindsight;
  {
    const std::lock_guard lock(mutex_);
    enter_good(piece);
    waits = take_waits([piece](const Wait& wait) { return wait.piece == piece; });
    if (blame_.remembers(piece)) hindsight = blame_.passed(piece, bytes);
    convicted_.insert(convicted_.end(), hindsight.guilty.begin(), hindsight.guilty.end());
  }
  // The mirror hears first: when the piece is announced, readers can have it already.
  events_->piece_good(piece);
  if (!hindsight.guilty.empty()) events_->piece_bad(piece, hindsight);
  for (Wait& wait : waits) wait.again(false);
  return hindsight;
}

void SharedBlob::write_failed(std::uint32_t piece, const base::Error& error) {
  std::vector<Wait> waits;
  bool first = false;
  {
    const std::lock_guard lock(mutex_);
    if (state(piece) == State::writing) states_[piece] = State::open;
    first = !std::exchange(stuck_, true);
    waits = take_waits([piece](const Wait& wait) { return wait.piece == piece; });
  }
  if (first) events_->trouble(error);
  for (Wait& wait : waits) wait.again(false);
}

Judgement SharedBlob::blame(std::uint32_t piece, std::string_view bytes, const PieceHash& hash,
                            const std::vector<PeerRef>& authors) {
  Judgement out;
  {
    const std::lock_guard lock(mutex_);
    out = blame_.failed(piece, bytes, hash, authors);
    if (out.bad_map) known_[piece] = false;
    convicted_.insert(convicted_.end(), out.guilty.begin(), out.guilty.end());
  }
  events_->piece_bad(piece, out);
  return out;
}

}  // namespace shoal::p2p
