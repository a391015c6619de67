#include "node.h"

#include <cstdlib>

#include "core.h"
#include "roster.h"
#include "shelf.h"
#include "shoal/net/event_loop.h"
#include "swarm_desk.h"

namespace shoal::sim {
namespace {

// The client wants one and does not look at it.
net::EventLoop& no_loop() {
  static net::EventLoop loop(0);
  return loop;
}

struct Nothing final : http::Handler {
  std::unique_ptr<http::Operation> handle(const http::Request&, http::Responder responder) override {
    http::Response response;
    response.status = 404;
    responder.send(std::move(response));
    return nullptr;
  }
};

p2p::SiteOptions options_of(const SitePlan& plan, int index, bool swarm) {
  p2p::SiteOptions options;
  options.enabled = true;
  options.url = Net::url_of(index);
  if (static_cast<std::size_t>(index) < plan.zones.size()) options.zone = plan.zones[static_cast<std::size_t>(index)];
  for (int i = 0; i < plan.trackers; ++i) options.trackers.push_back(Net::url_of(i));
  options.secret = kSecret;
  options.allow = {*p2p::Network::parse("10.0.0.0/8")};
  options.neighbours.trust_domain = plan.trust_domain;
  options.swarm.enabled = swarm;
  options.swarm.listen = Net::ip_of(index);
  options.swarm.min_size = 128 * 1024;
  return options;
}

}  // namespace

struct Node::Running {
  obs::Metrics metrics;
  fetch::Client client, streams;
  SimUpstreams upstreams;
  std::unique_ptr<p2p::Site> site;
  std::unique_ptr<p2p::Neighbours> neighbours;
  std::unique_ptr<mirror::Mirror> mirror;
  std::unique_ptr<app::MirrorShelf> shelf;
  Nothing nothing;
  std::unique_ptr<p2p::PeerHandler> handler;
  std::unique_ptr<Shim> shim;
  std::shared_ptr<Life> life = std::make_shared<Life>();  // shared with what is on the wire

  Running(int index, Upstream& upstream)
      : client(no_loop(), Wire::options_of(index)),
        streams(no_loop(), Wire::options_of(index)),
        upstreams(upstream, index) {}
};

Node::Node(World& world, Net& net, Wire& wire, Upstream& upstream, const SitePlan& plan, int index)
    : clock(world),
      disk(world, index),
      loop(world, index),
      store(disk, clock),
      world_(world),
      net_(net),
      wire_(wire),
      upstream_(upstream),
      plan_(plan),
      index_(index) {}

Node::~Node() {
  if (running_) kill();
}

mirror::Mirror& Node::mirror() { return *running_->mirror; }
p2p::Site& Node::site() { return *running_->site; }
double Node::metric(const std::string& name, const obs::Labels& labels) {
  return static_cast<double>(running_->metrics.counter(name, "", labels).value());
}

void Node::start() {
  world_.tell("node {} starts", index_);
  began_ = world_.now();
  leaving_ = false;
  upstream_.gets_of_life[index_] = 0;
  world_.fall_backs[index_].clear();
  running_ = std::make_unique<Running>(index_, upstream_);
  auto& r = *running_;
  const std::string id(32, static_cast<char>("0123456789abcdef"[index_ % 16]));
  r.site = std::move(*p2p::Site::make(options_of(plan_, index_, swarm), id, store, disk, clock, r.metrics));
  r.neighbours = r.site->neighbours(loop, r.client);
  r.mirror =
      std::make_unique<mirror::Mirror>(store, disk, clock, r.metrics, mirror::MirrorOptions{},
                                       std::vector<mirror::Mirror::LoopParts>{{loop, r.upstreams, r.neighbours.get()}});
  r.shelf = std::make_unique<app::MirrorShelf>(loop, *r.mirror, store, clock);
  r.handler = std::make_unique<p2p::PeerHandler>(*r.site, loop, *r.shelf, r.nothing);
  r.shim = std::make_unique<Shim>(*r.handler, ways, kSecret, clock);
  r.life->node = index_;
  r.life->handler = r.shim.get();
  net_.host(index_).life = r.life;
  net_.note_trouble(index_);
  r.site->start(loop, r.client, r.streams, Net::url_of(index_));
}

void Node::kill() {
  world_.tell("node {} is killed", index_);
  end();
}

void Node::leave(base::UniqueFunction<void()> gone) {
  world_.tell("node {} leaves", index_);
  leaving_ = true;
  running_->site->stop([this, gone = std::move(gone)]() mutable {
    // Not inside its own call.
    world_.schedule(world_.now(), kNobody, World::Kind::timer, [this, gone = std::move(gone)]() mutable {
      if (!running_ || !leaving_) return;
      end();
      gone();
    });
  });
}

// Whatever it was doing. Its store keeps what a killed process leaves behind.
void Node::end() {
  auto& r = *running_;
  r.life->alive = false;
  net_.host(index_).life = nullptr;
  net_.note_trouble(index_);
  wire_.sever(index_);
  check_turns();
  bool stopped = false;
  r.mirror->stop([&stopped] { stopped = true; });
  world_.drain(index_);
  if (!stopped) std::abort();  // the product's promise: stop() ends without timers
  r.shim.reset();
  r.handler.reset();
  r.shelf.reset();
  r.mirror.reset();
  auto& core = r.site->core();
  core.door->close();
  core.desk.reset();
  core.roster.reset();
  r.neighbours.reset();
  r.site.reset();
  world_.drain(index_);
  running_.reset();
  world_.drain(index_);
}

void Node::check_turns() {
  const auto fetcher = metric("shoal_site_turns_total", {{"role", "fetcher"}});
  const auto alone = metric("shoal_site_turns_total", {{"role", "fall-back"}});
  const auto asked = static_cast<double>(upstream_.gets_of_life[index_]);
  if (fetcher + alone != asked) {
    world_.violation("node {} asked upstream {} times, and counted {} turns as fetcher and {} fall-backs", index_,
                     asked, fetcher, alone);
  }
  const auto& reasons = world_.fall_backs[index_];
  if (static_cast<double>(reasons.size()) != alone) {
    world_.violation("node {} counted {} fall-backs and gave {} reasons", index_, alone, reasons.size());
  }
  for (const auto& reason : reasons) {
    if (reason.size() < 5) world_.violation("node {} fell back without a reason: '{}'", index_, reason);
  }
  fall_backs += reasons.size();
  deserted += static_cast<std::size_t>(metric("shoal_p2p_advice_total", {{"advice", "alone"}}));
  world_.fall_backs[index_].clear();
}

void Node::check_leases(const std::set<std::string>& blobs) {
  if (leaving_) return;
  auto& core = running_->site->core();
  std::size_t held = 0;
  {
    const std::lock_guard lock(core.mutex);
    for (const auto& [id, lease] : core.leases_) held += blobs.contains(lease.digest.to_string()) ? 1 : 0;
  }
  const auto fills = running_->metrics.gauge("shoal_fills_running", "").value();
  if (static_cast<double>(held) > fills) {
    world_.violation("node {} holds {} leases, and {} fills are running", index_, held, fills);
  }
}

void Node::check_quiet() {
  auto& core = running_->site->core();
  {
    const std::lock_guard lock(core.mutex);
    for (const auto& [id, lease] : core.leases_) {
      world_.violation("node {} holds a lease of {} for nothing", index_, lease.digest.to_string());
    }
  }
  const auto totals = core.tracker.totals();
  if (totals.leases > 0 || totals.interests > 0) {
    world_.violation("the tracker of node {} remembers {} leases and {} interests of nobody", index_, totals.leases,
                     totals.interests);
  }
  if (store.fills_running() > 0) world_.violation("node {} has {} fills running", index_, store.fills_running());
  running_->site->swarms([this](const std::vector<p2p::SwarmStatus>& swarms) {
    for (const auto& status : swarms) {
      world_.violation("node {} still shares {} as {} for {} followers", index_, status.digest, status.role,
                       status.followers);
    }
  });
}

}  // namespace shoal::sim
