#include "options.h"

#include <cstdio>
#include <cstdlib>
#include <functional>
#include <map>
#include <string_view>

namespace shoal::sim {
namespace {

constexpr double kMegabit = 125e3;

[[noreturn]] void usage(const std::string& problem) {
  std::fprintf(stderr,
               "swarm_sim: %s\n"
               "usage: swarm_sim [--option=value]...\n"
               "  the run:   seed=1 nodes=100 size=1000 (MB) seeds=1 (0: cold) uplink=1000 (Mbit/s, of a cold blob)\n"
               "  the links: up=1000 down=1000 seed-up=1000 slow-up=100 (Mbit/s) slow-share=0 latency=0.25 (ms)\n"
               "             spread=0.2 (s, within which all come)\n"
               "  the site:  trackers=3 max-nodes=16384 connections=48 window=128 told=16 takers=20000 piece=0 (KiB)\n"
               "             stripes=1 hold-seeds=1 seed-connections=16\n"
               "  the model: unit=0 (KiB) limit=3600 (s) tenths=0 (1: when each tenth came)\n",
               problem.c_str());
  std::exit(2);
}

}  // namespace

Options parse(int argc, char** argv) {
  Options o;
  double uplink = 1'000;
  using Set = std::function<void(double)>;
  const auto whole = [](std::uint32_t& to, double scale = 1) {
    return Set([&to, scale](double v) { to = static_cast<std::uint32_t>(v * scale); });
  };
  const auto real = [](double& to, double scale = 1) { return Set([&to, scale](double v) { to = v * scale; }); };
  const std::map<std::string_view, Set> known = {
      {"seed", [&](double v) { o.seed = static_cast<std::uint64_t>(v); }},
      {"size", [&](double v) { o.size = static_cast<std::uint64_t>(v * 1e6); }},
      {"nodes", whole(o.nodes)},
      {"seeds", whole(o.seeds)},
      {"uplink", real(uplink)},
      {"up", real(o.up, kMegabit)},
      {"down", real(o.down, kMegabit)},
      {"seed-up", real(o.seed_up, kMegabit)},
      {"slow-up", real(o.slow_up, kMegabit)},
      {"slow-share", real(o.slow_share)},
      {"latency", real(o.latency, 1e-3)},
      {"spread", real(o.spread)},
      {"trackers", whole(o.trackers)},
      {"max-nodes", whole(o.max_nodes)},
      {"connections", whole(o.connections)},
      {"window", whole(o.window)},
      {"told", whole(o.told)},
      {"takers", whole(o.takers)},
      {"piece", whole(o.piece, 1024)},
      {"stripes", [&](double v) { o.stripes = v != 0; }},
      {"hold-seeds", [&](double v) { o.hold_seeds = v != 0; }},
      {"seed-connections", whole(o.seed_connections)},
      {"unit", whole(o.unit, 1024)},
      {"limit", real(o.limit)},
      {"tenths", [&](double v) { o.tenths = v != 0; }},
  };
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument(argv[i]);
    const auto equals = argument.find('=');
    if (argument.substr(0, 2) != "--" || equals == std::string_view::npos) usage("what is " + std::string(argument));
    const auto name = argument.substr(2, equals - 2);
    const std::string value(argument.substr(equals + 1));
    const auto it = known.find(name);
    char* end = nullptr;
    const double number = std::strtod(value.c_str(), &end);
    if (it == known.end() || value.empty() || *end != '\0' || number < 0) usage("what is " + std::string(argument));
    it->second(number);
  }
  o.uplink = uplink * kMegabit;
  if (o.seed_up == 0) o.seed_up = o.up;
  const bool links = o.up > 0 && o.down > 0 && o.uplink > 0 && (o.slow_share == 0 || o.slow_up > 0);
  if (o.nodes == 0 || o.nodes > 100'000 || o.size == 0 || o.trackers == 0 || o.trackers > o.nodes || !links ||
      o.connections == 0)
    usage("that cannot be simulated");
  return o;
}

}  // namespace shoal::sim
