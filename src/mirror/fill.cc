#include "fill.h"

#include <algorithm>

#include "explain.h"
#include "fill_proof.h"
#include "shoal/base/format.h"
#include "shoal/obs/log.h"

namespace shoal::mirror {
namespace {

constexpr std::uint64_t kUnsizedFirstLook = 16 << 20;  // of a blob whose size nobody told: may there be room for it?
constexpr std::uint64_t kFruitful = 256 * 1024;        // an attempt that brought so much does not count as fruitless
constexpr unsigned kDoubtSizeAfter = 3;                // fruitless attempts, before what a manifest says is doubted

}  // namespace

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
  SiteSupply::Taker& taker = *this;
  if (parts.site != nullptr) site_ = std::make_unique<SiteSupply>(*parts.site, parts.loop, digest, taker);
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
  return state_now_ == State::proving || state_now_ == State::consulting || state_now_ == State::asking ||
         state_now_ == State::waiting || (state_now_ == State::streaming && !ended_);
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
    state_->came(*kept, Origin::disk);
    state_->advance(*kept);
    if (site_) site_->advance(*kept);
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
  if (follows()) return;  // neighbours have their own, shorter patience
  const bool wanted = !ended_ && !paused_ && !held_;
  const bool listening = state_now_ == State::asking || (state_now_ == State::streaming && wanted);
  if (silent && listening && !failed_over_) {
    failed_over_ = true;
    stop_reading();
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

void Fill::when_answerable(bool gated, base::UniqueFunction<void()> answer) {
  answers_.push_back({gated, std::move(answer)});
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
  ended_ = false;
  attempt_began_at_ = received_;
  last_progress_ = parts_.loop.now();
  if (!site_) return ask_upstream();
  if (!site_->usable()) return on_own_turn("what neighbours sent was wrong");
  enter(State::consulting);
  site_->consult(state_->size(), received_, source().canonical);
}

void Fill::ask_upstream() {
  enter(State::asking);
  last_progress_ = parts_.loop.now();
  skip_ = in_vain_ = 0;
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
  skip_ = received_ - offset;
  const auto limit = source().upstream->options().max_blob_bytes;
  if (!total || limit == 0 || *total <= limit) proved();  // else started() drops this source
  started(total);
}

// Somebody is about to send the rest.
void Fill::started(std::optional<std::uint64_t> total) {
  const auto limit = source().upstream->options().max_blob_bytes;
  if (total && limit != 0 && *total > limit) {
    call_.cancel();
    return drop_source({Refusal::Kind::too_large, too_large(source().registry, limit), {}});
  }
  enter(State::streaming);
  if (total) state_->set_size(*total);
  if (site_ && total && kept_) site_->sized(*total);
  if (kept_ && total && parts_.index.store().admit(*total) == store::Admission::pass_through && received_ == 0) {
    kept_ = false;
    state_->stop_keeping();
    if (site_) site_->no_more_swarm();
    file_->discard();
    only_hash();
  }
  started_ = true;
  state_->set_troubled(false);
  became_answerable();
}

fetch::Flow Fill::on_data(std::string_view bytes) {
  parts_.probe.upstream_bytes(bytes.size());
  upstream_bytes_ += bytes.size();
  if (site_) site_->progress();
  return take(bytes, Origin::upstream);
}

void Fill::on_end(std::optional<upstream::Failure> failure) {
  if (held_ && !failure) {
    held_->ended = true;
    return;
  }
  stop_reading();
  if (site_) site_->cancel();
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
  if (std::exchange(from_site_, false)) {
    enter(State::waiting);
    timer_ = parts_.loop.schedule(kSiteAgain, [this] { ask(); });
    return;
  }
  if (failure.status == 416 && received_ > 0) {  // it has the blob, and there may be nothing left to send
    proved();
    return check();
  }
  if (received_ - attempt_began_at_ >= kFruitful) fruitless_ = 0;
  ++fruitless_;
  state_->set_troubled(!started_);
  const auto policy = upstream::policy_for(options_.retry, *source().upstream, failure, started_);
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
  stop_reading();  // what it would still say is no word of the next source
  if (site_) site_->cancel();
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
  if (state_->is_verified()) return publish();  // only this one's right was still in question
  if (state_now_ == State::checking || state_now_ == State::restarting) return;  // the disk goes on for the others
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
    // Before a byte came, clients can repeat it at will, and upstream's trouble is in the log already.
    const bool news = started_ || restarts_ > 0;
    obs::log(news ? obs::Level::warn : obs::Level::debug, obs::Category::mirror, "{} given up: {}", subject(),
             refusal.message);
  }
  parts_.probe.fill_failed(to_word(refusal.kind));
  if (!is_proven()) state_->refuse_unproven(refusal);  // though every byte may be here, from neighbours
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
  stop_reading();
  if (site_) site_->leave();
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
