// Who of the swarm of a blob calls whom. Pure: the simulation of a site (bench/macro/swarm_sim) runs it too.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "shoal/p2p/share.h"

namespace shoal::p2p {

// So many followers get pieces straight from the author of the map; the others from those, and from each other. It
// would send to more of them what they could have from their neighbours. By simulation: bench/macro/swarm_sim.sh.
inline constexpr std::size_t kDirect = 16;
// At most so many earlier followers are called by a newcomer, and so many later ones call it: all, in a site that is no
// larger. Of a large one it calls 6 to 13. More would be slower: a node shares its link between all that ask it, so
// with twice the neighbours each piece takes twice as long from hop to hop.
inline constexpr std::size_t kToldPeers = 16;
inline constexpr unsigned kShareConnections = 2 * kToldPeers + kDirect;

// Indices of at most `most` of so many that came before, the first of whom is 0; all of them if there are no more. At
// distances that grow, so that a few hops lead anywhere in a large site and nobody is called by many more than others.
[[nodiscard]] std::vector<std::size_t> told_of(std::size_t earlier, std::size_t most);

// The lowest rank that none of those who follow has, for a newcomer: a stripe without an owner comes late.
[[nodiscard]] std::uint32_t free_rank(const std::vector<std::uint32_t>& ranks);

// How many stripes there are for followers of these ranks: up to the highest, and no more than get them from the
// author.
[[nodiscard]] std::uint32_t sharing(const std::vector<std::uint32_t>& ranks);

// Of a follower of that rank, of so many.
[[nodiscard]] Stripe stripe_of(std::uint32_t rank, std::uint32_t of);

}  // namespace shoal::p2p
