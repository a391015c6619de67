// Core: what the parts of a Site share, on any thread: options, tracker, seal, the present view of the site, and what
// is to be told to trackers with the next announce.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "clients_first.h"
#include "p2p_probe.h"
#include "seal.h"
#include "shoal/base/pacer.h"
#include "shoal/p2p/site.h"

namespace shoal::p2p {

// Who can be asked about digests, as of now. A value; replaced, never changed.
struct View {
  bool settled = false;           // every tracker was tried once since the start
  std::vector<std::string> ids;   // candidates: the trackers that answer; if none does, all members and ourselves
  std::vector<std::string> urls;  // of the same
  std::vector<NodeInfo> peers;    // all others, ours aside
  bool deserted = false;          // no tracker answers, and no other node is known: we can ask nobody but ourselves
};

class Roster;
class SwarmDesk;
class DeskDoor;

struct Site::Core {
  Core(SiteOptions o, const std::string& id, store::Store& s, base::Executor& p, base::Clock& c, obs::Metrics& m,
       std::unique_ptr<Seal> sl);
  ~Core();

  const SiteOptions options;
  store::Store& store;
  base::Executor& pool;
  base::Clock& clock;
  P2pProbe probe;
  const std::unique_ptr<Seal> seal;
  Tracker tracker;

  // --- any thread ---
  [[nodiscard]] bool reachable(std::string_view url) const {
    return !options.certificates() || url.starts_with("https://");
  }
  [[nodiscard]] NodeInfo self() const;
  void set_self_url(std::string url);
  void set_swarm_port(std::uint16_t port);
  [[nodiscard]] std::shared_ptr<const View> view() const;
  void set_view(std::shared_ptr<const View> view);
  // A candidate that did not answer: not asked again until the roster has heard of it.
  void mark_dead(const std::string& id);
  // `asked`: ids of the trackers that were asked about it. They remember the question, whoever owns the digest by now.
  void note_have(const base::Digest& digest, std::vector<std::string> asked = {});
  void note_gone(const base::Digest& digest, std::vector<std::string> asked = {});

  // Leases this node holds. `lost` is called on any thread, at most once per registration round.
  struct Lease {
    base::Digest digest;
    base::SteadyTime progress;
    std::function<void()> lost;
  };
  [[nodiscard]] std::uint64_t hold_lease(const base::Digest& digest, std::function<void()> lost);
  void renew_lease(std::uint64_t id);
  void drop_lease(std::uint64_t id);
  [[nodiscard]] std::vector<base::Digest> leases_in_use(base::SteadyTime now) const;
  [[nodiscard]] std::set<base::Digest> leases() const;  // in use or not
  void lease_lost(const base::Digest& digest);

  // By the clock on the wall, looked up once a second; of the upload what clients leave.
  [[nodiscard]] Rates rates() const;
  void set_rates(RatePlan plan);
  void set_bans(std::vector<BannedNode> bans);
  base::Pacer uploads;  // of what neighbours take over HTTP

  struct News {
    base::Digest digest;
    std::vector<std::string> asked;
  };
  struct Outbox {
    std::vector<News> have;
    std::vector<News> gone;
  };
  [[nodiscard]] Outbox take_outbox();

  std::unique_ptr<Roster> roster;        // home loop
  std::unique_ptr<SwarmDesk> desk;       // home loop; null: no swarm
  const std::shared_ptr<DeskDoor> door;  // to it, from any thread; shared with what may outlive the site
  // What this node's tracker advises. Just started, it knows nothing of leases that others hold, and asks for patience
  // until they have told it.
  [[nodiscard]] base::Result<Advice> advise(const NodeInfo& node, const Want& want);
  std::atomic<base::SteadyTime::rep> knows_from{0};  // set by Site::start

  std::string swarm_secret;  // until the swarm has it

  mutable std::mutex mutex;
  NodeInfo self_;                          // under the mutex, as all below
  std::shared_ptr<const View> view_;       // shared with readers
  std::map<std::uint64_t, Lease> leases_;  // by registration
  std::uint64_t next_lease_ = 1;
  Outbox outbox_;
  RatePlan rate_plan_;
  mutable Rates rates_;
  mutable base::SteadyTime rates_until_{};
  mutable ClientsFirst clients_first_;
  std::function<std::uint64_t()> clients_took_;  // set before the site starts
  std::vector<SiteStatus::TrackerState> tracker_states_;
  std::vector<BannedNode> bans_;
};

}  // namespace shoal::p2p
