// Site: this node among the nodes of its site: its identity, its tracker, the roster of the others, the secret. One per
// process, made before the loops run, started when the address others reach it by is known.
//
// Threads: Roster and its timer live on the home loop; the rest is thread-safe. Order of ending: stop() while the loops
// run, drop every loop's Neighbours, then the Site.
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "shoal/base/byte_source.h"
#include "shoal/base/clock.h"
#include "shoal/base/loop.h"
#include "shoal/fetch/client.h"
#include "shoal/http/server.h"
#include "shoal/obs/metrics.h"
#include "shoal/p2p/neighbours.h"
#include "shoal/p2p/rates.h"
#include "shoal/p2p/tracker.h"
#include "shoal/store/store.h"

namespace shoal::p2p {

// "10.0.0.0/8", "fd00::/8", "10.0.0.7".
struct Network {
  std::array<std::uint8_t, 16> address{};  // IPv4 as ::ffff:a.b.c.d
  unsigned prefix = 128;                   // bits, of the 128
  [[nodiscard]] static base::Result<Network> parse(std::string_view text);
  [[nodiscard]] bool contains(std::string_view ip) const;  // numeric; false for what is not an address
};

// Is it one that SiteOptions::trackers may hold?
[[nodiscard]] base::Result<void> check_tracker(std::string_view entry, bool https_only);

// The exchange of pieces (BitTorrent).
struct SwarmSettings {
  bool enabled = true;
  std::string listen;                // a numeric address
  std::uint16_t port = 0;            // 0: any
  std::uint64_t min_size = 4 << 20;  // smaller blobs come over HTTP
  unsigned max_shares = 200;         // blobs at once
  unsigned max_connections = 1'000;
  RatePlan rates;
  std::uint64_t memory = 128 << 20;             // of pieces that are not in a file yet
  unsigned memory_pressure = 20;                // percent (PSI): from there on nothing new is shared; 0: whatever it is
  std::chrono::milliseconds ban_time{600'000};  // of a node that sent a bad piece, or floods
};

struct SiteOptions {
  bool enabled = false;
  std::string url;  // how neighbours reach this node; "": from the first listener
  std::string zone;
  std::vector<std::string> trackers;  // "10.0.0.1:5000", "http://...", "dns:name:port", "file:/path"
  std::string secret;                 // at least 16 bytes; never logged
  std::vector<Network> allow;         // who may call /p2p/v1/
  NeighbourOptions neighbours;
  TrackerOptions tracker;
  std::chrono::milliseconds announce_every{1'000};
  std::chrono::milliseconds lease_patience{5'000};  // a fetch that brings no byte for so long gives its lease up
  std::chrono::milliseconds call_timeout{1'000};    // to connect, and to the answer's head
  std::chrono::milliseconds stall_timeout{5'000};   // of a blob from a neighbour
  fetch::TlsTrust tls;                              // for https neighbours
  // Calls go over https only, with the client certificate of `tls`, and are taken only from who shows one of its CA.
  [[nodiscard]] bool certificates() const { return !tls.client_cert.empty(); }
  SwarmSettings swarm;
};

// One blob in the swarm.
struct SwarmStatus {
  std::string digest;
  std::uint64_t size = 0;
  std::uint32_t piece_length = 0;
  std::uint32_t pieces = 0;
  std::uint32_t good = 0;  // pieces that are here
  std::string role;        // "fetcher", "follower", "seed"
  std::size_t followers = 0;
  std::vector<std::string> authors;  // URLs of the nodes whose piece map is followed
  std::uint64_t from_peers = 0;      // bytes
};

// A node of the swarm that is not talked to for a while.
enum class BanCause : std::uint8_t { bad_piece, flood };
[[nodiscard]] std::string_view to_string(BanCause cause);  // "bad piece", "flood"
struct BannedNode {
  std::string node;  // what it calls itself: 32 hex digits
  std::string ip;
  BanCause why = BanCause::bad_piece;
  std::chrono::milliseconds left{0};  // of the ban
};

struct SiteStatus {
  NodeInfo self;
  struct TrackerState {
    std::string url;
    bool alive = false;
    std::string last_error;
  };
  std::vector<TrackerState> trackers;
  std::vector<NodeInfo> peers;
  std::vector<BannedNode> banned;  // as of half a second ago
  TrackerTotals totals;
};

class Site {
 public:
  // `id`: 32 hex digits, this node's for life. References outlive the site.
  [[nodiscard]] static base::Result<std::unique_ptr<Site>> make(SiteOptions options, const std::string& id,
                                                                store::Store& store, base::Executor& pool,
                                                                base::Clock& clock, obs::Metrics& metrics);
  ~Site();

  // For one loop, used and dropped there. `client` belongs to the loop.
  [[nodiscard]] std::unique_ptr<Neighbours> neighbours(base::Loop& loop, fetch::Client& client);
  // Begins to announce, on `home`, and opens the swarm. `url`: of the first listener, taken if the options name none.
  // `streams`: another client of that loop, for answers that last as long as a transfer.
  void start(base::Loop& home, fetch::Client& client, fetch::Client& streams, std::string url);
  // Says goodbye to the trackers (briefly), then runs `stopped` on the home loop. The client must still live.
  void stop(base::UniqueFunction<void()> stopped);

  // How many bytes clients on other machines took so far, on any thread: they come first in the upload rate. Before
  // start().
  void watch_clients(std::function<std::uint64_t()> taken);

  [[nodiscard]] SiteStatus status() const;  // any thread
  void set_rates(RatePlan rates);           // any thread; in force within a second
  // `done` runs on the home loop, or at once if there is no swarm.
  void swarms(base::UniqueFunction<void(std::vector<SwarmStatus>)> done) const;
  struct Core;  // for p2p's own files
  [[nodiscard]] Core& core() { return *core_; }

 private:
  explicit Site(std::unique_ptr<Core> core);
  void open_swarm(base::Loop& home, fetch::Client& streams);
  void stop_swarm(base::UniqueFunction<void()> stopped);
  std::unique_ptr<Core> core_;
};

// What a node gives to neighbours; app implements it over the mirror and the store. One per loop; answers there, once,
// later or at once.
class Shelf {
 public:
  struct Item {
    std::optional<std::uint64_t> size;
    bool proven = false;  // the repository that was named may show it
    // Once. Null: not from there (without a size, from 0 only).
    base::UniqueFunction<std::unique_ptr<base::ByteSource>(std::uint64_t offset)> read;
  };
  class Pending {
   public:
    virtual ~Pending() = default;
  };
  virtual ~Shelf() = default;
  // Complete, or arriving from upstream here; never starts a fetch. not_found: neither.
  [[nodiscard]] virtual std::unique_ptr<Pending> open_blob(const std::string& repository, const base::Digest& digest,
                                                           base::UniqueFunction<void(base::Result<Item>)> done) = 0;
  // May the repository show it, as far as upstream told this node?
  [[nodiscard]] virtual bool is_proven(const std::string& repository, const base::Digest& digest) = 0;
  [[nodiscard]] virtual base::Result<PeerManifest> find_manifest(const std::string& repository,
                                                                 const base::Digest& digest) = 0;
  [[nodiscard]] virtual base::Result<PeerTag> find_tag(const std::string& repository, const std::string& tag) = 0;
};

// /p2p/v1/ on a node's listener. One per loop. Whatever else is asked goes to `next`.
class PeerHandler final : public http::Handler {
 public:
  PeerHandler(Site& site, base::Loop& loop, Shelf& shelf, http::Handler& next);
  ~PeerHandler() override;
  [[nodiscard]] http::BodyMode body_mode(const http::Request& request) override;
  [[nodiscard]] std::unique_ptr<http::Operation> handle(const http::Request& request,
                                                        http::Responder responder) override;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace shoal::p2p
