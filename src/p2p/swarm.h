// Swarm: one libtorrent session as a mover of blobs between the nodes of a site: torrents by derived name, explicit
// peers, no discovery of any kind. No libtorrent in this header.
//
// Threads: made, used and dropped on one loop, which must outlive it; nothing blocks that loop, except the destructor
// of a Swarm that was not stopped first. libtorrent's network thread and a few disk threads are its own. Order of
// ending: drop the shares, stop(), wait for `stopped`, drop the Swarm. Shares left over are dead by then, and may be
// dropped at any time.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

#include "meeting_choice.h"
#include "request_depth.h"
#include "shoal/base/loop.h"
#include "shoal/p2p/rates.h"
#include "shoal/p2p/share.h"
#include "shoal/p2p/site.h"

namespace shoal::p2p {

class P2pProbe;

struct SwarmOptions {
  std::string listen =
      "0.0.0.0";           // a numeric address; peers are called from it as well, unless it is the "any" address
  std::uint16_t port = 0;  // 0: any
  std::string secret;      // the site's, at least 16 bytes; never logged
  std::string node;        // this node's id, 32 hex digits

  unsigned max_shares = 200;                       // open at once
  unsigned max_connections = 1'000;                // in all
  unsigned share_connections = kShareConnections;  // of one share
  std::uint64_t upload_rate = 0;                   // bytes a second, in all; 0: no limit
  std::uint64_t download_rate = 0;                 //
  std::size_t memory = 128 << 20;                  // of pieces that are not in the file yet
  unsigned disk_threads = 2;                       // hashing and writing pieces, reading what is not in the page cache
  unsigned requests_served = RequestDepth::kMost;  // blocks a peer may ask of us at once; see request_depth.h
  unsigned requests_made = RequestDepth::kFirst;   // blocks we ask of a peer at once, until it is fast
  std::chrono::milliseconds map_wait{10'000};      // how long a whole piece waits for its map entry
  std::chrono::milliseconds ban_time{600'000};     // of a node that sent a bad piece, or floods
  std::vector<Network> allow;                      // who may connect, and be connected to; empty: anybody
};

class Swarm {
 public:
  // `listening` runs once, later: the port, or why it does not listen. ErrorKind::invalid: the options make no sense.
  [[nodiscard]] static base::Result<std::unique_ptr<Swarm>> make(
      SwarmOptions options, base::Loop& loop, P2pProbe& probe,
      base::UniqueFunction<void(base::Result<std::uint16_t>)> listening);
  ~Swarm();
  Swarm(const Swarm&) = delete;
  Swarm& operator=(const Swarm&) = delete;

  [[nodiscard]] std::uint16_t port() const;  // 0 until it listens

  // ErrorKind::busy: max_shares are open; invalid: there is a share of this blob, or it is empty. What goes wrong later
  // is the sink's to hear, which must outlive the Share. Peers that are connected in the same turn are called at once,
  // later ones within a second.
  [[nodiscard]] base::Result<std::unique_ptr<Share>> share(const ShareSpec& spec, std::shared_ptr<PieceFile> file,
                                                           const ShareState& state, ShareSink& sink);
  void set_rates(Rates rates);  // instead of those in the options
  [[nodiscard]] std::vector<BannedNode> bans() const;
  // Ends all transfers; then, on the loop, `stopped`. Once.
  void stop(base::UniqueFunction<void()> stopped);

 private:
  class Impl;
  explicit Swarm(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace shoal::p2p
