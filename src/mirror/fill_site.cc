// The side of a fill that faces the site: whose turn it is, and bytes from neighbours.
#include "explain.h"
#include "fill.h"
#include "fill_proof.h"
#include "shoal/base/format.h"
#include "shoal/obs/log.h"

namespace shoal::mirror {
namespace {

constexpr std::uint64_t kSkipAtMost = 1 << 20;  // of what upstream sends in vain

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
  skip_ = 0;
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
  call_.cancel();
  paused_ = false;
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
  received_ = end;
  state_->came(end, Origin::swarm);
  last_progress_ = parts_.loop.now();
  writing_.push_back(std::make_shared<const std::string>());  // its turn among the appends
  file_->absorb(end, [this, end](const base::Result<std::uint64_t>& result) { absorbed(end, result); });
  if (state_->size() == end) {
    call_.cancel();
    site_->cancel();
    timer_.cancel();
    paused_ = false;
    ended_ = true;
    if (!started_) started(end);
    return enter(State::streaming);
  }
  if (skip_ > kSkipAtMost && call_.running()) {  // upstream would send what is here already
    skip_ = 0;
    wait_for_swarm();
  }
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

// What upstream sends now, a neighbour is bringing or has brought; it is on its way to us.
void Fill::wait_for_swarm() {
  call_.cancel();
  site_->cancel();
  paused_ = false;
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
