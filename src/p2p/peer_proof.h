// PeerProof: keeps strangers out of the swarm, and says who a connection is.
//
// First line: the info-hash depends on the site's secret (naming.h), so that who does not know it cannot even shake
// hands. Second, for who learned an info-hash from the wire, or was called by one of us: in the extension handshake
// (BEP 10) both sides say their node id and prove the secret, bound to this torrent, both peer ids and the node id;
// nothing is served to or taken from a peer before that.
//
//   shoal_node   32 hex digits
//   shoal_proof  HMAC-SHA-256(secret, "shoal p2p hello 1" info-hash, own peer id, the other's, own node id)
//   reqq         so many requests it takes at once; said again, alone, when that changes (request_depth.h)
//
// Also refused: one's own id; a banned node; another node than the one that was expected at the address we called; who
// does not prove itself within kProofTime; more than kMostOfOne connections of one node for one torrent. Who floods
// (peer_conduct.h) is banned.
// Everything here runs on libtorrent's network thread, but for the PeerTable. Shared (shared_ptr) by the plugin, its
// connections and the disk interface, which die in any order.
#pragma once

#include <libtorrent/extensions.hpp>
#include <memory>
#include <string>
#include <unordered_set>

#include "p2p_probe.h"
#include "peer_conduct.h"
#include "peer_table.h"
#include "shoal/base/digest.h"

namespace shoal::p2p {

class BlobTable;
class PeerProof;

inline constexpr std::chrono::seconds kProofTime{10};
inline constexpr std::size_t kMostOfOne = 4;  // two nodes may call each other at the same moment

class PeerGate {
 public:
  PeerGate(base::HmacKey secret, std::string node, std::chrono::milliseconds ban_time, std::shared_ptr<PeerTable> peers,
           P2pProbe& probe)
      : secret_(std::move(secret)),
        node_(std::move(node)),
        ban_time_(ban_time),
        peers_(std::move(peers)),
        probe_(probe) {}

  // Who brings the block that is being handed to the disk interface right now, in this very call; 0 otherwise. Asked
  // once.
  [[nodiscard]] PeerRef bringer(int piece, int start);
  // Any thread. Counts it once; enforce() then cuts it off.
  bool ban(PeerRef peer, BanCause why);
  // Cuts off who was banned, and makes suspects bring whole pieces alone (libtorrent's parole).
  void enforce();

  [[nodiscard]] const base::HmacKey& secret() const { return secret_; }
  [[nodiscard]] const std::string& node() const { return node_; }
  [[nodiscard]] PeerTable& peers() { return *peers_; }
  [[nodiscard]] P2pProbe& probe() { return probe_; }

 private:
  friend class PeerProof;
  struct Block {
    int piece = -1;
    int start = 0;
    PeerRef peer = 0;
  };
  const base::HmacKey secret_;
  const std::string node_;
  const std::chrono::milliseconds ban_time_;
  const std::shared_ptr<PeerTable> peers_;
  P2pProbe& probe_;
  Block block_;
  base::SteadyTime told_{};  // when the log heard of a flood
  std::unordered_set<PeerProof*> live_;
};

// `blobs`: which blob a torrent stands on.
[[nodiscard]] std::shared_ptr<lt::plugin> make_peer_gate_plugin(std::shared_ptr<PeerGate> gate,
                                                                std::shared_ptr<const BlobTable> blobs);

}  // namespace shoal::p2p
