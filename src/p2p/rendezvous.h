// Which of several nodes answers for a digest: rendezvous hashing (Thaler and Ravishankar, 1998). Every node that knows
// the same candidates chooses the same one; one that goes moves only its own digests. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "shoal/base/digest.h"

namespace shoal::p2p {

// Weight of a candidate for a digest: equal on every machine and version. The highest is the owner; ties go to the
// smaller name. MurmurHash3's 64-bit finaliser over the FNV-1a of the name, mixed, and the first 8 bytes of the digest.
[[nodiscard]] std::uint64_t weight(std::string_view candidate, const base::Digest& digest);

// Indices into `candidates`, the owner first, then who is asked when it does not answer; at most `limit`.
[[nodiscard]] std::vector<std::size_t> ranked(const std::vector<std::string>& candidates, const base::Digest& digest,
                                              std::size_t limit);

}  // namespace shoal::p2p
