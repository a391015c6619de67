#include "simulation.h"

#include <algorithm>

namespace shoal::sim {
namespace {

// From the end of all trouble, or the last client's start, until everybody is served.
constexpr Millis kProgress{45'000};
// Until stored blobs leave the swarm (they linger as long as they took); then until trackers forget.
constexpr Millis kQuiet{60'000};
constexpr Millis kForgets{10'000};

}  // namespace

Simulation::Simulation(std::uint64_t seed, bool verbose) : seed_(seed), world_(seed, verbose) {
  choose_mood();
  plan_site();
  net_ = std::make_unique<Net>(world_, plan_.nodes);
  wire_ = std::make_unique<Wire>(world_, *net_);
  pieces_ = std::make_unique<Pieces>(world_, *net_);
  upstream_ = std::make_unique<Upstream>(world_, plan_.nodes);
  upstream_->rate = 150'000 + world_.pick(600'000);
  for (int i = 0; i < plan_.nodes; ++i) {
    auto& host = net_->host(i);
    host.upload = host.download = 2'000'000 + world_.pick(10'000'000);
    nodes_.push_back(std::make_unique<Node>(world_, *net_, *wire_, *upstream_, plan_, i));
    node_starts_.push_back(Millis(world_.pick(500)));
  }
  images_.push_back(
      make_image(world_, *upstream_, "v1",
                 {1'000 + world_.pick(2'000), 20'000 + world_.pick(40'000), 200'000 + world_.pick(600'000)}));
  if (world_.chance(30)) {
    images_.push_back(make_image(world_, *upstream_, "v2", {1'500, 140'000 + world_.pick(300'000)}));
  }
  for (const auto& image : images_) {
    for (const auto& digest : image.blobs) blobs_.insert(digest.to_string());
  }
  plan_trouble();
  plan_clients();
}

Simulation::~Simulation() {
  for (auto& client : clients_) client->node_gone();
  for (auto& node : nodes_) {
    if (node->up()) node->kill();
  }
  world_.clear();
  clients_.clear();
  nodes_.clear();
}

bool Simulation::all_served() const {
  return std::all_of(clients_.begin(), clients_.end(),
                     [](const auto& c) { return c->done() || c->left() || !c->node().up(); });
}

Report Simulation::run() {
  for (int i = 0; i < plan_.nodes; ++i) {
    at(node_starts_[static_cast<std::size_t>(i)], [this, i] { start(i); });
  }
  const auto settle = mood_ == Mood::outage ? Millis(28'000) : kTroubleEnds;
  while (world_.since_start() < settle) step();
  while (!all_served() && world_.since_start() < settle + kProgress) step();
  world_.tell("everybody is served, or should be");
  check_clients();
  const auto quiet = world_.since_start() + kQuiet;
  while (world_.since_start() < quiet && pieces_->torrents() > 0) step();
  world_.run_until(world_.now() + kForgets);
  check_rest();
  Report report;
  report.seed = seed_;
  report.what = what_;
  report.gets = upstream_->gets.size();
  report.calls = wire_->counts.calls;
  report.pieces = pieces_->sent;
  report.events = world_.events_run();
  for (const auto& client : clients_) {
    report.errors += client->errors();
    if (client->done()) {
      report.last_client =
          std::max(report.last_client,
                   std::chrono::duration_cast<Millis>(client->done_at() - world_.now() + world_.since_start()));
    }
  }
  for (auto& client : clients_) client->node_gone();
  for (auto& node : nodes_) {
    if (node->up()) node->kill();
    report.fall_backs += node->fall_backs;
  }
  check_upstream();
  report.violations = world_.violations();
  return report;
}

Report simulate(std::uint64_t seed, bool verbose) {
  Simulation simulation(seed, verbose);
  return simulation.run();
}

}  // namespace shoal::sim
