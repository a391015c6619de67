// eviction_sim: how well the store chooses who leaves, against the policies of others and a bound, on made-up traces.
// A table for each trace; exit status 1 when the store's choice is not what bench/README.md says of it.
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>
#include <string_view>

#include "run.h"

namespace {

using shoal::sim::Score;
using shoal::sim::Trace;

constexpr double kShares[] = {0.01, 0.03, 0.10, 0.25, 0.50};  // cache size of the footprint

struct Options {
  std::uint64_t seed = 1;
  std::uint64_t runs = 1;  // with seeds that follow; the figures are their means
  double scale = 1;
  // By so much LRU may be better at one cache size, and over all: a small trace is a matter of luck.
  double each = 0.005, all = 0;
  double best = 0.01;  // by so much another may be better on the mix, over all sizes
};

[[noreturn]] void usage(std::string_view problem) {
  std::fprintf(stderr,
               "eviction_sim: what is %.*s\n"
               "usage: eviction_sim [--seed=1] [--runs=1] [--scale=1] [--each=0.005] [--all=0] [--best=0.01]\n",
               static_cast<int>(problem.size()), problem.data());
  std::exit(2);
}

Options parse(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string argument(argv[i]);
    const auto equals = argument.find('=');
    if (equals == std::string::npos) usage(argument);
    const auto name = argument.substr(0, equals);
    char* end = nullptr;
    const double value = std::strtod(argument.c_str() + equals + 1, &end);
    if (*end != '\0' || !(value >= 0) || value > 1e6) usage(argument);
    if (name == "--seed" && value >= 1) {
      options.seed = static_cast<std::uint64_t>(value);
    } else if (name == "--runs" && value >= 1) {
      options.runs = static_cast<std::uint64_t>(value);
    } else if (name == "--scale" && value > 0 && value <= 10) {
      options.scale = value;
    } else if (name == "--each" && value < 1) {
      options.each = value;
    } else if (name == "--all" && value < 1) {
      options.all = value;
    } else if (name == "--best" && value < 1) {
      options.best = value;
    } else {
      usage(argument);
    }
  }
  return options;
}

struct Mean {
  double byte_hits = 0, fetches = 0;
};
using Scores = std::map<std::string, Mean>;   // by policy
using Table = std::map<double, Scores>;       // by share
using Tables = std::map<std::string, Table>;  // by trace

void add(Tables& tables, const Trace& trace, const Options& options, std::uint64_t seed) {
  const auto next = shoal::sim::next_uses(trace);
  for (const double share : kShares) {
    const auto max_size = static_cast<std::uint64_t>(share * static_cast<double>(trace.footprint));
    for (const auto& name : shoal::sim::policy_names()) {
      const auto policy = shoal::sim::make_policy(name, trace, max_size, seed);
      const auto score = shoal::sim::run(trace, next, *policy, max_size);
      auto& mean = tables[trace.name][share][name];
      mean.byte_hits += score.byte_hits / static_cast<double>(options.runs);
      mean.fetches += static_cast<double>(score.fetches) / static_cast<double>(options.runs);
    }
  }
}

Mean over_sizes(const Table& table, const std::string& policy) {
  Mean mean;
  for (const auto& [share, scores] : table) {
    mean.byte_hits += scores.at(policy).byte_hits / static_cast<double>(table.size());
    mean.fetches += scores.at(policy).fetches / static_cast<double>(table.size());
  }
  return mean;
}

void print(const std::string& trace, const Table& table) {
  std::printf("\n%-7s", trace.c_str());
  for (const auto& name : shoal::sim::policy_names()) std::printf(" %15s", name.c_str());
  for (const auto& [share, scores] : table) {
    std::printf("\n  %3.0f %%", share * 100);
    for (const auto& name : shoal::sim::policy_names()) {
      const auto& mean = scores.at(name);
      std::printf(" %6.2f %8.0f", 100 * mean.byte_hits, mean.fetches);
    }
  }
  std::printf("\n    all");
  for (const auto& name : shoal::sim::policy_names()) {
    const auto mean = over_sizes(table, name);
    std::printf(" %6.2f %8.0f", 100 * mean.byte_hits, mean.fetches);
  }
  std::printf("\n");
}

int failures = 0;
// Share 0: over all sizes.
void fail(const std::string& trace, double share, const char* what, double ours, double theirs) {
  std::printf("NOT SO: %s at %.0f %%: %s: %.4f against %.4f\n", trace.c_str(), share * 100, what, ours, theirs);
  ++failures;
}

// GDSF asks least often, and fetches most bytes for it: see bench/README.md.
void check_best(const Table& table, const Options& options) {
  const auto ours = over_sizes(table, "shoal");
  for (const auto& name : shoal::sim::policy_names()) {
    const auto theirs = over_sizes(table, name);
    if (name == "belady") continue;
    if (ours.byte_hits < theirs.byte_hits * (1 - options.best)) {
      fail("mix", 0, ("byte hits of all sizes below those of " + name).c_str(), ours.byte_hits, theirs.byte_hits);
    }
    if (name != "gdsf" && ours.fetches > theirs.fetches * (1 + options.best)) {
      fail("mix", 0, ("more fetches at all sizes than " + name).c_str(), ours.fetches, theirs.fetches);
    }
  }
}

void check(const std::string& trace, const Table& table, const Options& options) {
  const auto ours = over_sizes(table, "shoal"), lru = over_sizes(table, "lru");
  if (ours.byte_hits < lru.byte_hits * (1 - options.all))
    fail(trace, 0, "byte hits of all sizes below LRU's", ours.byte_hits, lru.byte_hits);
  if (ours.fetches > lru.fetches * (1 + options.all))
    fail(trace, 0, "more fetches at all sizes than LRU", ours.fetches, lru.fetches);
  for (const auto& [share, scores] : table) {
    const auto& shoal = scores.at("shoal");
    if (shoal.byte_hits < scores.at("lru").byte_hits * (1 - options.each)) {
      fail(trace, share, "byte hits below LRU's", shoal.byte_hits, scores.at("lru").byte_hits);
    }
    if (shoal.fetches > scores.at("lru").fetches * (1 + options.each)) {
      fail(trace, share, "more fetches than LRU", shoal.fetches, scores.at("lru").fetches);
    }
  }
  if (trace == "mix") check_best(table, options);
}

}  // namespace

int main(int argc, char** argv) {
  const auto options = parse(argc, argv);
  std::printf("eviction_sim");
  for (int i = 1; i < argc; ++i) std::printf(" %s", argv[i]);
  std::printf("\n");
  Tables tables;
  for (std::uint64_t run = 0; run < options.runs; ++run) {
    const auto seed = options.seed + run;
    for (const auto& trace : shoal::sim::make_traces(seed * 16, options.scale)) {
      std::printf("seed %llu, %s: %zu requests for %zu blobs of %.1f GB\n", static_cast<unsigned long long>(seed),
                  trace.name.c_str(), trace.requests.size(), trace.sizes.size(),
                  static_cast<double>(trace.footprint) / 1e9);
      add(tables, trace, options, seed);
    }
  }
  std::printf("\nby cache size (of the footprint): %% of bytes that came from the cache, requests to upstream\n");
  for (const auto& [trace, table] : tables) print(trace, table);
  std::printf("\n");
  for (const auto& [trace, table] : tables) check(trace, table, options);
  std::printf("%s\n", failures == 0 ? "as bench/README.md says" : "NOT as bench/README.md says");
  return failures == 0 ? 0 : 1;
}
