#include "fill.h"

#include <algorithm>

#include "explain.h"
#include "hash_only.h"
#include "proof_call.h"
#include "retrier.h"
#include "shoal/base/format.h"
#include "shoal/obs/log.h"

namespace shoal::mirror {
namespace {

constexpr std::size_t kGather = 1 << 20;    // one append at most, while others are under way
constexpr std::size_t kBatch = 256 * 1024;  // so much goes on its way at once; less waits for more, but not for long
constexpr std::chrono::milliseconds kLinger{1};
constexpr std::uint64_t kUnsizedFirstLook = 16 << 20;  // of a blob whose size nobody told: may there be room for it?
constexpr std::uint64_t kUnsizedShare = 4;             // ... if it is that many times what has come
constexpr std::uint64_t kFruitful = 256 * 1024;        // an attempt that brought so much does not count as fruitless
constexpr unsigned kDoubtSizeAfter = 3;                // fruitless attempts, before what a manifest says is doubted

}  // namespace

struct Fill::Proof {
  Proof(Fill& fill, upstream::Registry::Done<upstream::BlobHead> done)
      : call(fill.source(), fill.digest_),
        retrier(
            fill.parts_.loop, *fill.source().upstream, fill.options_.retry,
            [this](upstream::Registry::Done<upstream::BlobHead> answer) { return call.start(std::move(answer)); },
            std::move(done)) {}
  ProofCall call;
  Retrier<upstream::BlobHead> retrier;
};

Fill::Fill(const Parts& parts, const MirrorOptions& options, const base::Digest& digest, FillSource source,
           std::optional<std::uint64_t> size, bool proven, std::unique_ptr<store::FillFile> file, bool kept)
    : parts_(parts),
      options_(options),
      digest_(digest),
      unproven_(proven ? std::string() : source.canonical),
      sure_size_(size),
      file_(std::move(file)),
      kept_(kept),
      state_(std::make_shared<FillState>()),
      began_(parts.loop.now()),
      last_progress_(parts.loop.now()),
      look_for_room_at_(kUnsizedFirstLook) {
  sources_.push_back(std::move(source));
  if (size) state_->set_size(*size);
  if (proven) state_->proved();
  if (!kept) state_->stop_keeping();
  parts_.probe.fills_running(+1);
}

Fill::~Fill() {
  parts_.probe.fills_running(-1);
  state_->on_readers_moved(nullptr);
  if (!state_->is_verified() && !state_->failure()) {
    state_->failed({Refusal::Kind::unavailable, "shutting down", std::chrono::seconds(1)});
  }
}

std::string Fill::subject() const { return digest_.to_string() + " of " + source().canonical; }

bool Fill::serves(const std::string& canonical) const {
  for (const auto& source : sources_) {
    if (source.canonical == canonical) return true;
  }
  return false;
}

bool Fill::fetching() const {
  return state_now_ == State::proving || state_now_ == State::asking || state_now_ == State::waiting ||
         (state_now_ == State::streaming && !ended_);
}

bool Fill::pointless() const { return state_->readers() == 0 && (!kept_ || !options_.keep_filling); }

void Fill::start() {
  enter(State::opening);
  parts_.probe.fill_started(source().registry);
  state_->on_readers_moved([watch = life_.watch(), this, &loop = parts_.loop] {
    loop.post([watch, this] {
      if (!watch.gone()) drained();
    });
  });
  file_->open(state_->size(), [this](base::Result<std::uint64_t> kept) { opened(std::move(kept)); });
}

void Fill::opened(base::Result<std::uint64_t> kept) {
  if (!kept.ok()) {
    stop_keeping(kept.error().message());
    only_hash();
  } else {
    received_ = *kept;
    resumed_from_ = *kept;
    if (*kept > 0) parts_.probe.fill_resumed(*kept);
    state_->set_file(file_->file());
    state_->advance(*kept);
  }
  if (received_ == 0 || state_->size() != received_) return ask();
  if (is_proven()) return check();
  prove();
}

// All bytes are here from an earlier run, but whether this repository may show them only upstream can say.
void Fill::prove() {
  enter(State::proving);
  proof_ = std::make_unique<Proof>(*this, [this](upstream::Outcome<upstream::BlobHead> head) {
    if (const auto* failure = std::get_if<upstream::Failure>(&head)) return drop_source(explain(*failure));
    proved();
    check();
  });
  proof_->retrier.start();
}

void Fill::proved() {
  if (is_proven()) return;
  unproven_.clear();
  parts_.index.commit({store::PutLink{source().canonical, digest_, {std::nullopt, true}}});
  state_->proved();
}

void Fill::join(FillSource other) {
  parts_.probe.fill_joined();
  if (!serves(other.canonical)) sources_.push_back(std::move(other));
  // Whoever comes while upstream has long been silent should not wait out the rest of that silence.
  const auto& options = source().upstream->options();
  const auto patience = state_now_ == State::asking ? options.first_byte_timeout / 2 : options.stall_timeout / 3;
  const bool silent = parts_.loop.now() - last_progress_ > patience;
  const bool listening = state_now_ == State::asking || (state_now_ == State::streaming && !ended_ && !paused_);
  if (silent && listening && !failed_over_) {
    failed_over_ = true;
    call_.cancel();
    flush();
    parts_.probe.fill_retried(source().registry, "silence");
    ++attempt_;
    ask();
  }
}

bool Fill::can_answer(bool gated) const {
  if (state_->failure()) return true;
  if (gated && state_->unproven_refusal()) return true;
  return (!gated || state_->is_proved()) && (started_ || state_->is_verified());
}

void Fill::when_answerable(const std::string& canonical, base::UniqueFunction<void()> answer) {
  answers_.push_back({gates(canonical), std::move(answer)});
  became_answerable();
}

void Fill::became_answerable() {
  const auto first = std::stable_partition(answers_.begin(), answers_.end(),
                                           [this](const Answer& answer) { return !can_answer(answer.gated); });
  std::vector<base::UniqueFunction<void()>> ready;
  for (auto it = first; it != answers_.end(); ++it) ready.push_back(std::move(it->run));
  answers_.erase(first, answers_.end());
  if (ready.empty()) return;
  parts_.loop.post([ready = std::move(ready)]() mutable {
    for (auto& answer : ready) answer();
  });
}

void Fill::ask() {
  if (pointless()) return abandon();
  enter(State::asking);
  ended_ = false;
  attempt_began_at_ = received_;
  last_progress_ = parts_.loop.now();
  call_ = source().upstream->get_blob(source().repository, digest_, received_, state_->size(), attempt_, *this);
}

void Fill::on_start(std::uint64_t offset, std::optional<std::uint64_t> total) {
  const auto size = state_->size();
  if (offset > received_ || (total && size && *total != *size)) {
    call_.cancel();
    auto why = offset > received_
                   ? source().registry + ": answered another range"
                   : base::format("{}: says the blob has {} bytes, not {}", source().registry, *total, *size);
    return retry({upstream::Failure::Kind::bad_answer, 200, {}, std::move(why)});
  }
  const auto limit = source().upstream->options().max_blob_bytes;
  if (total && limit != 0 && *total > limit) {
    call_.cancel();
    return drop_source({Refusal::Kind::too_large, too_large(source().registry, limit), {}});
  }
  enter(State::streaming);
  skip_ = received_ - offset;
  if (total) state_->set_size(*total);
  if (kept_ && total && parts_.index.store().admit(*total) == store::Admission::pass_through && received_ == 0) {
    kept_ = false;
    state_->stop_keeping();
    file_->discard();
    only_hash();
  }
  proved();
  started_ = true;
  state_->set_troubled(false);
  became_answerable();
}

fetch::Flow Fill::on_data(std::string_view bytes) {
  parts_.probe.upstream_bytes(bytes.size());
  last_progress_ = parts_.loop.now();
  failed_over_ = false;
  const auto skipped = std::min<std::uint64_t>(skip_, bytes.size());
  skip_ -= skipped;
  bytes.remove_prefix(skipped);
  const auto size = state_->size();
  const bool more_than_all = size && bytes.size() > *size - received_;
  if (more_than_all) bytes = bytes.substr(0, *size - received_);
  received_ += bytes.size();
  if (gathered_.empty()) gathered_.reserve(std::min<std::uint64_t>(kBatch + bytes.size(), size.value_or(kBatch)));
  gathered_.append(bytes);
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
  auto bytes = std::make_shared<const std::string>(std::exchange(gathered_, {}));
  writing_bytes_ += bytes->size();
  writing_.push_back(bytes);
  file_->append(bytes, [this, bytes](base::Result<std::uint64_t> result) { appended(bytes, result); });
}

void Fill::appended(const std::shared_ptr<const std::string>& bytes, const base::Result<std::uint64_t>& result) {
  writing_bytes_ -= bytes->size();
  writing_.pop_front();
  if (state_now_ == State::finished) return;
  if (result.ok()) {
    state_->advance(*result);
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
  file_->discard();  // what is there stays readable until the last reader let go of it
  obs::warn(obs::Category::mirror, "{} is passed on without being kept: {}", subject(), why);
}

// Only while nothing has been received: a hash cannot change horses.
void Fill::only_hash() { file_ = make_hash_only_fill(digest_, parts_.loop, parts_.disk); }

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

void Fill::on_end(std::optional<upstream::Failure> failure) {
  call_.cancel();
  paused_ = false;
  ended_ = true;
  flush();
  const auto size = state_->size();
  if (!failure && size && received_ != *size) {
    failure = upstream::Failure{upstream::Failure::Kind::bad_answer,
                                0,
                                {},
                                base::format("{}: sent {} bytes of {}", source().registry, received_, *size)};
  }
  if (!writing_.empty()) {
    pending_failure_ = std::move(failure);
    return;
  }
  if (failure) return retry(std::move(*failure));
  check();
}

void Fill::retry(upstream::Failure failure) {
  ended_ = false;
  failed_over_ = false;
  if (failure.status == 416 && received_ > 0) {  // it has the blob, and there may be nothing left to send
    proved();
    return check();
  }
  if (received_ - attempt_began_at_ >= kFruitful) fruitless_ = 0;
  ++fruitless_;
  state_->set_troubled(!started_);
  auto policy = options_.retry;
  policy.max_attempts = source().upstream->options().retries + 1;
  if (!started_ && source().upstream->health().lasting) policy.max_attempts = std::min(policy.max_attempts, 2U);
  const auto delay = upstream::next_delay(policy, failure, fruitless_);
  if (!delay) return drop_source(explain(failure));
  parts_.probe.fill_retried(source().registry, to_word(failure.kind));
  const bool size_in_doubt = failure.kind == upstream::Failure::Kind::bad_answer && fruitless_ >= kDoubtSizeAfter;
  if (size_in_doubt && received_ == 0 && state_->size()) {
    sure_size_.reset();
    state_->restart(std::nullopt);
    state_->set_file(file_->file());
  }
  ++attempt_;
  if (is_proven()) current_ = (current_ + 1) % sources_.size();  // an unproven one is asked to the end: its right
  obs::debug(obs::Category::mirror, "{}: trying again from byte {} ({})", subject(), received_, failure.message);
  enter(State::waiting);
  timer_ = parts_.loop.schedule(*delay, [this] { ask(); });
}

// The current source is no use. Others go on without it, and those who asked in its name, if it never said that it has
// the blob, hear what it said.
void Fill::drop_source(Refusal refusal) {
  if (sources_.size() == 1) return give_up(std::move(refusal));
  const auto& dropped = source();
  if (refusal.kind == Refusal::Kind::not_found) remember_absent(dropped);
  obs::debug(obs::Category::mirror, "{}: {}; another source goes on", subject(), refusal.message);
  if (!is_proven()) {
    unproven_.clear();
    state_->refuse_unproven(std::move(refusal));
    became_answerable();
  }
  sources_.erase(sources_.begin() + static_cast<std::ptrdiff_t>(current_));
  current_ %= sources_.size();
  fruitless_ = 0;
  ++attempt_;
  enter(State::waiting);
  timer_ = parts_.loop.schedule(std::chrono::milliseconds(0), [this] {
    const bool complete = received_ > 0 && state_->size() == received_ && writing_.empty() && gathered_.empty();
    complete ? check() : ask();
  });
}

void Fill::remember_absent(const FillSource& source) {
  const auto until = parts_.clock.wall_now() + source.upstream->options().tags.negative_ttl;
  parts_.index.commit({store::PutAbsent{source.canonical, digest_.to_string(), until}});
}

void Fill::give_up(Refusal refusal) {
  if (refusal.kind == Refusal::Kind::not_found) {
    if (resumed_from_ == 0) file_->discard();  // bytes of another repository's fill stay for it
    remember_absent(source());
  } else {
    obs::warn(obs::Category::mirror, "{} given up: {}", subject(), refusal.message);
  }
  parts_.probe.fill_failed(to_word(refusal.kind));
  state_->failed(std::move(refusal));
  finish();
}

void Fill::abandon() {
  obs::debug(obs::Category::mirror, "{}: every client has left", subject());
  state_->failed({Refusal::Kind::unavailable, "every client has left", std::chrono::seconds(1)});
  finish();
}

void Fill::finish() {
  enter(State::finished);
  call_.cancel();
  timer_.cancel();
  lingering_.cancel();
  laggards_.cancel();
  became_answerable();
  parts_.loop.post([watch = life_.watch(), this] {
    if (watch.gone() || !finished_) return;
    auto run = std::exchange(finished_, nullptr);
    run();
  });
}

}  // namespace shoal::mirror
