// The end of a fill: does it match the digest, and what then.
#include "explain.h"
#include "fill.h"
#include "shoal/obs/log.h"

namespace shoal::mirror {
namespace {

constexpr unsigned kMaxRestarts = 3;  // wrong bytes so often: give up

}  // namespace

void Fill::check() {
  enter(State::checking);
  file_->verify([this](base::Result<bool> matches) { checked(matches); });
}

void Fill::checked(const base::Result<bool>& matches) {
  if (matches.ok() && *matches) {
    state_->verified(received_);
    became_answerable();
    return publish();
  }
  if (!matches.ok()) return start_over("verify: " + matches.error().message());
  if (resumed_from_ > 0) return start_over("kept bytes were damaged");
  source().upstream->report_corrupt(digest_.to_string());
  parts_.probe.blob_was_corrupt(source().registry);
  start_over("digest mismatch");
}

void Fill::start_over(std::string why) {
  obs::warn(obs::Category::mirror, "{}: {}; fetching it again from the start", subject(), why);
  if (++restarts_ > kMaxRestarts) {
    file_->discard();
    return give_up({Refusal::Kind::unavailable, source().registry + ": what it sends does not match the digest",
                    std::chrono::seconds(5)});
  }
  enter(State::restarting);
  // A size that only upstream told may be as wrong as its bytes.
  state_->restart(sure_size_);
  received_ = 0;
  resumed_from_ = 0;
  started_ = false;
  ++attempt_;
  if (is_proven()) current_ = (current_ + 1) % sources_.size();
  if (!kept_) only_hash();
  file_->restart(std::move(why), [this](base::Result<void> result) {
    if (!result.ok()) {
      stop_keeping(result.error().message());
      only_hash();
    }
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

}  // namespace shoal::mirror
