#include "peer_table.h"

namespace shoal::p2p {

std::string_view to_string(BanCause cause) { return cause == BanCause::flood ? "flood" : "bad piece"; }

PeerRef PeerTable::meet(const std::string& node, const std::string& ip) {
  const std::lock_guard lock(mutex_);
  const auto known = refs_.find({node, ip});
  if (known != refs_.end()) return known->second;
  if (peers_.size() >= kMost || of_one_[ip] >= kMostOfOne) return 0;
  ++of_one_[ip];
  peers_.emplace_back().node = node;
  peers_.back().ip = ip;
  const auto ref = static_cast<PeerRef>(peers_.size());
  refs_.emplace(std::pair(node, ip), ref);
  return ref;
}

PeerTable::Peer* PeerTable::find(PeerRef peer) const {
  const std::lock_guard lock(mutex_);
  return peer == 0 || peer > peers_.size() ? nullptr : &peers_[peer - 1];
}

std::string PeerTable::node(PeerRef peer) const {
  const Peer* found = find(peer);
  return found == nullptr ? std::string() : found->node;  // written once, before anybody knew the number
}

bool PeerTable::ban(PeerRef peer, base::SteadyTime now, std::chrono::milliseconds time, BanCause why) {
  const std::lock_guard lock(mutex_);
  if (peer == 0 || peer > peers_.size()) return false;
  Peer& found = peers_[peer - 1];
  const auto until = (now + time).time_since_epoch().count();
  const bool news = found.banned_until <= now.time_since_epoch().count();
  if (until <= found.banned_until) return news;
  found.banned_until = until;
  found.why = why;
  return news;
}

void PeerTable::pardon(PeerRef peer) {
  if (Peer* found = find(peer)) found->banned_until = 0;
}

std::vector<BannedNode> PeerTable::bans(base::SteadyTime now) const {
  std::vector<BannedNode> out;
  const std::lock_guard lock(mutex_);
  for (const Peer& peer : peers_) {
    const base::SteadyTime until{base::SteadyTime::duration(peer.banned_until.load())};
    if (until <= now) continue;
    out.push_back({peer.node, peer.ip, peer.why, std::chrono::ceil<std::chrono::milliseconds>(until - now)});
  }
  return out;
}

bool PeerTable::banned(PeerRef peer, base::SteadyTime now) const {
  const Peer* found = find(peer);
  return found != nullptr && now.time_since_epoch().count() < found->banned_until;
}

void PeerTable::suspect(PeerRef peer) {
  if (Peer* found = find(peer)) ++found->suspicions;
}

std::uint32_t PeerTable::suspicions(PeerRef peer) const {
  const Peer* found = find(peer);
  return found == nullptr ? 0 : found->suspicions.load();
}

void NodesAt::add(const std::string& ip, std::uint16_t port, const std::string& node) {
  const std::lock_guard lock(mutex_);
  if (told_.size() >= kMost) told_.clear();  // costs a check, not safety: who knows the secret may come anyway
  told_.emplace(ip, port, node);
}

bool NodesAt::may_be(const std::string& ip, std::uint16_t port, const std::string& node) const {
  const std::lock_guard lock(mutex_);
  if (told_.count({ip, port, node}) != 0) return true;
  const auto other = told_.lower_bound({ip, port, std::string()});
  return other == told_.end() || std::get<0>(*other) != ip || std::get<1>(*other) != port;
}

}  // namespace shoal::p2p
