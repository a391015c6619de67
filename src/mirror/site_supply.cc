#include "site_supply.h"

#include <algorithm>

#include "shoal/base/format.h"
#include "shoal/obs/log.h"

namespace shoal::mirror {
namespace {

constexpr std::chrono::milliseconds kNobodyYet{100};
constexpr std::chrono::milliseconds kLeastWatch{10};
constexpr unsigned kMostCrossings = 600;  // a minute
constexpr std::chrono::milliseconds kSwarmTurn{100};
constexpr std::chrono::milliseconds kGleaning{1'000};  // what neighbours have of it, they bring within that time

std::string words_of(const p2p::Advice& advice) {
  if (std::holds_alternative<p2p::Fetch>(advice)) return "fetch";
  if (const auto* wait = std::get_if<p2p::Wait>(&advice)) return base::format("wait {} ms", wait->again.count());
  const auto& follow = std::get<p2p::Follow>(advice);
  if (!follow.complete.empty()) return "follow " + follow.complete.front().url;
  return "follow " + (follow.fetcher ? follow.fetcher->url + ", the fetcher" : std::string("nobody"));
}

}  // namespace

SiteSupply::SiteSupply(p2p::Neighbours& site, base::Loop& loop, const base::Digest& digest, Taker& taker)
    : site_(site), loop_(loop), digest_(digest), taker_(taker), last_progress_(loop.now()) {}

SiteSupply::~SiteSupply() = default;

void SiteSupply::consult(std::optional<std::uint64_t> size, std::uint64_t from, std::string repository) {
  cancel();  // the watch over a lease that is lost must not ask in between
  if (size) size_ = size;
  from_ = from;
  repository_ = std::move(repository);
  if (!ticket_) ticket_ = site_.ticket(digest_, size, [this] { taker_.on_lease_lost(); });
  if (brought_ <= from_) return ask();
  // What the swarm brought while the fill was busy with the end of something else.
  timer_ = loop_.schedule(std::chrono::milliseconds(0), [this] {
    ask();
    on_swarm_bytes(brought_);
  });
}

void SiteSupply::ask() {
  const auto waited = loop_.now() - last_progress_;
  if (waited >= site_.options().patience) {
    last_progress_ = loop_.now();  // the next time there is patience again
    auto why = base::format("the site brought nothing for {} ms{}{}",
                            std::chrono::duration_cast<std::chrono::milliseconds>(waited).count(),
                            last_error_.empty() ? "" : ": ", last_error_);
    timer_ = loop_.schedule(std::chrono::milliseconds(0), [this, why = std::move(why)] { own_turn(why); });
    return;
  }
  ticket_->ask(avoided(), [this, question = ++question_](p2p::Ticket::Answer answer) {
    if (question == question_) advised(std::move(answer));
  });
}

std::vector<std::string> SiteSupply::avoided() const {
  auto all = convicted_;
  all.insert(all.end(), avoid_.begin(), avoid_.end());
  return all;
}

void SiteSupply::vouches(const p2p::NodeInfo& node) {
  const auto known =
      std::find_if(vouched_.begin(), vouched_.end(), [&](const auto& other) { return other.id == node.id; });
  if (known == vouched_.end()) return vouched_.push_back({node.id, from_holders_});
  known->holds_all = known->holds_all || from_holders_;
}

void SiteSupply::advised(p2p::Ticket::Answer answer) {
  obs::debug(obs::Category::mirror, "{} from byte {}: the site says {}{}", digest_.to_string(), from_,
             words_of(answer.advice), answer.alone.empty() ? "" : " (" + answer.alone + ")");
  if (std::holds_alternative<p2p::Fetch>(answer.advice)) return own_turn(std::move(answer.alone));
  if (const auto* wait = std::get_if<p2p::Wait>(&answer.advice)) return again(wait->again);
  follow(std::get<p2p::Follow>(answer.advice));
}

// What others have of it, of a fetch before ours, comes first: upstream need not send that again. They are waited for
// at the beginning of our turn, and as long as they bring some; not again at every piece that nobody has.
void SiteSupply::own_turn(std::string fall_back) {
  const bool led = std::exchange(leading_, fall_back.empty());
  if (leading_ && !led && join_swarm()) swarm_->lead();
  if (!own_since_ || (leading_ && !led)) own_since_ = loop_.now();
  const bool at_first = loop_.now() - *own_since_ < kGleaning;
  if (swarm_ && swarm_->expects(from_) && (at_first || bringing())) {
    if (ticket_) ticket_->progress();
    timer_ = loop_.schedule(kSwarmTurn, [this, fall_back = std::move(fall_back)] { own_turn(fall_back); });
    return;
  }
  last_progress_ = loop_.now();
  if (leading_) watch_lease();
  taker_.on_own_turn(fall_back);
}

// A fetch that stalls no longer renews its lease. If another node has it meanwhile, that one is followed; if nobody
// wanted it, the lease is ours again, and the fetch goes on as it is.
void SiteSupply::watch_lease() {
  const auto silent = std::chrono::duration_cast<std::chrono::milliseconds>(loop_.now() - last_progress_);
  const auto left = site_.options().recheck - silent;
  timer_ = loop_.schedule(std::max(left, kLeastWatch), [this] {
    if (loop_.now() - last_progress_ < site_.options().recheck) return watch_lease();
    ticket_->ask(avoided(), [this, question = ++question_](const p2p::Ticket::Answer& answer) {
      if (question != question_) return;
      if (!std::holds_alternative<p2p::Fetch>(answer.advice)) {
        leading_ = false;
        return taker_.on_lease_lost();
      }
      last_progress_ = loop_.now();  // asked again after as long a silence
      watch_lease();
    });
  });
}

void SiteSupply::follow(const p2p::Follow& advice) {
  leading_ = false;
  own_since_.reset();
  std::vector<p2p::NodeInfo> sources;
  const auto take = [&, avoid = avoided()](const p2p::NodeInfo& node) {
    const bool no = std::find(avoid.begin(), avoid.end(), node.id) != avoid.end();
    if (!no && sources.size() < most_authors_) sources.push_back(node);
  };
  for (const auto& node : advice.complete) take(node);
  from_holders_ = !sources.empty();
  if (sources.empty() && advice.fetcher) take(*advice.fetcher);
  through_ = sources.empty() && may_go_through();
  if (through_) {
    for (const auto& node : advice.partial) {
      if (node.port != 0) take(node);
    }
  }
  if (sources.empty()) {
    // Others are getting it for our zone. That may take long, and is worth waiting for; but not for ever, and not if
    // the node they get it from is a liar.
    if (!advice.partial.empty() && convicted_.empty() && ++crossings_ < kMostCrossings) last_progress_ = loop_.now();
    return again(kNobodyYet);
  }
  crossings_ = 0;
  if (!through_) through_failed_ = false;
  const bool by_pieces = std::any_of(sources.begin(), sources.end(), [](const auto& node) { return node.port != 0; });
  if (by_pieces && !std::exchange(over_http_, false) && join_swarm()) {
    std::erase_if(sources, [](const auto& node) { return node.port == 0; });
    return follow_swarm(std::move(sources));
  }
  if (through_) {  // they need not be able to send it whole
    through_failed_ = true;
    return again(kNobodyYet);
  }
  peer_ = sources.front();
  call_ = site_.get_blob(peer_, digest_, repository_, from_, *this);
}

// Who reaches neither a holder nor the fetcher may get pieces of those who do; not of those who may have them from a
// liar.
bool SiteSupply::may_go_through() const {
  return !through_failed_ && !over_http_ && !swarmless_ && size_ && convicted_.empty() && suspected_.empty();
}

bool SiteSupply::join_swarm() {
  if (swarm_ || swarmless_ || !size_) return swarm_ != nullptr;
  swarm_ = site_.swarm(digest_, *size_, taker_.piece_file(), on_disk_, *this);
  return swarm_ != nullptr;
}

void SiteSupply::follow_swarm(std::vector<p2p::NodeInfo> authors) {
  authors_ = authors;
  followed_at_ = loop_.now();
  in_swarm_ = true;
  swarm_began_ = false;
  swarm_->follow(std::move(authors), repository_);
  watch_swarm();
}

// Authors that tell nothing new, and peers that bring nothing: perhaps the site knows better by now.
void SiteSupply::watch_swarm() {
  // Of those that are getting it one may be the next fetcher, once a lease is over: that is to be heard in time.
  const auto stall = through_ ? site_.options().stall / 2 : site_.options().stall;
  timer_ = loop_.schedule(std::max<std::chrono::milliseconds>(stall / 8, kLeastWatch), [this, stall] {
    // What others before them did not bring is not theirs to answer for.
    if (loop_.now() - std::max(last_progress_, followed_at_) < stall) return watch_swarm();
    obs::info(obs::Category::mirror, "{}: no piece came for {} ms; left: {}", digest_.to_string(), stall.count(),
              authors());
    left_behind();
    swarm_ended(base::Error(base::ErrorKind::timeout, "the swarm brings nothing"));
  });
}

// Those that were followed brought nothing more.
void SiteSupply::left_behind() {
  if (through_) {
    through_failed_ = true;
    return;
  }
  for (const auto& author : authors_) avoid_.push_back(author.id);
}

std::string SiteSupply::authors() const {
  std::string urls;
  for (const auto& author : authors_) urls += (urls.empty() ? "" : ", ") + author.url;
  return urls;
}

void SiteSupply::swarm_ended(base::Error why) {
  in_swarm_ = false;
  timer_.cancel();
  last_error_ = why.message();
  obs::debug(obs::Category::mirror, "{} from the swarm: {}", digest_.to_string(), last_error_);
  taker_.on_site_end(std::move(why));
}

void SiteSupply::on_swarm_start(const p2p::NodeInfo& author, bool proven) {
  if (!in_swarm_) return;
  vouches(author);
  if (std::exchange(swarm_began_, true)) return;
  peer_ = author;
  taker_.on_site_start(size_, proven);
}

void SiteSupply::on_swarm_piece() {
  piece_at_ = last_progress_ = loop_.now();
  avoid_.clear();
  through_failed_ = false;
}

bool SiteSupply::bringing() const { return piece_at_ && loop_.now() - *piece_at_ < kGleaning; }

void SiteSupply::on_swarm_bytes(std::uint64_t end) {
  last_progress_ = loop_.now();
  brought_ = std::max(brought_, end);
  from_ = std::max(from_, end);
  avoid_.clear();
  through_failed_ = false;
  taker_.on_swarm_bytes(end);
}

void SiteSupply::on_swarm_lost(base::Error why) {
  if (!in_swarm_) return;
  if (through_ || (swarm_began_ && why.kind() != base::ErrorKind::cancelled)) {
    left_behind();
  } else if (!swarm_began_) {
    over_http_ = true;  // they may not know of swarms, or not have one of this blob
  }
  swarm_ended(std::move(why));
}

void SiteSupply::on_swarm_failed(base::Error why) {
  if (why.kind() == base::ErrorKind::corrupt) {
    cancel();
    taker_.on_site_corrupt(why.message());
    return leave_swarm();
  }
  no_more_swarm();
  if (in_swarm_) swarm_ended(std::move(why));
}

void SiteSupply::sized(std::uint64_t size) {
  if (swarm_ && size_ != size) {  // it is another blob's swarm, by its name
    const bool led = leading_;
    leave_swarm();
    leading_ = led;
  }
  size_ = size;
  if (leading_ && !swarm_ && join_swarm()) swarm_->lead();
}

void SiteSupply::advance(std::uint64_t end) {
  on_disk_ = end;
  if (swarm_) swarm_->advance(end);
}

std::uint64_t SiteSupply::claim(std::uint64_t begin, std::uint64_t end) {
  return swarm_ == nullptr ? end : swarm_->claim(begin, end);
}

void SiteSupply::leave_swarm() {
  brought_ = 0;
  on_disk_ = 0;
  leading_ = false;
  swarm_.reset();
}

void SiteSupply::no_more_swarm() {
  leave_swarm();
  swarmless_ = true;
  if (!in_swarm_) return;
  timer_ = loop_.schedule(std::chrono::milliseconds(0), [this] {
    swarm_ended(base::Error(base::ErrorKind::gone, "this node has no room for pieces"));
  });
}

void SiteSupply::again(std::chrono::milliseconds wait) {
  timer_ = loop_.schedule(std::max(wait, std::chrono::milliseconds(10)), [this] { ask(); });
}

void SiteSupply::on_peer_start(std::uint64_t offset, std::optional<std::uint64_t> total, bool proven) {
  if (offset != from_) return refuse("answered another range");
  vouches(peer_);
  taker_.on_site_start(total, proven);
}

fetch::Flow SiteSupply::on_peer_data(std::string_view bytes) {
  last_progress_ = loop_.now();
  avoid_.clear();
  return taker_.on_site_data(bytes);
}

void SiteSupply::on_peer_end(std::optional<base::Error> error) {
  call_.reset();
  if (error) {
    last_error_ = error->message();
    avoid_.push_back(peer_.id);
    obs::debug(obs::Category::mirror, "{} from a neighbour: {}", digest_.to_string(), last_error_);
  }
  taker_.on_site_end(std::move(error));
}

void SiteSupply::refuse(std::string why) {
  on_peer_end(base::Error(base::ErrorKind::gone, peer_.url + ": " + std::move(why)));
}

void SiteSupply::cancel() {
  ++question_;
  call_.reset();
  in_swarm_ = false;
  timer_.cancel();
}

void SiteSupply::resume() {
  if (call_) call_->resume();
}

void SiteSupply::progress() {
  last_progress_ = loop_.now();
  if (ticket_) ticket_->progress();
}

void SiteSupply::complete(store::OpenBlob blob) {
  if (swarm_) swarm_->complete(std::make_shared<store::OpenBlob>(std::move(blob)));
  swarm_.reset();
  if (!ticket_) ticket_ = site_.ticket(digest_, size_, nullptr);
  ticket_->complete();
  ticket_.reset();
}

void SiteSupply::blame() {
  for (auto& voucher : std::exchange(vouched_, {})) {
    const bool again = std::find(suspected_.begin(), suspected_.end(), voucher.id) != suspected_.end();
    if (voucher.holds_all || again) {
      convict(std::move(voucher.id));
    } else if (suspected_.size() < p2p::kMaxAvoid) {
      suspected_.push_back(std::move(voucher.id));
    }
  }
}

void SiteSupply::convict(std::string id) {
  if (convicted_.size() < p2p::kMaxAvoid) convicted_.push_back(std::move(id));
}

void SiteSupply::follow_one() {
  const bool one = std::exchange(most_authors_, 1) == 1, alone = vouched_.size() == 1;
  for (auto& voucher : std::exchange(vouched_, {})) {
    if (one && alone) convict(std::move(voucher.id));
  }
}

void SiteSupply::distrust() {
  cancel();
  leave_swarm();
  ticket_.reset();
  distrusted_ = true;
}

void SiteSupply::leave() {
  cancel();
  leave_swarm();
  ticket_.reset();
}

}  // namespace shoal::mirror
