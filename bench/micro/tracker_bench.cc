// A tracker with 1,000,000 records: what a question and an announcement cost, from one thread and from two, and what a
// record weighs.
#include <benchmark/benchmark.h>
#include <malloc.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "shoal/base/format.h"
#include "shoal/p2p/tracker.h"

namespace shoal::p2p {
namespace {

constexpr int kRecords = 1'000'000;
constexpr int kNodes = 1'000;

std::size_t resident_bytes() {
  std::ifstream file("/proc/self/statm");
  std::size_t size = 0, resident = 0;
  file >> size >> resident;
  return resident * static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
}

// As well spread as a hash, and cheap, so that the loop measures the tracker.
base::Digest digest(std::uint64_t n) {
  std::uint8_t raw[32];
  for (std::uint64_t word = 0; word < 4; ++word) {
    std::uint64_t x = n * 4 + word + 0x9e3779b97f4a7c15ULL;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ULL;
    x = (x ^ x >> 27) * 0x94d049bb133111ebULL;
    x ^= x >> 31;
    std::memcpy(raw + word * 8, &x, 8);
  }
  return base::Digest::from_bytes(base::HashAlgorithm::sha256, raw);
}

NodeInfo node(int n) {
  return {base::format("{:032x}", n), base::format("http://10.0.{}.{}:5000", n / 250, n % 250), "", 6881};
}

class Filled {
 public:
  Filled() {
    options_.silence = std::chrono::hours(1);
    for (int n = 0; n < kNodes; ++n) nodes.push_back(node(n));
    malloc_trim(0);
    const auto before = resident_bytes();
    tracker = std::make_unique<Tracker>(node(kNodes), options_);
    for (int n = 0; n < kRecords; n += 500) {
      Announce announce{nodes[static_cast<std::size_t>(n) / 500 % kNodes], {}, {}, {}};
      for (int i = n; i < n + 500; ++i) announce.have.push_back(digest(static_cast<std::uint64_t>(i)));
      if (!tracker->announce(announce, now).ok()) std::abort();
    }
    malloc_trim(0);
    bytes_per_record = static_cast<double>(resident_bytes() - before) / kRecords;
    if (tracker->totals().blobs != kRecords) std::abort();
    // Everybody is told of everybody, so that no list of members is part of what is measured.
    for (int round = 0; round < 2 * kNodes / static_cast<int>(kMaxMembers) + 3; ++round) {
      for (std::size_t n = 0; n < nodes.size(); ++n) {
        const auto answer = tracker->announce({nodes[n], {}, {}, {}, seen[n]}, now);
        if (!answer.ok()) std::abort();
        seen[n] = answer->version;
        told_all = answer->members.empty() && !answer->know_nothing_of_you;
      }
    }
    if (!told_all) std::abort();
  }

  const base::SteadyTime now{std::chrono::hours(1)};
  std::vector<NodeInfo> nodes;
  std::unique_ptr<Tracker> tracker;
  std::vector<std::uint64_t> seen = std::vector<std::uint64_t>(kNodes);
  double bytes_per_record = 0;
  bool told_all = false;

 private:
  TrackerOptions options_;
};

Filled& filled() {
  static Filled tracker;
  return tracker;
}

std::atomic<std::uint64_t> next_run{1};
std::uint64_t start(benchmark::State& state) {
  state.counters["bytes_per_record"] = benchmark::Counter(filled().bytes_per_record, benchmark::Counter::kAvgThreads);
  return next_run.fetch_add(1) * 7'654'321;
}

// "Who has it?", and then that the asker has it too: two calls.
void tracker_want_and_have(benchmark::State& state) {
  Filled& f = filled();
  std::uint64_t n = start(state);
  Announce have{f.nodes[0], {}, {digest(0)}, {}};
  for (auto _ : state) {
    n = (n + 7919) % kRecords;
    const auto advice = f.tracker->want(f.nodes[n % kNodes], {digest(n), std::nullopt, {}}, f.now);
    have.node = f.nodes[n % kNodes];
    have.seen = f.seen[n % kNodes];
    have.have[0] = digest(n);
    const auto answer = f.tracker->announce(have, f.now);
    if (!advice.ok() || !answer.ok()) state.SkipWithError("refused");
  }
}
BENCHMARK(tracker_want_and_have)->Threads(1)->Threads(2)->UseRealTime();

// What a node says once a second, with so many digests in it.
void tracker_announce(benchmark::State& state) {
  Filled& f = filled();
  std::uint64_t n = start(state);
  Announce announce{f.nodes[0], {}, {}, {}};
  const auto count = static_cast<std::size_t>(state.range(0));
  for (auto _ : state) {
    n = (n + 7919) % kRecords;
    announce.node = f.nodes[n % kNodes];
    announce.seen = f.seen[n % kNodes];
    announce.have.clear();
    for (std::size_t i = 0; i < count; ++i) announce.have.push_back(digest((n + i * 104'729) % kRecords));
    const auto answer = f.tracker->announce(announce, f.now);
    if (!answer.ok() || !answer->members.empty()) return state.SkipWithError("refused, or members told");
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(tracker_announce)->Arg(0)->Arg(1)->Arg(16)->Threads(1)->Threads(2)->UseRealTime();

void tracker_sweep(benchmark::State& state) {
  Filled& f = filled();
  (void)start(state);
  for (auto _ : state) f.tracker->sweep(f.now);
}
BENCHMARK(tracker_sweep);

}  // namespace
}  // namespace shoal::p2p
