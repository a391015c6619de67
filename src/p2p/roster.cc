#include "roster.h"

#include <algorithm>

#include "call.h"
#include "holdings.h"
#include "rendezvous.h"
#include "shoal/obs/log.h"
#include "wire.h"

namespace shoal::p2p {
namespace {

constexpr std::chrono::seconds kResolveEvery{5};
constexpr std::chrono::milliseconds kRetellPace{50};
constexpr std::size_t kToldTo = 2;  // trackers that know of a blob
constexpr std::size_t kMaxNews = 1'000'000;
constexpr std::size_t kMaxNewsOfSilent = 10'000;  // of a tracker that may be gone for good

}  // namespace

struct Roster::Link {
  std::string url;
  std::string id;  // "" until it answered
  bool configured = true;
  bool tried = false;
  bool alive = false;
  std::string last_error;
  std::uint64_t seen = 0;
  std::map<std::string, NodeInfo> members;  // by id, as this tracker told
  fetch::Transfer call;
  bool busy = false;
  std::deque<base::Digest> have, gone;                   // to be told
  std::vector<base::Digest> telling_have, telling_gone;  // in the announce that is under way
  std::set<base::Digest> leases;                         // that it was told of
  bool retelling = false;
  Holdings retold;
  base::Timer hurry;
};

Roster::Roster(Site::Core& core, base::Loop& home, fetch::Client& client) : core_(core), home_(home), client_(client) {}
Roster::~Roster() = default;

void Roster::start() {
  resolve();
  tick();
}

void Roster::tick() {
  if (stopping_) return;
  const auto now = home_.now();
  core_.tracker.sweep(now);
  const auto totals = core_.tracker.totals();
  core_.probe.tracked(totals.blobs, totals.leases);
  if (now >= resolve_at_) resolve();
  sort_news();
  for (auto& [url, link] : links_) announce(*link, /*leaving=*/false);
  timer_ = home_.schedule(core_.options.announce_every, [this] { tick(); });
}

void Roster::resolve() {
  if (std::exchange(resolving_, true)) return;
  resolve_at_ = home_.now() + kResolveEvery;
  core_.pool.post([watch = life_.watch(), this, entries = core_.options.trackers,
                   scheme = core_.options.certificates() ? "https://" : "http://", &home = home_] {
    home.post([watch, this, urls = resolve_trackers(entries, scheme)]() mutable {
      if (!watch.gone()) resolved(std::move(urls));
    });
  });
}

void Roster::resolved(std::vector<std::string> urls) {
  resolving_ = false;
  if (stopping_) return;
  for (const auto& url : learned_) urls.push_back(url);
  for (const auto& url : urls) {
    if (links_.contains(url) || links_.size() >= kMaxTrackers) continue;
    auto& link = links_[url];
    link = std::make_unique<Link>();
    link->url = url;
    announce(*link, /*leaving=*/false);
  }
  std::erase_if(links_,
                [&](const auto& entry) { return std::find(urls.begin(), urls.end(), entry.first) == urls.end(); });
  publish();
}

// What happened since the last tick, to the trackers it concerns.
void Roster::sort_news() {
  auto news = core_.take_outbox();
  if (news.have.empty() && news.gone.empty()) return;
  tell_own_tracker(news);
  for (auto& [url, link] : links_) {
    const auto most = link->alive ? kMaxNews : kMaxNewsOfSilent;
    const auto sort = [&, &to = *link](const std::vector<Site::Core::News>& from, std::deque<base::Digest>& list) {
      for (const auto& [digest, asked] : from) {
        const bool was_asked = std::find(asked.begin(), asked.end(), to.id) != asked.end();
        if ((was_asked || is_of(to, digest)) && list.size() < most) list.push_back(digest);
      }
    };
    sort(news.have, link->have);
    sort(news.gone, link->gone);
  }
}

// Asked while no other tracker answered, it knows of wishes that no link will take back: this node never falls silent
// there.
void Roster::tell_own_tracker(const Site::Core::Outbox& news) {
  Announce message;
  message.node = core_.self();
  const bool linked =
      std::any_of(links_.begin(), links_.end(), [&](const auto& entry) { return entry.second->id == message.node.id; });
  if (linked) return;
  const auto tell = [&](const std::vector<Site::Core::News>& all, std::vector<base::Digest>& list) {
    for (const auto& [digest, asked] : all) {
      list.push_back(digest);
      if (list.size() < kMaxDigests && &digest != &all.back().digest) continue;
      (void)core_.tracker.announce(message, core_.clock.steady_now());  // it is ours: there is nobody to tell
      list.clear();
    }
  };
  tell(news.gone, message.gone);
  tell(news.have, message.have);
}

// A tracker that does not answer may be asked again by others before it is by us: it is told, too.
bool Roster::is_of(const Link& link, const base::Digest& digest) const {
  // It asks for everything if it has forgotten us. But that takes it a while, and what is not told until then never is.
  if (!link.alive) return !link.id.empty();
  if (alive_ids_.size() <= kToldTo) return true;
  for (const auto index : ranked(alive_ids_, digest, kToldTo)) {
    if (alive_ids_[index] == link.id) return true;
  }
  return false;
}

// The second one's memory of a lease is for the time when the first is gone; until then it may be an old one.
bool Roster::decides(const Link& link, const base::Digest& digest) const {
  const auto first = ranked(alive_ids_, digest, 1);
  return first.empty() || alive_ids_[first.front()] == link.id;
}

// Leases that are over, of digests that other trackers own by now: those hear what became of them, this one would not.
void Roster::take_back_leases(Link& link) {
  if (link.leases.empty()) return;
  const auto held = core_.leases();
  for (auto it = link.leases.begin(); it != link.leases.end();) {
    if (held.contains(*it)) {
      ++it;
      continue;
    }
    if (!is_of(link, *it)) link.gone.push_back(*it);
    it = link.leases.erase(it);
  }
}

void Roster::announce(Link& link, bool leaving) {
  if (link.busy && !leaving) return;
  Announce message;
  message.node = core_.self();
  message.seen = link.seen;
  message.leaving = leaving;
  if (!leaving) {
    for (const auto& digest : core_.leases_in_use(core_.clock.steady_now())) {
      const bool its = link.alive && is_of(link, digest);
      if (message.fetching.size() < kMaxDigests / 2 && its) message.fetching.push_back(digest);
    }
    take_back_leases(link);
    link.leases.insert(message.fetching.begin(), message.fetching.end());
    auto room = kMaxDigests - message.fetching.size();
    const auto take = [&room](std::deque<base::Digest>& from, std::vector<base::Digest>& to) {
      while (room > 0 && !from.empty()) {
        to.push_back(from.front());
        from.pop_front();
        --room;
      }
    };
    take(link.gone, message.gone);
    take(link.have, message.have);
    link.telling_have = message.have;
    link.telling_gone = message.gone;
  }
  link.busy = true;
  link.call =
      call(core_, client_, "POST", link.url, std::string(kAnnouncePath), to_json(message), kMaxAnswer, Covers::body,
           [this, url = link.url](base::Result<fetch::Client::Reply> reply) { answered(url, std::move(reply)); });
}

void Roster::answered(const std::string& url, base::Result<fetch::Client::Reply> reply) {
  if (stopping_) {
    if (--goodbyes_ == 0 && left_) std::exchange(left_, nullptr)();
    return;
  }
  const auto it = links_.find(url);
  if (it == links_.end()) return;
  auto& link = *it->second;
  link.busy = false;
  link.tried = true;
  if (!reply.ok()) return failed(link, reply.error());
  auto answer = parse_announce_answer(reply->body);
  if (!answer.ok()) return failed(link, answer.error().at("announce", url));
  heard(link, std::move(*answer));
}

void Roster::failed(Link& link, const base::Error& error) {
  core_.probe.tracker_failed("announce");
  if (link.alive || link.last_error.empty()) {
    obs::warn(obs::Category::p2p, "tracker {} does not answer: {}", link.url, error.message());
  }
  link.last_error = error.message();
  link.alive = false;
  for (auto it = link.telling_have.rbegin(); it != link.telling_have.rend(); ++it) link.have.push_front(*it);
  for (auto it = link.telling_gone.rbegin(); it != link.telling_gone.rend(); ++it) link.gone.push_front(*it);
  link.telling_have.clear();
  link.telling_gone.clear();
  publish();
}

void Roster::heard(Link& link, AnnounceAnswer answer) {
  if (!link.alive && !link.last_error.empty()) obs::info(obs::Category::p2p, "tracker {} answers again", link.url);
  link.alive = true;
  link.last_error.clear();
  link.id = answer.id;
  link.telling_have.clear();
  link.telling_gone.clear();
  if (answer.know_nothing_of_you) link.members.clear();  // its list begins anew
  for (const auto& member : answer.members) {
    if (member.left) {
      link.members.erase(member.node.id);
    } else if (core_.reachable(member.node.url) && link.members.size() < core_.options.tracker.max_nodes) {
      link.members[member.node.id] = member.node;
    }
  }
  const bool more = answer.members.size() >= kMaxMembers && answer.version != link.seen;
  link.seen = answer.version;
  for (const auto& url : answer.trackers) learn(url);
  publish();
  for (const auto& digest : answer.lost) {
    if (decides(link, digest)) core_.lease_lost(digest);
  }
  if (answer.know_nothing_of_you) tell_all_again(link);
  if (more || !link.have.empty()) hurry(link);
}

void Roster::hurry(Link& link) {
  link.hurry = home_.schedule(kRetellPace, [this, url = link.url] {
    const auto it = links_.find(url);
    if (it != links_.end() && !stopping_) announce(*it->second, /*leaving=*/false);
  });
}

void Roster::learn(const std::string& url) {
  if (links_.contains(url) || learned_.size() >= kMaxTrackers) return;
  if (!core_.reachable(url) || !check(NodeInfo{std::string(32, '0'), url, "", 0}).ok()) return;
  learned_.insert(url);
  resolve_at_ = {};  // with the next tick
}

void Roster::tell_all_again(Link& link) {
  if (std::exchange(link.retelling, true)) return;
  link.retold = {};
  retold(link.url, {}, /*more=*/true);
}

void Roster::retold(const std::string& url, std::vector<base::Digest> held, bool more) {
  const auto it = links_.find(url);
  if (it == links_.end() || stopping_) return;
  auto& link = *it->second;
  for (const auto& digest : held) {
    if (is_of(link, digest) && link.have.size() < kMaxNews) link.have.push_back(digest);
  }
  if (!more) {
    link.retelling = false;
    if (!link.have.empty()) hurry(link);  // a tracker that has just started is asked before the next tick
    return;
  }
  core_.pool.post(
      [watch = life_.watch(), this, url, holdings = link.retold, &store = core_.store, &home = home_]() mutable {
        auto page = holdings.next(store, kMaxDigests);
        home.post([watch, this, url, page = std::move(page), holdings = std::move(holdings)]() mutable {
          if (watch.gone()) return;
          const bool further = !holdings.done();
          if (const auto found = links_.find(url); found != links_.end()) found->second->retold = std::move(holdings);
          retold(url, std::move(page), further);
        });
      });
}

void Roster::publish() {
  auto view = std::make_shared<View>();
  view->settled = !resolving_ || !links_.empty();
  alive_ids_.clear();
  std::vector<SiteStatus::TrackerState> states;
  for (const auto& [url, link] : links_) {
    view->settled = view->settled && link->tried;
    states.push_back({url, link->alive, link->last_error});
    // Two URLs may lead to one tracker.
    if (!link->alive || std::find(view->ids.begin(), view->ids.end(), link->id) != view->ids.end()) continue;
    view->ids.push_back(link->id);
    view->urls.push_back(url);
  }
  alive_ids_ = view->ids;
  core_.probe.trackers(alive_ids_.size());
  std::map<std::string, NodeInfo> all;
  for (const auto& [url, link] : links_) all.insert(link->members.begin(), link->members.end());
  all.erase(core_.self().id);
  for (auto& [id, node] : all) view->peers.push_back(std::move(node));
  core_.probe.peers(view->peers.size());
  view->deserted = view->ids.empty() && view->peers.empty() && !links_.empty();
  if (view->ids.empty()) {  // the members among themselves; each has a tracker
    const auto self = core_.self();
    view->ids.push_back(self.id);
    view->urls.push_back(self.url);
    for (const auto& node : view->peers) {
      view->ids.push_back(node.id);
      view->urls.push_back(node.url);
    }
  }
  core_.set_view(std::move(view));
  const std::lock_guard lock(core_.mutex);
  core_.tracker_states_ = std::move(states);
}

void Roster::stop(base::UniqueFunction<void()> left) {
  stopping_ = true;
  timer_.cancel();
  left_ = std::move(left);
  for (auto& [url, link] : links_) {
    link->call.cancel();
    link->hurry.cancel();
    if (!link->alive) continue;
    ++goodbyes_;
    announce(*link, /*leaving=*/true);
  }
  if (goodbyes_ == 0) {
    home_.post([watch = life_.watch(), this] {
      if (!watch.gone() && left_) std::exchange(left_, nullptr)();
    });
    return;
  }
  left_timer_ = home_.schedule(core_.options.call_timeout, [this] {
    if (left_) std::exchange(left_, nullptr)();
  });
}

}  // namespace shoal::p2p
