// The simulation of a site: sim [--seed N] [--seeds N] [--verbose]. See README.md.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include "simulation.h"

namespace {

int usage() {
  std::fputs(
      "usage: shoal_sim [--seed N] [--seeds N] [--verbose]\n"
      "  --seed N    the first seed (default 1)\n"
      "  --seeds N   how many (default 1)\n"
      "  --verbose   with an event log, the product's log lines in it; one line a seed otherwise\n"
      "Example: shoal_sim --seed 17 --verbose\n",
      stderr);
  return 2;
}

}  // namespace

int main(int argc, char** argv) {
  std::uint64_t first = 1, count = 1;
  bool verbose = false;
  for (int i = 1; i < argc; ++i) {
    const std::string name = argv[i];
    if (name == "--verbose") {
      verbose = true;
    } else if ((name == "--seed" || name == "--seeds") && i + 1 < argc) {
      char* end = nullptr;
      const auto value = std::strtoull(argv[++i], &end, 10);
      if (*end != '\0') return usage();
      (name == "--seed" ? first : count) = value;
    } else {
      return usage();
    }
  }
  std::uint64_t bad = 0, gets = 0, fall_backs = 0, errors = 0;
  for (std::uint64_t seed = first; seed < first + count; ++seed) {
    const auto report = shoal::sim::simulate(seed, verbose);
    gets += report.gets;
    fall_backs += report.fall_backs;
    errors += report.errors;
    const bool good = report.violations.empty();
    if (!good) ++bad;
    if (good && !verbose && count > 1) continue;
    std::printf(
        "seed %llu: %s\n  %llu GETs, %llu fall-backs, %llu errors of clients; %llu calls, %llu pieces, %llu "
        "events; the last client after %lld ms\n",
        static_cast<unsigned long long>(seed), report.what.c_str(), static_cast<unsigned long long>(report.gets),
        static_cast<unsigned long long>(report.fall_backs), static_cast<unsigned long long>(report.errors),
        static_cast<unsigned long long>(report.calls), static_cast<unsigned long long>(report.pieces),
        static_cast<unsigned long long>(report.events), static_cast<long long>(report.last_client.count()));
    for (const auto& violation : report.violations) std::printf("  VIOLATION %s\n", violation.c_str());
    std::fflush(stdout);
  }
  std::printf("%llu seeds from %llu on: %llu with violations; %llu GETs, %llu fall-backs, %llu errors of clients\n",
              static_cast<unsigned long long>(count), static_cast<unsigned long long>(first),
              static_cast<unsigned long long>(bad), static_cast<unsigned long long>(gets),
              static_cast<unsigned long long>(fall_backs), static_cast<unsigned long long>(errors));
  return bad == 0 ? 0 : 1;
}
