// The side of a fill that faces the site: whose turn it is, and bytes from neighbours.
#include "explain.h"
#include "fill.h"
#include "fill_proof.h"
#include "shoal/base/format.h"
#include "shoal/obs/log.h"

namespace shoal::mirror {
namespace {

constexpr std::uint64_t kSkipAtMost = 1 << 20;        // of what upstream sends in vain
constexpr std::chrono::milliseconds kHeldFor{1'000};  // what a neighbour brings, it has brought by then

}  // namespace

void Fill::on_own_turn(const std::string& fall_back) {
  parts_.probe.site_turn(fall_back.empty() ? "fetcher" : "fall-back");
  if (!fall_back.empty()) {
    obs::info(obs::Category::mirror, "{} is fetched from upstream without the site: {}", subject(), fall_back);
  }
  ask_upstream();
}

void Fill::on_site_start(std::optional<std::uint64_t> total, bool proven) {
  const auto size = state_->size();
  if (total && size && *total != *size) {
    return site_->refuse(base::format("says the blob has {} bytes, not {}", *total, *size));
  }
  parts_.probe.site_turn("follower");
  skip_ = in_vain_ = 0;
  state_->set_origin((site_->in_swarm() ? "swarm, neighbour " : "neighbour ") + site_->peer());
  if (proven && site_->trusts_proofs()) proved();
  if (!is_proven()) prove_beside();
  started(total);
}

fetch::Flow Fill::on_site_data(std::string_view bytes) { return take(bytes, Origin::neighbour); }

void Fill::on_site_end(std::optional<base::Error> error) {
  from_site_ = true;
  if (state_now_ == State::consulting) {  // refused before it began
    return retry({upstream::Failure::Kind::unavailable, 0, {}, {}});
  }
  std::optional<upstream::Failure> failure;
  if (error) failure = upstream::Failure{upstream::Failure::Kind::unavailable, 0, {}, error->message()};
  on_end(std::move(failure));
}

// Nobody can fetch as well as the node that holds the lease now.
void Fill::on_lease_lost() {
  const bool fetching_now = state_now_ == State::asking || (state_now_ == State::streaming && !ended_ && !follows());
  if (!fetching_now || !call_.running()) return;
  obs::info(obs::Category::mirror, "{}: another node of the site fetches it now", subject());
  stop_reading();
  flush();
  ++attempt_;
  ask();
}

std::shared_ptr<store::PieceWriter> Fill::piece_file() { return kept_ ? file_->pieces() : nullptr; }

// Neighbours brought the pieces that come next. Whatever else brings bytes skips those.
void Fill::on_swarm_bytes(std::uint64_t end) {
  const bool taking = state_now_ == State::streaming || state_now_ == State::asking ||
                      state_now_ == State::consulting || state_now_ == State::waiting;
  if (!taking || !kept_ || ended_ || end <= received_) return;
  flush();
  skip_ += end - received_;
  in_vain_ += end - received_;
  received_ = end;
  state_->came(end, Origin::swarm);
  last_progress_ = parts_.loop.now();
  writing_.push_back(std::make_shared<const std::string>());  // its turn among the appends
  file_->absorb(end, [this, end](const base::Result<std::uint64_t>& result) { absorbed(end, result); });
  if (state_->size() == end) {
    stop_reading();
    site_->cancel();
    timer_.cancel();
    ended_ = true;
    if (!started_) started(end);
    return enter(State::streaming);
  }
  // Upstream would send what is here already, or is being brought.
  const auto to_come = skip_ - std::min<std::uint64_t>(skip_, held_ ? held_->bytes.size() : 0);
  const bool too_much = to_come > kSkipAtMost || (in_vain_ > kSkipAtMost && site_->bringing());
  if (too_much && call_.running()) {
    skip_ = 0;
    return wait_for_swarm();
  }
  if (held_) let_go();
}

void Fill::on_site_corrupt(std::string why) {
  const bool over = state_now_ == State::finished || state_now_ == State::restarting ||
                    state_now_ == State::publishing || state_->is_verified();
  if (!over) start_over(std::move(why), WhoWasWrong::one_of_them);
}

void Fill::absorbed(std::uint64_t end, const base::Result<std::uint64_t>& result) {
  writing_.pop_front();
  if (state_now_ == State::finished || state_now_ == State::restarting) return;
  if (result.ok()) {
    state_->advance(*result);
  } else if (result.error().kind() == base::ErrorKind::full) {
    if (kept_) stop_keeping(result.error().message());
    state_->spill_from_file(end);
  } else {
    return start_over(result.error().message());
  }
  if (!writing_.empty()) return;
  if (!ended_) return flush_soon();
  if (auto failure = std::exchange(pending_failure_, std::nullopt)) return retry(std::move(*failure));
  check();
}

// What is being sent now, a neighbour has brought, and says so when all before it is on the disk. The transfer waits
// for that. A little is then read over: to break off and ask anew costs a round trip, and what is on its way all the
// same.
fetch::Flow Fill::hold(std::string_view bytes, Origin from) {
  held_ = Held{std::string(bytes), from};
  paused_ = false;
  flush();
  timer_ = parts_.loop.schedule(kHeldFor, [this] { wait_for_swarm(); });
  return fetch::Flow::pause;
}

void Fill::let_go() {
  timer_.cancel();
  const auto held = *std::exchange(held_, std::nullopt);
  const auto flow = take(held.bytes, held.from);
  if (state_now_ != State::streaming || ended_) return;
  if (held_) {
    held_->ended = held.ended;
    return;
  }
  if (held.ended) return on_end(std::nullopt);
  if (flow == fetch::Flow::pause) return;  // resume_if_room() goes on
  if (call_.running()) call_.resume();
  if (site_) site_->resume();
}

// Upstream's transfer is over, whatever it would still say.
void Fill::stop_reading() {
  call_.cancel();
  paused_ = false;
  if (!held_) return;
  held_.reset();
  timer_.cancel();  // it was armed for that
}

// What upstream sends now, a neighbour has brought; it goes on behind that.
void Fill::wait_for_swarm() {
  stop_reading();
  site_->cancel();
  from_site_ = false;
  flush();
  enter(State::waiting);
  timer_ = parts_.loop.schedule(kSiteAgain, [this] { ask(); });
}

// Whether this repository may show what neighbours send, only upstream can say.
void Fill::prove_beside() {
  if (proof_) return;
  proof_ = std::make_unique<Proof>(*this, [this](upstream::Outcome<upstream::BlobHead> head) {
    if (is_proven()) return;
    if (const auto* failure = std::get_if<upstream::Failure>(&head)) return drop_source(explain(*failure));
    proved();
    became_answerable();
    if (state_now_ == State::proving) publish();
  });
  proof_->retrier.start();
}

}  // namespace shoal::mirror
