// What of the options can be judged before anything is asked of anybody. Pure but for the limit of descriptors.
#pragma once

#include <vector>

#include "profile.h"
#include "shoal/bench/bench.h"
#include "target.h"

namespace shoal::bench {

inline constexpr unsigned kMostClients = 10'000;
inline constexpr unsigned kMostRounds = 1'000;
inline constexpr double kMostRate = 200'000;
inline constexpr std::size_t kMostLayers = 64;
inline constexpr std::uint64_t kMostLayer = std::uint64_t{1} << 40;

struct Plan {
  Profile profile;
  std::vector<Target> targets;
  std::optional<Target> upstream, neighbour;
  bool fresh = false;  // a new image is generated for every round at every target
};
// ErrorKind::invalid, in the words of the command line.
[[nodiscard]] base::Result<Plan> make_plan(const Options& options);

// By "host:port", then by the host, then the one for all.
[[nodiscard]] Login login_for(const Options& options, const Target& target);

}  // namespace shoal::bench
