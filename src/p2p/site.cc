#include "shoal/p2p/site.h"

#include "core.h"
#include "loop_neighbours.h"
#include "roster.h"
#include "shoal/obs/log.h"
#include "swarm_desk.h"
#include "wire.h"

namespace shoal::p2p {

Site::Site(std::unique_ptr<Core> core) : core_(std::move(core)) {}
Site::~Site() = default;

base::Result<std::unique_ptr<Site>> Site::make(SiteOptions options, const std::string& id, store::Store& store,
                                               base::Executor& pool, base::Clock& clock, obs::Metrics& metrics) {
  auto seal = Seal::make(options.secret);
  if (!seal.ok()) return seal.error();
  auto secret = std::exchange(options.secret, {});
  options.neighbours.stall = options.stall_timeout;
  options.neighbours.recheck = options.lease_patience + options.tracker.lease + options.announce_every;
  auto core = std::make_unique<Core>(std::move(options), id, store, pool, clock, metrics, std::move(*seal));
  core->swarm_secret = std::move(secret);
  return std::unique_ptr<Site>(new Site(std::move(core)));
}

std::unique_ptr<Neighbours> Site::neighbours(base::Loop& loop, fetch::Client& client) {
  return std::make_unique<LoopNeighbours>(*core_, loop, client);
}

void Site::start(base::Loop& home, fetch::Client& client, fetch::Client& streams, std::string url) {
  if (core_->options.url.empty()) core_->set_self_url(std::move(url));
  const auto self = core_->self();
  // The tracker was made before the address was known, and this node need not be among its own trackers.
  Announce here;
  here.node = self;
  (void)core_->tracker.announce(here, core_->clock.steady_now());
  obs::info(obs::Category::p2p, "node {} of the site: {}{}{}, {} trackers configured", self.id.substr(0, 8), self.url,
            self.zone.empty() ? "" : ", zone ", self.zone, core_->options.trackers.size());
  const auto told = core_->clock.steady_now() + core_->options.announce_every + core_->options.announce_every / 2;
  core_->knows_from.store(told.time_since_epoch().count());
  core_->roster = std::make_unique<Roster>(*core_, home, client);
  home.post([this, &home, &streams] {
    if (core_->options.swarm.enabled) open_swarm(home, streams);
    core_->roster->start();
  });
}

void Site::open_swarm(base::Loop& home, fetch::Client& streams) {
  core_->desk = std::make_unique<SwarmDesk>(*core_, home, streams);
  core_->door->open(home, *core_->desk);
  core_->desk->start([this](const base::Result<std::uint16_t>& port) {
    if (port.ok()) {
      core_->set_swarm_port(*port);
      obs::info(obs::Category::p2p, "the swarm listens on {} port {}", core_->options.swarm.listen, *port);
      return;
    }
    obs::error(obs::Category::p2p, "no swarm, blobs come over HTTP: {}", port.error().message());
    core_->door->close();
  });
  core_->swarm_secret.clear();
}

void Site::stop(base::UniqueFunction<void()> stopped) {
  if (core_->roster == nullptr) return stopped();
  core_->roster->home().post([this, stopped = std::move(stopped)]() mutable {
    core_->roster->stop([this, stopped = std::move(stopped)]() mutable {
      // Not inside its own call.
      core_->roster->home().post([this, stopped = std::move(stopped)]() mutable { stop_swarm(std::move(stopped)); });
    });
  });
}

void Site::stop_swarm(base::UniqueFunction<void()> stopped) {
  core_->door->close();
  auto end = [this, stopped = std::move(stopped)]() mutable {
    core_->desk.reset();
    core_->roster.reset();
    stopped();
  };
  if (core_->desk == nullptr) return end();
  core_->desk->stop(std::move(end));
}

void Site::swarms(base::UniqueFunction<void(std::vector<SwarmStatus>)> done) const {
  if (!core_->door->is_open()) return done({});
  core_->door->post(core_->door, [done = std::move(done)](SwarmDesk& desk) mutable { done(desk.status()); });
}

void Site::watch_clients(std::function<std::uint64_t()> taken) { core_->clients_took_ = std::move(taken); }

void Site::set_rates(RatePlan rates) { core_->set_rates(std::move(rates)); }

SiteStatus Site::status() const {
  SiteStatus status;
  status.self = core_->self();
  status.peers = core_->view()->peers;
  status.totals = core_->tracker.totals();
  const std::lock_guard lock(core_->mutex);
  status.trackers = core_->tracker_states_;
  status.banned = core_->bans_;
  return status;
}

}  // namespace shoal::p2p
