// What must hold when a seed has run: what every client got, what upstream sent, what is left behind.
#include <algorithm>
#include <map>

#include "simulation.h"

namespace shoal::sim {
namespace {

constexpr Millis kStep{250};
// By one node in that time: several fills, each at most every 10 ms, and most of them every 100.
constexpr unsigned kMostWants = 40;

}  // namespace

void Simulation::step() {
  world_.run_until(world_.now() + kStep);
  for (const auto& node : nodes_) {
    if (node->up()) node->check_leases(blobs_);
  }
  for (const auto& [who, wants] : std::exchange(wire_->wants, {})) {
    if (wants > kMostWants) world_.violation("node {} asked trackers {} times in {} ms", who, wants, kStep.count());
  }
}

void Simulation::check_clients() {
  for (const auto& client : clients_) {
    if (client->left() || !client->node().up()) continue;
    if (!client->done()) {
      world_.violation("a client of node {} was not served in time: {}", client->node().index(), client->state());
    }
    if (mood_ == Mood::none && client->errors() > 0) world_.violation("{} errors without trouble", client->errors());
  }
}

std::size_t Simulation::fall_backs() {
  std::size_t all = 0;
  for (const auto& node : nodes_) all += node->fall_backs + node->deserted;
  return all;
}

// One copy, and one more for each fetcher that died.
void Simulation::check_upstream() {
  std::map<std::string, std::pair<std::uint64_t, std::uint64_t>> of;  // GETs, bytes
  for (const auto& get : upstream_->gets) {
    ++of[get.digest].first;
    of[get.digest].second += get.sent;
  }
  for (const auto& [digest, count] : of) {
    const auto size = upstream_->blob(*base::Digest::parse(digest)).size();
    const auto [gets, bytes] = count;
    if (mood_ == Mood::none && (gets != 1 || bytes != size)) {
      world_.violation("{} GETs and {} bytes of {} without trouble, which has {}", gets, bytes, digest, size);
    }
    const auto most = 1 + deaths_ + tracker_starts_ + (tracker_gone_ ? fall_backs() : 0);
    if (mood_ == Mood::deaths && gets > most) {
      world_.violation("{} GETs of {}, though only {} nodes went", gets, digest, deaths_);
    }
  }
  const bool asked_alone = mood_ == Mood::none || (mood_ == Mood::deaths && !tracker_gone_);
  if (asked_alone && fall_backs() > 0) world_.violation("{} fall-backs, though the site was well", fall_backs());
  if (mood_ == Mood::none && upstream_->manifest_gets > images_.size()) {
    world_.violation("{} GETs of {} manifests without trouble", upstream_->manifest_gets, images_.size());
  }
}

void Simulation::check_rest() {
  for (const auto& node : nodes_) {
    if (node->up()) node->check_quiet();
  }
  if (pieces_->torrents() > 0) world_.violation("{} blobs are still in the swarm", pieces_->torrents());
  // A moment between two announces.
  for (int i = 0; i < 40 && wire_->open() > 0; ++i) world_.run_until(world_.now() + Millis(25));
  if (wire_->open() > 0) world_.violation("calls that nobody ends:{}", wire_->open_targets());
}

}  // namespace shoal::sim
