#include "followers.h"

#include <algorithm>
#include <map>
#include <utility>

namespace shoal::p2p {

base::Result<Followers::Joined> Followers::join(const PeerAddress& peer) {
  if (takings_.size() >= most_) {
    return base::Error(base::ErrorKind::busy, "as many neighbours as allowed follow this blob");
  }
  std::size_t node = 0, address = 0, direct = 0;
  const Taking* known = nullptr;
  for (const auto& taking : takings_) {
    if (taking.direct) ++direct;
    const bool same = taking.peer.id == peer.id;
    if (same) known = &taking;
    if (taking.peer.ip != peer.ip) continue;
    ++address;
    if (same) ++node;
  }
  if (node >= kMostOfOneNode || address >= kMostOfOneAddress) {
    return base::Error(base::ErrorKind::busy, "it follows this blob as often as allowed");
  }
  Joined joined;
  joined.id = next_id_++;
  auto& place = joined.place;
  place.rank = known != nullptr ? known->rank : free_rank(ranks());
  place.direct = direct < kDirect;
  for (const auto index : told_of(takings_.size(), kToldPeers)) {
    if (takings_[index].peer.id != peer.id) place.peers.push_back(takings_[index].peer);
  }
  takings_.push_back({joined.id, peer, place.rank, place.direct});
  place.of = stripes_ = sharing(ranks());
  return joined;
}

std::optional<PeerAddress> Followers::leave(std::uint64_t id) {
  const auto gone =
      std::find_if(takings_.begin(), takings_.end(), [id](const auto& taking) { return taking.id == id; });
  if (gone == takings_.end()) return std::nullopt;
  const auto [rank, direct] = std::pair(gone->rank, gone->direct);
  takings_.erase(gone);
  auto call = direct ? replace(rank) : std::nullopt;
  if (2 * owned_stripes() <= stripes_) give_ranks_anew();
  return call;
}

void Followers::clear() {
  takings_.clear();
  stripes_ = 0;
}

std::vector<std::uint32_t> Followers::ranks() const {
  std::vector<std::uint32_t> ranks;
  for (const auto& taking : takings_) ranks.push_back(taking.rank);
  return ranks;
}

TakerRanks Followers::moved() const {
  TakerRanks moved;
  for (const auto& taking : takings_) {
    if (taking.moved) moved.emplace(taking.id, taking.rank);
  }
  return moved;
}

std::optional<PeerAddress> Followers::replace(std::uint32_t rank) {
  const auto stripe = stripe_of(rank, stripes_).rank;
  const auto change = [&](const Taking& taking) {  // how much of one for it
    return taking.rank == rank ? 0 : stripe_of(taking.rank, stripes_).rank == stripe ? 1 : 2;
  };
  Taking* next = nullptr;
  bool free = true;  // not if the one that left began anew
  for (auto& taking : takings_) {
    if (taking.rank == rank) free = false;
    if (!taking.direct && (next == nullptr || change(taking) < change(*next))) next = &taking;
  }
  if (next == nullptr) return std::nullopt;
  next->direct = true;
  for (auto& taking : takings_) {
    if (free && taking.peer.id == next->peer.id) give(taking, rank);
  }
  return next->peer;
}

std::size_t Followers::owned_stripes() const {
  std::vector<bool> owned(stripes_);
  for (const auto& taking : takings_) owned[stripe_of(taking.rank, stripes_).rank] = true;
  return static_cast<std::size_t>(std::count(owned.begin(), owned.end(), true));
}

// Those that get pieces straight from the author first: no two of them have the same stripe.
void Followers::give_ranks_anew() {
  auto order = takings_;
  std::stable_sort(order.begin(), order.end(), [](const auto& a, const auto& b) {
    return std::pair(!a.direct, a.rank) < std::pair(!b.direct, b.rank);
  });
  std::map<std::string, std::uint32_t> ranks_of;
  for (const auto& taking : order) ranks_of.emplace(taking.peer.id, static_cast<std::uint32_t>(ranks_of.size()));
  for (auto& taking : takings_) give(taking, ranks_of[taking.peer.id]);
  stripes_ = sharing(ranks());
}

void Followers::give(Taking& taking, std::uint32_t rank) {
  if (std::exchange(taking.rank, rank) != rank) taking.moved = true;
}

}  // namespace shoal::p2p
