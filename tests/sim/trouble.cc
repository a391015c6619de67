// What goes wrong in a seed: chosen here, scheduled, and undone by kTroubleEnds.
#include <algorithm>

#include "simulation.h"

namespace shoal::sim {
// By seed modulo 16: how much trouble.
void Simulation::choose_mood() {
  switch (seed_ % 16) {
    case 0:
    case 8: mood_ = Mood::none; break;
    case 1:
    case 5:
    case 9: mood_ = Mood::deaths; break;
    case 2:
    case 10: mood_ = Mood::outage; break;
    default: mood_ = Mood::anything;
  }
}

void Simulation::plan_site() {
  plan_.nodes = 3 + static_cast<int>(world_.pick(5));
  plan_.trackers = 1 + static_cast<int>(world_.pick(3));
  plan_.trust_domain = mood_ == Mood::outage || world_.chance(50);
  if (world_.chance(25)) {
    for (int i = 0; i < plan_.nodes; ++i) plan_.zones.push_back(i % 2 == 0 ? "east" : "west");
  }
  say(base::format("{} nodes, {} trackers{}{}", plan_.nodes, plan_.trackers,
                   plan_.trust_domain ? ", one trust domain" : "", plan_.zones.empty() ? "" : ", two zones"));
}

void Simulation::at(Millis when, base::UniqueFunction<void()> run) {
  world_.schedule(world_.now() - world_.since_start() + when, kNobody, World::Kind::timer, std::move(run));
}

Millis Simulation::some_time(int from_ms, int to_ms) {
  return Millis(from_ms + static_cast<int>(world_.pick(static_cast<std::uint64_t>(to_ms - from_ms))));
}

void Simulation::plan_clients() {
  const bool herd = world_.chance(60);
  const auto first = some_time(3'000, 5'000);
  for (int i = 0; i < plan_.nodes; ++i) {
    if (without_client_.contains(i)) continue;
    const auto count = world_.chance(80) ? 1 : world_.pick(3);
    for (std::uint64_t c = 0; c < count; ++c) {
      const auto& image = images_[world_.pick(images_.size())];
      auto start = herd ? first : some_time(3'000, 9'000);
      if (mood_ == Mood::outage) start = i == 0 ? Millis(3'000) : some_time(24'000, 27'000);
      const auto number = static_cast<int>(clients_.size());
      clients_.push_back(
          std::make_unique<Client>(world_, *upstream_, *nodes_[static_cast<std::size_t>(i)], image, number));
      clients_.back()->wrong_bytes_possible = wrong_bytes_;
      at(start, [this, number] { clients_[static_cast<std::size_t>(number)]->begin(); });
    }
  }
  if (mood_ == Mood::outage) {  // node 0 gets all there is, and then upstream is away
    for (const auto& image : images_) {
      const auto number = static_cast<int>(clients_.size());
      clients_.push_back(std::make_unique<Client>(world_, *upstream_, *nodes_[0], image, number));
      at(Millis(3'000), [this, number] { clients_[static_cast<std::size_t>(number)]->begin(); });
    }
    at(Millis(23'000), [this] {
      if (!std::all_of(clients_.begin(), clients_.end(),
                       [](const auto& c) { return c->node().index() != 0 || c->done(); })) {
        return world_.violation("node 0 has not got everything in 20 s");
      }
      world_.tell("upstream goes down");
      for (int i = 0; i < plan_.nodes; ++i) upstream_->set_path(i, Upstream::Path::refused);
    });
  }
  if ((mood_ == Mood::deaths || mood_ == Mood::anything) && world_.chance(15)) {
    say("a client leaves");
    const auto number = world_.pick(std::max<std::size_t>(clients_.size(), 1));
    at(some_time(4'000, 9'000), [this, number] {
      if (number < clients_.size()) clients_[number]->leave();
    });
  }
}

void Simulation::kill(int node, bool comes_back) {
  if (!nodes_[static_cast<std::size_t>(node)]->up()) return;
  ++deaths_;
  tracker_gone_ = tracker_gone_ || node < plan_.trackers;
  for (auto& client : clients_) {
    if (client->node().index() == node) client->node_gone();
  }
  nodes_[static_cast<std::size_t>(node)]->kill();
  gone(node);
  if (comes_back) {
    const auto back = std::min(world_.since_start() + some_time(500, 6'000), kTroubleEnds);
    at(back, [this, node] { start(node); });
  }
}

void Simulation::gone(int node) {
  for (auto& client : clients_) {
    if (client->node().index() == node) client->node_gone();
  }
}

void Simulation::leave(int node) {
  auto& there = *nodes_[static_cast<std::size_t>(node)];
  if (!there.up() || there.leaving()) return;
  ++deaths_;
  tracker_gone_ = tracker_gone_ || node < plan_.trackers;
  gone(node);
  there.leave([] {});
}

void Simulation::start(int node) {
  auto& there = *nodes_[static_cast<std::size_t>(node)];
  if (there.up()) return;
  there.start();
  if (node < plan_.trackers && world_.since_start() > Millis(1'000)) ++tracker_starts_;
  for (auto& client : clients_) {
    if (client->node().index() == node && world_.since_start() > Millis(3'000)) client->begin();
  }
}

// Whoever asks upstream dies when some of the blob has come.
void Simulation::watch_fetcher(unsigned left, bool comes_back) {
  if (left == 0 || world_.since_start() > kTroubleEnds - Millis(6'000)) return;
  world_.after(Millis(20), kNobody, [this, left, comes_back] {
    if (!upstream_->gets.empty() && upstream_->gets.back().sent > 40'000) {
      const auto& get = upstream_->gets.back();
      if (world_.now() - get.when < std::chrono::seconds(3) && nodes_[static_cast<std::size_t>(get.node)]->up()) {
        kill(get.node, comes_back);
        world_.after(Millis(1'500), kNobody, [this, left, comes_back] { watch_fetcher(left - 1, comes_back); });
        return;
      }
    }
    watch_fetcher(left, comes_back);
  });
}

}  // namespace shoal::sim
