// The choice of victims for eviction, over samples as the store draws them.
#include <benchmark/benchmark.h>

#include <random>

#include "shoal/base/format.h"
#include "shoal/store/evict.h"

namespace shoal::store {
namespace {

constexpr std::uint64_t kBytes = std::uint64_t{4} << 30;  // to be freed

std::vector<Candidate> sample_of(std::int64_t count, base::WallTime now) {
  std::mt19937_64 random(5);
  std::vector<Candidate> sample;
  for (std::int64_t i = 0; i < count; ++i) {
    Candidate candidate{base::digest_of(fmt::format("blob {}", i)), {}, i % 50 == 0};
    candidate.record.size = 1 + random() % (std::uint64_t{256} << 20);
    candidate.record.uses = 1 + static_cast<std::uint32_t>(random() % 40);
    candidate.record.last_use = now - std::chrono::seconds(random() % (30 * 86'400));
    candidate.record.pinned = i % 97 == 0;
    sample.push_back(std::move(candidate));
  }
  return sample;
}

void choose_victims_of(benchmark::State& state) {
  const base::WallTime now{std::chrono::hours(500'000)};
  const auto sample = sample_of(state.range(0), now);
  for (auto _ : state) benchmark::DoNotOptimize(choose_victims(sample, kBytes, now));
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(choose_victims_of)->Arg(64)->Arg(1'024)->Arg(16'384);

}  // namespace
}  // namespace shoal::store
