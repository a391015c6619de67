// Doubts: who of those that want a blob avoid the node that holds its lease, because that brings them nothing, or false
// pieces; and when it loses the lease for that. Pure; part of a record, guarded by its shard's lock.
//
// One node's word does not take a lease away, nor does that of an only follower: it fetches for itself in the end. More
// than half of at least kFewest that want the blob in the zone of the fetcher must avoid it, for kGrace of a lease's
// time (an end of a connection is no reason yet). Then the lease goes to the next of them that asks, each at most once
// while the blob is wanted, and kMostPassed times in all: so liars can neither hold a lease that brings nothing nor
// pass it round among them without end. Who lost it stays one of those that have parts of it.
#pragma once

#include <optional>
#include <vector>

#include "tracker_members.h"

namespace shoal::p2p {

inline constexpr std::size_t kFewest = 2;
inline constexpr int kGrace = 3;     // a third
inline constexpr int kDoubtFor = 2;  // leases: a doubt that was not said again by then is forgotten
inline constexpr std::size_t kMostPassed = 8;

class Doubts {
 public:
  // `node` avoids the fetcher. `wanting`: how many want the blob, the fetcher aside. Since when most of them do.
  [[nodiscard]] std::optional<base::SteadyTime> add(NodeRef node, std::size_t wanting, base::SteadyTime now,
                                                    std::chrono::milliseconds lease);
  void withdraw(NodeRef node, std::size_t wanting);
  void leaves(NodeRef node);  // it wants the blob no more; whether most still doubt is for the next of them that asks
  void forget();              // the lease is over, or another's

  [[nodiscard]] bool may_take(NodeRef node) const;
  void took(NodeRef node) { took_.push_back(node); }

 private:
  std::vector<NodeRef> nodes_;  // sorted
  base::SteadyTime until_{};    // then they are forgotten together
  std::optional<base::SteadyTime> most_since_;
  std::vector<NodeRef> took_;
};

}  // namespace shoal::p2p
