// swarm_sim: how long a herd waits for one blob, by simulation. The site's own rules decide (Tracker, ranking, who is
// told of whom, which pieces first); links and BitTorrent are a model, see swarm.h. One line of figures a run.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <string>

#include "site.h"

namespace {

using shoal::sim::SimSite;

// The smallest time by which such a share of the nodes were done.
double percentile(const std::vector<double>& sorted, double share) {
  const auto rank = static_cast<std::size_t>(std::ceil(share * static_cast<double>(sorted.size())));
  return sorted[std::max<std::size_t>(rank, 1) - 1];
}

// Where the time goes: when so many tenths had left the seeds, were with the node in the middle, with the last one.
void print_tenths(const SimSite& site, const shoal::sim::Options& options, double first) {
  const auto row = [&](const char* what, auto&& at) {
    std::printf("  %s", what);
    for (std::size_t tenth = 0; tenth <= 10; ++tenth) std::printf(" %7.3f", at(tenth) - first);
    std::printf("\n");
  };
  const auto& swarm = site.swarm();
  const auto of_all = [&](double share) {
    return [&, share](std::size_t tenth) {
      std::vector<double> times;
      for (std::uint32_t i = 0; i < options.nodes; ++i) {
        const auto& it = swarm.tenths(options.seeds + i);
        times.push_back(tenth < it.size() ? it[tenth] : INFINITY);
      }
      std::sort(times.begin(), times.end());
      return percentile(times, share);
    };
  };
  row("seconds until a piece, tenths: out ",
      [&](std::size_t tenth) { return tenth < swarm.tenths_out().size() ? swarm.tenths_out()[tenth] : INFINITY; });
  row("... with half of the nodes         ", of_all(0.5));
  row("... with 99.9 % of them            ", of_all(0.999));
}

}  // namespace

int main(int argc, char** argv) {
  const auto options = shoal::sim::parse(argc, argv);
  std::string command = "swarm_sim";
  for (int i = 1; i < argc; ++i) command += std::string(" ") + argv[i];
  const auto began = std::chrono::steady_clock::now();
  SimSite site(options);
  site.run();
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;

  std::vector<double> done;
  double first = 1e300;
  std::size_t missing = 0;
  for (const auto& times : site.times()) first = std::min(first, times.came);
  for (const auto& times : site.times()) {
    if (times.complete < 0) ++missing;
    done.push_back(times.complete < 0 ? INFINITY : times.complete - first);
  }
  std::sort(done.begin(), done.end());

  // max(F/u_s, F/d_min, N F / (u_s + sum u_i)), and F/W of a cold blob, whose fetcher is one of the nodes.
  const double f = static_cast<double>(options.size);
  const bool cold = options.seeds == 0;
  const double seed_up = cold ? options.up : options.seeds * options.seed_up;
  const double others = site.herd_up() + (cold ? 0 : seed_up);
  const double wanting = options.nodes - (cold ? 1.0 : 0.0);
  double bound = std::max({f / seed_up, f / options.down, wanting * f / others});
  if (wanting == 0) bound = 0;
  if (cold) bound = std::max(bound, f / options.uplink);

  const auto& swarm = site.swarm();
  const double calls = static_cast<double>(site.wants() + site.announces());
  std::printf("%s\n", command.c_str());
  std::printf("  seed %llu, %u pieces of %u KiB, requests of %u KiB, simulated in %.1f s\n",
              static_cast<unsigned long long>(options.seed), swarm.pieces(), swarm.piece_length() / 1024,
              swarm.unit() / 1024, took.count());
  std::printf("  bound %.3f s;  T/bound: p50 %.3f  p99 %.3f  p99.9 %.3f  last %.3f\n", bound,
              percentile(done, 0.5) / bound, percentile(done, 0.99) / bound, percentile(done, 0.999) / bound,
              done.back() / bound);
  std::printf("  uplink copies %.3f;  copies sent by %s %.3f;  sent twice %.2f %%\n", site.upstream_bytes() / f,
              cold ? "the fetcher" : "the seeds", site.seeds_sent() / f, 100 * swarm.twice() / (f * options.nodes));
  std::printf("  leases %u, alone %u, refused by an author %u;  connections: of a node %.0f (median), of a %s %.0f\n",
              site.fetchers(), site.alone(), site.refused(), site.connections(), cold ? "fetcher" : "seed",
              site.seed_connections());
  std::printf("  tracker calls: %.0f a second in all (%u trackers), %.2f a second and node\n", calls / site.end(),
              options.trackers, calls / site.end() / (options.nodes + options.seeds));
  if (options.tenths) print_tenths(site, options, first);
  if (missing > 0) std::printf("  NOT DONE: %zu nodes\n", missing);
  return missing == 0 ? 0 : 1;
}
