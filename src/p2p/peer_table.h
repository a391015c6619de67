// PeerTable: the nodes that proved themselves in the swarm, as small numbers, and which of them are banned or suspect.
// Any thread.
//
// One address can bring so many ids, and no more: who invents them fills his own share of the table, not that of
// others.
//
// A ban is of a node at an address: among nodes that share one secret nobody can prove more than that he knows it, and
// who claims a neighbour's id must not get the neighbour banned. Where we were told which node an address is (NodesAt),
// another one there is refused (peer_proof.h).
#pragma once

#include <atomic>
#include <deque>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "shoal/base/clock.h"
#include "shoal/p2p/site.h"

namespace shoal::p2p {

using PeerRef = std::uint32_t;  // 0: nobody

class PeerTable {
 public:
  // The same number for the same node and address, for good. 0: more than kMost have come by, or kMostOfOne from there.
  [[nodiscard]] PeerRef meet(const std::string& node, const std::string& ip);
  [[nodiscard]] std::string node(PeerRef peer) const;

  // False: it is banned already; the longer of the two bans counts.
  bool ban(PeerRef peer, base::SteadyTime now, std::chrono::milliseconds time, BanCause why);
  void pardon(PeerRef peer);
  [[nodiscard]] bool banned(PeerRef peer, base::SteadyTime now) const;
  [[nodiscard]] std::vector<BannedNode> bans(base::SteadyTime now) const;

  // It had a part in a bad piece: is to bring whole pieces alone for a while. Grows with each time.
  void suspect(PeerRef peer);
  [[nodiscard]] std::uint32_t suspicions(PeerRef peer) const;

  static constexpr std::size_t kMost = 65'536;
  static constexpr std::size_t kMostOfOne = 1'024;

 private:
  struct Peer {
    std::string node;
    std::string ip;
    std::atomic<base::SteadyTime::rep> banned_until{0};
    BanCause why = BanCause::bad_piece;  // under the lock
    std::atomic<std::uint32_t> suspicions{0};
  };
  [[nodiscard]] Peer* find(PeerRef peer) const;

  mutable std::mutex mutex_;
  std::map<std::pair<std::string, std::string>, PeerRef> refs_;  // (node, address)
  std::map<std::string, std::size_t> of_one_;                    // refs by address
  mutable std::deque<Peer> peers_;                               // [ref - 1]; an element never moves
};

// Which nodes are where, as we were told by those who name the peers of one blob. They may lie: so each word is of that
// blob only, and does not undo what others said of the address. Any thread.
class NodesAt {
 public:
  void add(const std::string& ip, std::uint16_t port, const std::string& node);
  [[nodiscard]] bool may_be(const std::string& ip, std::uint16_t port, const std::string& node) const;

  static constexpr std::size_t kMost = 4'096;

 private:
  mutable std::mutex mutex_;
  std::set<std::tuple<std::string, std::uint16_t, std::string>> told_;
};

}  // namespace shoal::p2p
