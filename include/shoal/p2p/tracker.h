// Tracker: who of a site has which blob, and which one node fetches what nobody has. Every node has one; which of them
// is asked about a digest is the askers' choice (src/p2p/rendezvous.h). All in memory: what it forgets, nodes tell
// again.
//
// Rules, of a blob's record:
// - At most one lease. It ends `lease` after it was given or last renewed, when its holder says gone or have, when that
//   is told to follow somebody, or is not heard of any more. The next node that asks, or says that it is fetching, gets
//   it; Fetch then names those who have got parts.
// - Whoever asks is interested, until it says have or gone, or is not heard of for `silence`. Who asks holds nothing;
//   who said have is not fetching.
// - A complete holder that the asker does not avoid: Follow, with up to `handout` of them. Those who were first in a
//   handout (of any blob) longest ago come first, so that load spreads.
// - Else a lease held by another node: Follow it, unless the asker avoids it: then others that are getting it; when
//   there are none, Wait, until the lease has ended.
//   When most of those who want it avoid that node, the lease passes on to one of them (src/p2p/tracker_doubt.h).
// - Else: the lease is the asker's. An asker that holds it already keeps it, renewed.
// - Between zones: what the asker's own zone has comes first: holders, then the lease, then those who get it across. At
//   most `zone_copies` (at least 1) of a zone are told to get it from another; the rest Follow those. An asker that
//   avoids all of them waits until they have had `lease` for it; then the right of the first passes to it. (Zones ""
//   count as one zone.)
//
// Rules, of nodes: a node that is silent, that leaves, or that announces `seen` 0 after it had seen an answer, begins
// anew: all it said before is void, and it is told so (`know_nothing_of_you`).
//
// Pure but for its memory: `now` is passed in; versions of the member list begin at a random number. Bounded:
// `max_nodes`, `max_blobs` records (then those without interest, longest unused, go), `max_holders` of each (when there
// are more, one of each zone is kept), `max_interests` of all. Thread-safe: sharded by digest, no lock is held for
// longer than one record's work (or, as a shard grows, for moving its few thousand); any loop.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "shoal/base/clock.h"
#include "shoal/base/result.h"
#include "shoal/p2p/values.h"

namespace shoal::p2p {

struct TrackerOptions {
  std::chrono::milliseconds lease{3'000};
  std::chrono::milliseconds silence{5'000};  // a node not heard of for so long has left
  std::size_t handout = 8;
  std::size_t zone_copies = 1;
  std::size_t max_nodes = 16'384;  // at most 32,000
  std::size_t max_blobs = 1'000'000;
  std::size_t max_holders = 64;           // remembered of one blob; more do not help
  std::size_t max_interests = 1'000'000;  // a node that wants a blob is one, over all blobs; 16 bytes each
};

struct TrackerTotals {
  std::size_t nodes = 0;
  std::size_t blobs = 0;
  std::size_t leases = 0;       // some may have ended unnoticed
  std::size_t interests = 0;    // the same
  std::uint64_t forgotten = 0;  // records that went, or were not made, for want of room
  std::uint64_t wants = 0;
  std::uint64_t announces = 0;
};

class Tracker {
 public:
  Tracker(NodeInfo self, TrackerOptions options);
  ~Tracker();

  // `who` counts as heard of. ErrorKind::busy: no room for another node, record or interest (an announcement is never
  // refused for want of room for records); ErrorKind::invalid: more in a list than shoal/p2p/values.h allows.
  [[nodiscard]] base::Result<Advice> want(const NodeInfo& who, const Want& want, base::SteadyTime now);
  [[nodiscard]] base::Result<AnnounceAnswer> announce(const Announce& announce, base::SteadyTime now);
  // Forgets who was not heard of. Call about once a second. Walks a bounded part of the records each time: about a
  // millisecond's work.
  void sweep(base::SteadyTime now);

  [[nodiscard]] std::vector<Member> members() const;  // who is present, at most max_nodes; for the API
  [[nodiscard]] TrackerTotals totals() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace shoal::p2p
