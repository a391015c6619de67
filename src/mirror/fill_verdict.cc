// The end of a fill: does it match the digest, and what then.
#include "explain.h"
#include "fill.h"
#include "shoal/base/format.h"
#include "shoal/obs/log.h"

namespace shoal::mirror {
namespace {

constexpr unsigned kMaxRestarts = 3;                       // wrong bytes so often: give up
constexpr unsigned kMostWithTheSite = 2;                   // ... and with what neighbours bring
constexpr std::chrono::milliseconds kFetcherNotices{200};  // that what it passed on was wrong

}  // namespace

bool Fill::site_brought() const {
  return state_->bytes_from().neighbours > 0 || (!gathered_.empty() && gathered_from_ == Origin::neighbour);
}

void Fill::check() {
  enter(State::checking);
  file_->verify([this](base::Result<bool> matches) { checked(matches); });
}

void Fill::checked(const base::Result<bool>& matches) {
  if (state_now_ == State::finished) return;  // upstream said meanwhile that the repository may not show it
  if (matches.ok() && *matches) {
    state_->verified(received_);
    became_answerable();
    if (is_proven()) return publish();
    enter(State::proving);  // a neighbour was faster than upstream's word that this repository may show it
    return prove_beside();
  }
  if (!matches.ok()) return start_over("verify: " + matches.error().message());
  if (resumed_from_ > 0) return start_over("kept bytes were damaged");
  if (site_brought()) {  // nobody can tell which of them
    parts_.probe.site_was_corrupt();
    const auto authors = site_->authors();
    const auto said = authors.empty() ? std::string() : ", though the pieces are as " + authors + " said";
    return start_over("what neighbours sent does not match the digest" + said, WhoWasWrong::neighbours);
  }
  source().upstream->report_corrupt(digest_.to_string());
  parts_.probe.blob_was_corrupt(source().registry);
  start_over("digest mismatch");
}

void Fill::start_over(std::string why, WhoWasWrong who) {
  obs::warn(obs::Category::mirror, "{}: {}; fetching it again from the start", subject(), why);
  if (++restarts_ > kMaxRestarts) {
    file_->discard();
    return give_up({Refusal::Kind::unavailable, source().registry + ": what it sends does not match the digest",
                    std::chrono::seconds(5)});
  }
  enter(State::restarting);
  const bool with_neighbours = who != WhoWasWrong::whoever_sent_it || site_brought();
  stop_reading();
  timer_.cancel();
  lingering_.cancel();
  gathered_.clear();
  pending_failure_.reset();
  const bool by_pieces = site_ && site_->swarming();
  if (site_) {
    site_->cancel();
    site_->leave_swarm();
    // Who lied is left, and the site asked again: one of the others fetches for all. But not again and again.
    if (with_neighbours && restarts_ > kMostWithTheSite) {
      site_->distrust();
    } else if (who == WhoWasWrong::neighbours) {
      site_->blame();
    } else if (who == WhoWasWrong::one_of_them) {
      site_->follow_one();
    } else {
      site_->forget_words();
    }
  }
  // A size that only upstream told may be as wrong as its bytes.
  state_->restart(sure_size_);
  received_ = 0;
  resumed_from_ = 0;
  started_ = false;
  ++attempt_;
  if (is_proven()) current_ = (current_ + 1) % sources_.size();
  if (!kept_) only_hash();
  file_->restart(std::move(why), [this, by_pieces](base::Result<void> result) {
    if (state_now_ == State::finished) return;
    if (!result.ok()) {
      stop_keeping(result.error().message());
      only_hash();
    }
    state_->set_file(file_->file());
    if (!by_pieces) return ask();
    timer_ = parts_.loop.schedule(kFetcherNotices, [this] { ask(); });
  });
}

void Fill::publish() {
  const auto took = [this] {
    return std::chrono::duration_cast<std::chrono::milliseconds>(parts_.loop.now() - began_);
  };
  parts_.probe.fill_verified(state_->bytes_from(), upstream_bytes_);
  if (!kept_) {
    parts_.probe.fill_passed_through();
    tell_sources(took());
    return finish();
  }
  enter(State::publishing);
  file_->publish(source().canonical, [this, took](base::Result<store::OpenBlob> blob) {
    if (blob.ok()) {
      parts_.probe.fill_published(received_, took());
      tell_filled(took());
      if (site_) site_->complete(std::move(*blob));
    } else {
      if (blob.error().kind() == base::ErrorKind::corrupt) state_->not_on_disk();
      obs::warn(obs::Category::mirror, "{} was served but not kept: {}", subject(), blob.error().message());
    }
    tell_sources(took());
    finish();
  });
}

void Fill::tell_sources(std::chrono::milliseconds took) const {
  const auto level = site_ ? obs::Level::info : obs::Level::debug;
  const auto from = state_->bytes_from();
  obs::log(level, obs::Category::mirror,
           "{}: {} bytes in {} ms: {} from upstream, {} from neighbours ({} of them by the swarm), {} kept from "
           "before{}",
           subject(), received_, took.count(), from.upstream, from.neighbours, from.swarm, from.disk,
           upstream_bytes_ > from.upstream
               ? base::format("; upstream sent {} more in vain", upstream_bytes_ - from.upstream)
               : "");
}

void Fill::tell_filled(std::chrono::milliseconds took) {
  if (!parts_.events.wants(obs::EventKind::fill, obs::EventObject::blob)) return;
  obs::Event event;
  event.kind = obs::EventKind::fill;
  event.object = obs::EventObject::blob;
  event.repository = source().canonical;
  event.digest = digest_.to_string();
  event.size = received_;
  event.from = source().registry;
  event.took = took;
  parts_.events.publish(std::move(event));
}

}  // namespace shoal::mirror
