#include "site.h"

#include <algorithm>
#include <random>

#include "map_feed.h"
#include "meeting_choice.h"
#include "rendezvous.h"
#include "shoal/base/format.h"

namespace shoal::sim {
namespace {

constexpr std::size_t kMostAuthors = 3;                           // site_supply.cc
constexpr double kNobodyYet = 0.1;                                // there, too
constexpr double kAnnounceEvery = 1;                              // SiteOptions::announce_every
constexpr double kHurry = 0.05;                                   // roster.cc
constexpr std::size_t kToldTo = 2;                                // roster.cc: trackers that know of a blob
constexpr double kBlock = 16 * 1024;                              // sent by each node in a bucket of events, or less
constexpr double kLeastLinger = 10, kMostLinger = 120;            // swarmed_blob.cc
constexpr double kMapEntry = 36, kFrame = 72, kPlaceOfPeer = 90;  // bytes of the map's stream

}  // namespace

SimSite::SimSite(const Options& options)
    : options_(options),
      digest_(base::digest_of(base::format("blob {}", options.seed))),
      events_(kBlock / std::max(options.up, options.seed_up) / std::max(2.0, options.nodes / 64.0)),
      swarm_(options_, events_, [this](std::uint32_t node, double) { complete(node); }),
      left_(options.nodes) {
  std::mt19937_64 random(options.seed);
  std::uniform_real_distribution<double> some(0, 1);
  const auto all = options.seeds + options.nodes;
  nodes_.resize(all);
  calls_.resize(all);
  times_.resize(options.nodes);
  for (std::uint32_t i = 0; i < all; ++i) {
    const bool seeds = i < options.seeds;
    const bool slow = !seeds && some(random) < options.slow_share;
    (void)swarm_.add(seeds ? options.seed_up : slow ? options.slow_up : options.up, options.down);
    nodes_[i].seen.resize(options.trackers);
    if (seeds) {
      swarm_.fill(i);
      nodes_[i].whole = true;
    } else {
      auto& came = times_[i - options.seeds].came;
      came = 3 + some(random) * options.spread;
      events_.add(came, kJoin, i);
    }
    // Everybody has been up for a while when the herd comes.
    events_.add(some(random), kAnnounce, i);
  }
  p2p::TrackerOptions settings;
  settings.max_nodes = options.max_nodes;
  std::vector<std::string> ids;
  for (std::uint32_t i = 0; i < options.trackers; ++i) {
    const auto self = info(options.seeds + i);
    trackers_.push_back(std::make_unique<p2p::Tracker>(self, settings));
    ids.push_back(self.id);
  }
  order_ = p2p::ranked(ids, digest_, options.trackers);
}

p2p::NodeInfo SimSite::info(std::uint32_t node) const {
  return {base::format("{:032x}", node),
          base::format("http://10.{}.{}.{}:5000", node >> 16, node >> 8 & 255, node & 255), "", 6881};
}
std::uint32_t SimSite::number(const p2p::NodeInfo& node) const {
  return static_cast<std::uint32_t>(std::stoul(node.id, nullptr, 16));
}
base::SteadyTime SimSite::steady() const {
  return base::SteadyTime(std::chrono::hours(1)) +
         std::chrono::duration_cast<base::SteadyTime::duration>(std::chrono::duration<double>(now_));
}

void SimSite::run() {
  while (!events_.empty() && left_ > 0 && now_ < options_.limit) {
    const auto event = events_.pop();
    now_ = event.at;
    event.kind <= kTick ? swarm_.on(event) : on(event);
  }
}

void SimSite::on(const Event& event) {
  const auto node = event.who;
  switch (event.kind) {
    case kJoin:
    case kAsk: return ask(node);
    case kMapAnswer: return answer(event.piece, node);
    case kConnect: return meet(node);
    case kUpstream: return upstream(node, event.piece);
    case kMapFrame: return map_frame(node);
    case kAnnounce: return announce(node, event.unit != 0);
    case kLeave: return swarm_.leave(node);
    default: return;
  }
}

// As SiteTicket: the trackers in their order, then alone. The answer takes a round trip; so does a call to an author.
void SimSite::ask(std::uint32_t node) {
  for (const auto index : order_) {
    ++wants_;
    const auto advice = trackers_[index]->want(info(node), {digest_, options_.size, {}}, steady());
    if (!advice.ok()) continue;
    if (std::holds_alternative<p2p::Fetch>(*advice)) {
      ++fetchers_;
      return fetch(node);
    }
    if (const auto* wait = std::get_if<p2p::Wait>(&*advice)) {
      return events_.add(now_ + static_cast<double>(wait->again.count()) / 1e3, kAsk, node);
    }
    return follow(node, std::get<p2p::Follow>(*advice));
  }
  ++alone_;
  fetch(node);
}

void SimSite::follow(std::uint32_t node, const p2p::Follow& advice) {
  std::vector<std::uint32_t> authors;
  for (const auto& holder : advice.complete) {
    if (authors.size() < kMostAuthors) authors.push_back(number(holder));
  }
  if (authors.empty() && advice.fetcher) authors.push_back(number(*advice.fetcher));
  if (authors.empty()) return events_.add(now_ + kNobodyYet, kAsk, node);
  nodes_[node].answers = authors;
  // The tracker's answer, then a connection and a request to each author.
  for (const auto author : authors) events_.add(now_ + 6 * options_.latency, kMapAnswer, node, author);
}

// SwarmedBlob::serve, of the author.
void SimSite::answer(std::uint32_t author, std::uint32_t node) {
  auto& from = nodes_[author];
  auto& to = nodes_[node];
  std::erase(to.answers, author);
  if (from.followers.size() >= options_.takers) {
    ++refused_;
    // Nobody else answers: SiteSupply takes it from the first of them, by HTTP.
    if (to.answers.empty() && to.authors.empty()) swarm_.stream(node, author, now_);
    return;
  }
  const auto earlier = from.followers.size();
  const auto told = p2p::told_of(earlier, options_.told);
  const double known = nodes_[author].whole ? swarm_.pieces() : 0;
  swarm_.charge(author, now_, known * kMapEntry + static_cast<double>(told.size()) * kPlaceOfPeer + kFrame);
  calls_[node].push_back(author);
  for (const auto index : told) calls_[node].push_back(from.followers[index]);
  to.authors.push_back({author, from.joined++});
  if ((from.fetches && !from.whole) || options_.hold_seeds) swarm_.follow(node, author);
  from.followers.push_back(node);
  for (const auto follower : from.followers) {
    const auto& last = nodes_[follower].authors.back();
    if (last.node == author) swarm_.place(follower, p2p::stripe_of(last.rank, from.joined));
  }
  events_.add(now_ + 4 * options_.latency, kConnect, node);
}

void SimSite::meet(std::uint32_t node) {
  for (const auto peer : std::exchange(calls_[node], {})) (void)swarm_.connect(node, peer, now_);
}

void SimSite::fetch(std::uint32_t node) {
  nodes_[node].fetches = true;
  swarm_.take_no_more(node);
  upstream(node, UINT32_MAX);
}

// One uplink, shared by all that fetch: piece by piece in turn. `arrived`: the one that is here.
void SimSite::upstream(std::uint32_t node, std::uint32_t arrived) {
  const auto next = arrived + 1;
  if (next < swarm_.pieces()) {
    const double bytes = swarm_.bytes_of(next);
    upstream_free_ = std::max(now_, upstream_free_) + bytes / options_.uplink;
    upstream_bytes_ += bytes;
    events_.add(upstream_free_, kUpstream, node, next);
  }
  if (arrived == UINT32_MAX) return;
  // Nobody can check a piece, and so pass it on, before the map has it: as if the author had it no earlier.
  if (gathered_.empty()) {
    const auto followers = static_cast<std::uint32_t>(nodes_[node].followers.size());
    const auto due = framed_ + std::chrono::duration<double>(p2p::gather_time(followers)).count();
    events_.add(std::max(now_, due), kMapFrame, node);
  }
  gathered_.push_back(arrived);
}

// MapSource: what arrived since the last frame, to all followers.
void SimSite::map_frame(std::uint32_t node) {
  framed_ = now_;
  const auto entries = static_cast<double>(gathered_.size());
  swarm_.charge(node, now_, static_cast<double>(nodes_[node].followers.size()) * (entries * kMapEntry + kFrame));
  for (const auto piece : std::exchange(gathered_, {})) swarm_.bring(node, piece, now_);
}

void SimSite::announce(std::uint32_t node, bool again) {
  auto& it = nodes_[node];
  bool hurry = false;
  for (std::size_t i = 0; i < trackers_.size(); ++i) {
    const bool concerned =
        std::find(order_.begin(), order_.begin() + std::min<std::ptrdiff_t>(kToldTo, std::ssize(order_)), i) !=
        order_.begin() + std::min<std::ptrdiff_t>(kToldTo, std::ssize(order_));
    p2p::Announce message;
    message.node = info(node);
    message.seen = it.seen[i];
    if (concerned && it.fetches && !it.whole) message.fetching.push_back(digest_);
    if (concerned && it.whole && !it.told) message.have.push_back(digest_);
    ++announces_;
    const auto answer = trackers_[i]->announce(message, steady());
    if (!answer.ok()) continue;
    hurry = hurry || (answer->members.size() >= p2p::kMaxMembers && answer->version != it.seen[i]);
    it.seen[i] = answer->version;
  }
  it.told = it.told || it.whole;
  if (hurry) events_.add(now_ + kHurry, kAnnounce, node, 0, 1);
  if (!again) events_.add(now_ + kAnnounceEvery, kAnnounce, node);
  if (node == options_.seeds && !again) {
    for (auto& tracker : trackers_) tracker->sweep(steady());
  }
}

void SimSite::complete(std::uint32_t node) {
  auto& it = nodes_[node];
  it.whole = true;
  auto& times = times_[node - options_.seeds];
  times.complete = now_;
  --left_;
  for (const auto& author : it.authors) std::erase(nodes_[author.node].followers, node);
  events_.add(now_ + std::clamp(now_ - times.came, kLeastLinger, kMostLinger), kLeave, node);
}

double SimSite::seeds_sent() const {
  double sent = 0;
  for (std::uint32_t i = 0; i < nodes_.size(); ++i) {
    if (i < options_.seeds || nodes_[i].fetches) sent += swarm_.sent(i);
  }
  return sent;
}

double SimSite::herd_up() const {
  double up = 0;
  for (std::uint32_t i = options_.seeds; i < nodes_.size(); ++i) up += swarm_.up(i);
  return up;
}

double SimSite::connections() const {
  std::vector<std::uint32_t> all;
  for (std::uint32_t i = options_.seeds; i < nodes_.size(); ++i) all.push_back(swarm_.connections(i));
  std::nth_element(all.begin(), all.begin() + std::ssize(all) / 2, all.end());
  return all[all.size() / 2];
}

double SimSite::seed_connections() const {
  double most = 0;
  for (std::uint32_t i = 0; i < nodes_.size(); ++i) {
    if (i < options_.seeds || nodes_[i].fetches) most = std::max<double>(most, swarm_.connections(i));
  }
  return most;
}

}  // namespace shoal::sim
