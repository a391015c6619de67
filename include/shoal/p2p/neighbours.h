// Neighbours: what the mirror sees of the other nodes of its site, on one loop. DESIGN section 8.
//
// A blob that this node needs gets a Ticket: it asks the tracker who has it or who fetches it, keeps the lease alive
// while this node fetches, and tells the site what became of it. The bytes of a neighbour come through get_blob(). All
// callbacks run once, later, on the loop; dropping an object cancels it. tests/support has a fake.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "shoal/base/digest.h"
#include "shoal/base/result.h"
#include "shoal/base/unique_function.h"
#include "shoal/fetch/client.h"
#include "shoal/p2p/values.h"
#include "shoal/store/store.h"

namespace shoal::p2p {

struct NeighbourOptions {
  // A neighbour's proof that a repository has a blob is as good as our own. Without it each node asks upstream (HEAD).
  bool trust_domain = false;
  // A fill that got no byte from the site for so long fetches from upstream by itself.
  std::chrono::milliseconds patience{10'000};
  // Neighbours whose swarm brings nothing for so long are left, and the site is asked again.
  std::chrono::milliseconds stall{5'000};
  // A fetcher that got no byte for so long has lost its lease, if somebody else wanted it.
  std::chrono::milliseconds recheck{9'000};
};

// This node's part in bringing one blob, or manifest. Dropping it says that the node neither fetches nor wants it.
class Ticket {
 public:
  // What the site advises; and when it could not be asked, why this node is to fetch on its own.
  struct Answer {
    Advice advice;
    std::string alone;  // "" or "no tracker answers: ..."; then `advice` is Fetch
  };
  virtual ~Ticket() = default;
  // One question at a time. Never fails: without a tracker the answer is Fetch.
  virtual void ask(std::vector<std::string> avoid, base::UniqueFunction<void(Answer)> done) = 0;
  // Bytes flow, so the lease is in use. As often as wanted; cheap.
  virtual void progress() = 0;
  // It is in the store now: this node serves it. The last word of a ticket.
  virtual void complete() = 0;
};

// Receives one transfer from a neighbour.
class PeerSink {
 public:
  virtual ~PeerSink() = default;
  // First, once. `proven`: upstream told the neighbour that the repository has it.
  virtual void on_peer_start(std::uint64_t offset, std::optional<std::uint64_t> total, bool proven) = 0;
  virtual fetch::Flow on_peer_data(std::string_view bytes) = 0;
  // Last, once. No error: the answer arrived whole. The digest is the caller's to check.
  virtual void on_peer_end(std::optional<base::Error> error) = 0;
};

class PeerCall {
 public:
  virtual ~PeerCall() = default;  // cancels
  virtual void resume() = 0;
};

struct PeerManifest {
  std::string media_type;
  std::shared_ptr<const std::string> bytes;  // they are what the digest names
  bool proven = false;
};

// A tag as a neighbour remembers it: ages, since clocks differ.
struct PeerTag {
  base::Digest digest;
  std::chrono::seconds fetched_ago{0};
  std::chrono::seconds checked_ago{0};
};

// What a fill hears of its blob's swarm. On the fill's loop, never inside a call of Swarming; nothing after that was
// dropped, which may happen in here.
class SwarmTaker {
 public:
  virtual ~SwarmTaker() = default;
  // A neighbour tells what the pieces should be. `proven`: upstream told it that the repository has the blob.
  virtual void on_swarm_start(const NodeInfo& author, bool proven) = 0;
  // A neighbour has just brought a piece, the next one or another.
  virtual void on_swarm_piece() = 0;
  // All of the file from its beginning up to `end` is good, as far as the authors of the map told the truth.
  virtual void on_swarm_bytes(std::uint64_t end) = 0;
  // Nobody is left who tells what pieces should be. What is known stays and comes on; ask the site again. cancelled:
  // the author ended its map in order, perhaps to begin again.
  virtual void on_swarm_lost(base::Error why) = 0;
  // ErrorKind::full: there is no room for pieces; others: no use. Drop it, and go on without.
  virtual void on_swarm_failed(base::Error why) = 0;
};

// A fill's part in the swarm of its blob (DESIGN section 8): neighbours exchange pieces of it while it still arrives.
// On the fill's loop. Dropping it leaves, unless complete() was called: then the blob is served on for a while.
class Swarming {
 public:
  virtual ~Swarming() = default;
  // Pieces are what these neighbours say: the fetcher, or nodes that hold all.
  virtual void follow(std::vector<NodeInfo> authors, const std::string& repository) = 0;
  // This node fetches from upstream: it tells the others what pieces are, from advance() on.
  virtual void lead() = 0;
  // Before bytes from elsewhere are written there: up to where they may be. Less than `end`: a neighbour brought, or is
  // just bringing, the piece that begins there.
  [[nodiscard]] virtual std::uint64_t claim(std::uint64_t begin, std::uint64_t end) = 0;
  virtual void advance(std::uint64_t end) = 0;  // the file is good up to here
  // The piece at `offset` is on its way from a neighbour, or may be: it is known what it should be.
  [[nodiscard]] virtual bool expects(std::uint64_t offset) const = 0;
  // The digest matched, and the blob is in the store. `lease` keeps it there.
  virtual void complete(std::shared_ptr<void> lease) = 0;
};

class Neighbours {
 public:
  virtual ~Neighbours() = default;
  [[nodiscard]] virtual const NeighbourOptions& options() const = 0;
  // `lost` (may come more than once): another node holds the lease now; ask again.
  [[nodiscard]] virtual std::unique_ptr<Ticket> ticket(const base::Digest& digest, std::optional<std::uint64_t> size,
                                                       base::UniqueFunction<void()> lost) = 0;
  // Bytes from `offset` on. `repository`: canonical, for the proof.
  [[nodiscard]] virtual std::unique_ptr<PeerCall> get_blob(const NodeInfo& from, const base::Digest& digest,
                                                           const std::string& repository, std::uint64_t offset,
                                                           PeerSink& sink) = 0;
  [[nodiscard]] virtual std::unique_ptr<PeerCall> get_manifest(
      const NodeInfo& from, const base::Digest& digest, const std::string& repository,
      base::UniqueFunction<void(base::Result<PeerManifest>)> done) = 0;
  // Asks a few neighbours and gives the record that was checked last. ErrorKind::not_found: none has one.
  [[nodiscard]] virtual std::unique_ptr<PeerCall> find_tag(const std::string& repository, const std::string& tag,
                                                           base::UniqueFunction<void(base::Result<PeerTag>)> done) = 0;
  // Null: not for a blob of that size, or there is no swarm. `have`: so much of the file is good already.
  [[nodiscard]] virtual std::unique_ptr<Swarming> swarm(const base::Digest& digest, std::uint64_t size,
                                                        std::shared_ptr<store::PieceWriter> file, std::uint64_t have,
                                                        SwarmTaker& taker) = 0;
};

}  // namespace shoal::p2p
