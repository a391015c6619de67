#include "fill.h"

#include "explain.h"
#include "hash_only.h"
#include "shoal/obs/log.h"

namespace shoal::mirror {
namespace {

constexpr std::size_t kGather = 1 << 20;         // one append at most, while others are under way
constexpr std::uint64_t kFruitful = 256 * 1024;  // an attempt that brought so much does not count as fruitless
constexpr unsigned kMaxRestarts = 3;             // wrong bytes so often: give up

}  // namespace

Fill::Fill(const Parts& parts, const MirrorOptions& options, const base::Digest& digest, FillSource source,
           std::optional<std::uint64_t> size, bool proven, std::unique_ptr<store::FillFile> file, bool kept)
    : parts_(parts),
      options_(options),
      digest_(digest),
      file_(std::move(file)),
      proven_(proven),
      kept_(kept),
      state_(std::make_shared<FillState>()),
      began_(parts.loop.now()),
      last_progress_(parts.loop.now()) {
  sources_.push_back(std::move(source));
  if (size) state_->set_size(*size);
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
  } else {
    received_ = *kept;
    resumed_from_ = *kept;
    if (*kept > 0) parts_.probe.fill_resumed(*kept);
    state_->set_file(file_->file());
    state_->advance(*kept);
  }
  if (received_ == 0 || state_->size() != received_) return ask();
  if (proven_) return check();
  prove();
}

// All bytes are here from an earlier run, but whether this repository may show them only upstream can say.
void Fill::prove() {
  enter(State::asking);
  call_ =
      source().upstream->head_blob(source().repository, digest_, [this](upstream::Outcome<upstream::BlobHead> head) {
        if (const auto* failure = std::get_if<upstream::Failure>(&head)) return give_up(*failure);
        proven_ = true;
        parts_.index.commit({store::PutLink{source().canonical, digest_, {received_, true}}});
        check();
      });
}

void Fill::join(FillSource other) {
  parts_.probe.fill_joined();
  if (!serves(other.canonical)) sources_.push_back(std::move(other));
  // Whoever comes while upstream has long been silent should not wait out the rest of that silence.
  const auto patience = source().upstream->options().stall_timeout / 3;
  const bool silent = parts_.loop.now() - last_progress_ > patience;
  if (silent && !failed_over_ && !paused_ && (state_now_ == State::asking || state_now_ == State::streaming)) {
    failed_over_ = true;
    call_.cancel();
    flush();
    parts_.probe.fill_retried(source().registry, "silence");
    ++attempt_;
    ask();
  }
}

void Fill::when_answerable(base::UniqueFunction<void()> answer) {
  answers_.push_back(std::move(answer));
  if (answerable()) became_answerable();
}

void Fill::became_answerable() {
  auto answers = std::exchange(answers_, {});
  if (answers.empty()) return;
  parts_.loop.post([answers = std::move(answers)]() mutable {
    for (auto& answer : answers) answer();
  });
}

void Fill::ask() {
  enter(State::asking);
  ended_ = false;
  attempt_began_at_ = received_;
  last_progress_ = parts_.loop.now();
  call_ = source().upstream->get_blob(source().repository, digest_, received_, state_->size(), attempt_, *this);
}

void Fill::on_start(std::uint64_t offset, std::optional<std::uint64_t> total) {
  if (offset > received_) {  // never asked for; treat as an answer that cannot be used
    call_.cancel();
    return retry({upstream::Failure::Kind::bad_answer, 206, {}, source().registry + ": answered another range"});
  }
  enter(State::streaming);
  skip_ = received_ - offset;
  if (total) {
    const auto limit = source().upstream->options().max_blob_bytes;
    if (limit != 0 && *total > limit) {
      call_.cancel();
      return give_up({upstream::Failure::Kind::bad_answer, 0, {}, too_large(source().registry, limit)});
    }
    state_->set_size(*total);
  }
  if (kept_ && total && parts_.index.store().admit(*total) == store::Admission::pass_through && received_ == 0) {
    kept_ = false;
    file_->discard();
    file_ = make_hash_only_fill(digest_, parts_.loop, parts_.disk);
  }
  if (!started_) {
    started_ = true;
    parts_.index.commit({store::PutLink{source().canonical, digest_, {total, true}}});
    became_answerable();
  }
}

fetch::Flow Fill::on_data(std::string_view bytes) {
  parts_.probe.upstream_bytes(bytes.size());
  last_progress_ = parts_.loop.now();
  failed_over_ = false;
  if (skip_ > 0) {
    const auto skipped = std::min<std::uint64_t>(skip_, bytes.size());
    skip_ -= skipped;
    bytes.remove_prefix(skipped);
  }
  if (bytes.empty()) return fetch::Flow::go_on;
  received_ += bytes.size();
  gathered_.append(bytes);
  if (writing_.empty() || gathered_.size() >= kGather) flush();
  paused_ = congested();
  return paused_ ? fetch::Flow::pause : fetch::Flow::go_on;
}

bool Fill::congested() const {
  return writing_bytes_ + gathered_.size() >= options_.write_queue || state_->spilled_bytes() >= options_.spill_memory;
}

void Fill::flush() {
  if (gathered_.empty()) return;
  auto bytes = std::make_shared<const std::string>(std::exchange(gathered_, {}));
  writing_bytes_ += bytes->size();
  writing_.push_back(bytes);
  file_->append(bytes, [this, bytes](base::Result<std::uint64_t> result) { appended(bytes, result); });
}

void Fill::appended(const std::shared_ptr<const std::string>& bytes, const base::Result<std::uint64_t>& result) {
  writing_bytes_ -= bytes->size();
  writing_.pop_front();
  if (result.ok()) {
    state_->advance(*result);
  } else {
    if (kept_) stop_keeping(result.error().message());
    state_->spill(bytes);
  }
  if (writing_.empty()) flush();
  resume_if_room();
  if (!writing_.empty() || !ended_) return;
  if (auto failure = std::exchange(pending_failure_, std::nullopt)) return retry(std::move(*failure));
  check();
}

void Fill::stop_keeping(std::string why) {
  kept_ = false;
  file_->discard();  // what is there stays readable until the last reader let go of it
  obs::warn(obs::Category::mirror, "{} is passed on without being kept: {}", subject(), why);
}

void Fill::drained() {
  const bool nobody = state_->readers() == 0 && answers_.empty();
  const bool pointless = !kept_ || !options_.keep_filling;
  if (nobody && pointless && (state_now_ == State::asking || state_now_ == State::streaming)) {
    call_.cancel();
    state_->failed({Refusal::Kind::unavailable, "every client has left", {}});
    return finish();
  }
  resume_if_room();
}

void Fill::resume_if_room() {
  if (!paused_ || congested()) return;
  paused_ = false;
  last_progress_ = parts_.loop.now();
  if (call_.running()) call_.resume();
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
  if (failure.status == 416 && received_ > 0) return check();  // there may be nothing left to send
  if (received_ - attempt_began_at_ >= kFruitful) fruitless_ = 0;
  ++fruitless_;
  const bool others = fruitless_ < sources_.size();
  auto policy = options_.retry;
  policy.max_attempts = source().upstream->options().retries + 1;
  if (!started_ && source().upstream->health().open) policy.max_attempts = std::min(policy.max_attempts, 2U);
  const auto delay = upstream::next_delay(policy, failure, fruitless_);
  if (!delay && !others) return give_up(failure);
  parts_.probe.fill_retried(source().registry, to_word(failure.kind));
  ++attempt_;
  obs::debug(obs::Category::mirror, "{}: trying again from byte {} ({})", subject(), received_, failure.message);
  enter(State::waiting);
  timer_ = parts_.loop.schedule(delay.value_or(std::chrono::milliseconds(0)), [this] { ask(); });
}

void Fill::check() {
  enter(State::checking);
  file_->verify([this](base::Result<bool> matches) { checked(matches.ok() && *matches); });
}

void Fill::checked(bool matches) {
  if (!matches) {
    const bool from_before = resumed_from_ > 0 && restarts_ == 0;
    if (!from_before) {
      source().upstream->report_corrupt(digest_.to_string());
      parts_.probe.blob_was_corrupt(source().registry);
    }
    return start_over(from_before ? "kept bytes were damaged" : "digest mismatch");
  }
  state_->verified(received_);
  became_answerable();
  publish();
}

void Fill::start_over(std::string why) {
  obs::warn(obs::Category::mirror, "{}: {}; fetching it again from the start", subject(), why);
  if (++restarts_ > kMaxRestarts) {
    file_->discard();
    return give_up(
        {upstream::Failure::Kind::bad_answer, 0, {}, source().registry + ": what it sends does not match the digest"});
  }
  enter(State::restarting);
  state_->restart();
  received_ = 0;
  resumed_from_ = 0;
  ++attempt_;
  file_->restart(std::move(why), [this](base::Result<void> result) {
    if (!result.ok()) stop_keeping(result.error().message());
    state_->set_file(file_->file());
    ask();
  });
}

void Fill::publish() {
  if (!kept_) {
    parts_.probe.fill_passed_through();
    return finish();
  }
  enter(State::publishing);
  file_->publish(source().canonical, [this](base::Result<store::OpenBlob> blob) {
    if (blob.ok()) {
      const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(parts_.loop.now() - began_);
      parts_.probe.fill_published(received_, took);
      obs::debug(obs::Category::mirror, "{}: {} bytes in {} ms, {} of them kept from before", subject(), received_,
                 took.count(), resumed_from_);
    } else {
      obs::warn(obs::Category::mirror, "{} was served but not kept: {}", subject(), blob.error().message());
    }
    finish();
  });
}

void Fill::give_up(const upstream::Failure& failure) {
  const auto& target = source();
  if (failure.kind == upstream::Failure::Kind::not_found) {
    file_->discard();
    const auto until = parts_.clock.wall_now() + target.upstream->options().tags.negative_ttl;
    parts_.index.commit({store::PutAbsent{target.canonical, digest_.to_string(), until}});
  } else {
    obs::warn(obs::Category::mirror, "{} given up: {}", subject(), failure.message);
  }
  parts_.probe.fill_failed(to_word(failure.kind));
  state_->failed(explain(failure));
  became_answerable();
  finish();
}

void Fill::finish() {
  enter(State::finished);
  timer_.cancel();
  became_answerable();
  parts_.loop.post([watch = life_.watch(), this] {
    if (watch.gone() || !finished_) return;
    auto run = std::exchange(finished_, nullptr);
    run();
  });
}

}  // namespace shoal::mirror
