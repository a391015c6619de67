#include "shoal/store/evict.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <random>

namespace shoal::store {
namespace {

using std::chrono::hours;
using std::chrono::seconds;
constexpr std::uint64_t kMiB = 1ULL << 20;
const base::WallTime kNow{hours(24 * 365 * 50)};

Candidate candidate(std::uint64_t size, seconds idle, std::uint32_t uses, std::string name = "x") {
  BlobRecord record;
  record.size = size;
  record.last_use = kNow - idle;
  record.uses = uses;
  return {base::digest_of(name), record, false};
}

TEST(ChooseVictims, TakesTheWorstUntilTheirSizesReachTheNeed) {
  const std::vector<Candidate> sample{candidate(kMiB, seconds(10), 1), candidate(kMiB, hours(10), 1),
                                      candidate(kMiB, hours(1), 1)};
  EXPECT_EQ(choose_victims(sample, 1, kNow), (std::vector<std::size_t>{1}));
  EXPECT_EQ(choose_victims(sample, kMiB + 1, kNow), (std::vector<std::size_t>{1, 2}));
  EXPECT_EQ(choose_victims(sample, 100 * kMiB, kNow).size(), 3U);
  EXPECT_TRUE(choose_victims(sample, 0, kNow).empty());
  EXPECT_TRUE(choose_victims({}, 5, kNow).empty());
}

TEST(ChooseVictims, NeverTakesPinnedOrInUse) {
  std::vector<Candidate> sample{candidate(kMiB, hours(100), 1), candidate(kMiB, hours(100), 1)};
  sample[0].record.pinned = true;
  sample[1].in_use = true;
  EXPECT_TRUE(choose_victims(sample, kMiB, kNow).empty());
}

TEST(ChooseVictims, LargeBlobUsedOnceGoesBeforeSmallOneUsedOften) {
  const std::vector<Candidate> sample{candidate(kMiB, hours(2), 20), candidate(500 * kMiB, hours(1), 1)};
  EXPECT_EQ(choose_victims(sample, 1, kNow), (std::vector<std::size_t>{1}));
}

TEST(ChooseVictims, OldFameFades) {
  const std::vector<Candidate> sample{candidate(kMiB, hours(24 * 100), 1000), candidate(kMiB, hours(24), 1)};
  EXPECT_EQ(choose_victims(sample, 1, kNow), (std::vector<std::size_t>{0}));
}

TEST(ChooseVictims, TimesFromTheFutureDoNoHarm) {
  const std::vector<Candidate> sample{candidate(kMiB, -hours(5), 1), candidate(kMiB, hours(5), 1)};
  EXPECT_EQ(choose_victims(sample, 1, kNow), (std::vector<std::size_t>{1}));
}

TEST(ChooseVictims, SmallBlobsStayButAmongLargeOnesSizeHardlyMatters) {
  const std::vector<Candidate> sample{candidate(kMiB / 100, hours(20), 1), candidate(100 * kMiB, hours(1), 1),
                                      candidate(1000 * kMiB, hours(1) - seconds(600), 1)};
  EXPECT_EQ(choose_victims(sample, UINT64_MAX, kNow), (std::vector<std::size_t>{1, 2, 0}));
}

TEST(ChooseVictims, BlobUsedAgainStaysThroughAScanOfNewerOnes) {
  const std::vector<Candidate> sample{candidate(kMiB, hours(6), 4), candidate(kMiB, hours(1), 1)};
  EXPECT_EQ(choose_victims(sample, 1, kNow), (std::vector<std::size_t>{1}));
}

TEST(Departed, TellsTheUsesOfABlobOnce) {
  Departed departed;
  departed.remember(base::digest_of("a"), 7);
  departed.remember(base::digest_of("b"), 0);
  EXPECT_EQ(departed.take(base::digest_of("a")), 7U);
  EXPECT_EQ(departed.take(base::digest_of("a")), 0U);
  EXPECT_EQ(departed.take(base::digest_of("b")), 1U) << "it was here";
  EXPECT_EQ(departed.take(base::digest_of("c")), 0U);
}

TEST(Departed, TheOldestAreForgotten) {
  Departed departed(100);
  for (int i = 0; i < 1000; ++i) departed.remember(base::digest_of(std::to_string(i)), 2);
  int known = 0;
  for (int i = 0; i < 900; ++i) known += departed.take(base::digest_of(std::to_string(i))) > 0 ? 1 : 0;
  EXPECT_EQ(known, 0);
  for (int i = 950; i < 1000; ++i) EXPECT_EQ(departed.take(base::digest_of(std::to_string(i))), 2U) << i;
}

// A cache of `capacity` bytes under a trace: popular small layers, and again and again a scan of large ones that nobody
// asks for twice. `choose` picks what goes.
struct Item {
  std::uint64_t size = 0;
  BlobRecord record;
};
template <class Choose>
double hit_rate(Choose choose) {
  constexpr std::uint64_t kCapacity = 2000 * kMiB;
  std::mt19937 random(7);
  std::map<int, Item> cache;
  std::uint64_t used = 0;
  int hits = 0, asked = 0, next_scan = 1'000'000;
  base::WallTime now = kNow;
  const auto ask = [&](int id, std::uint64_t size, bool counts) {
    now += seconds(10);
    const auto it = cache.find(id);
    if (counts) ++asked;
    if (it != cache.end()) {
      if (counts) ++hits;
      it->second.record.last_use = now;
      ++it->second.record.uses;
      return;
    }
    while (used + size > kCapacity) {
      const int victim = choose(cache, now);
      used -= cache[victim].size;
      cache.erase(victim);
    }
    used += size;
    Item item{size, {}};
    item.record.size = size;
    item.record.last_use = now;
    item.record.uses = 1;
    cache[id] = item;
  };
  for (int round = 0; round < 60; ++round) {
    for (int i = 0; i < 100; ++i) {
      const auto id = static_cast<int>(std::pow(300.0, std::uniform_real_distribution<>(0, 1)(random)));
      ask(id, (1 + static_cast<std::uint64_t>(id) % 20) * kMiB, true);
    }
    for (int i = 0; i < 20; ++i) ask(next_scan++, 100 * kMiB, false);
  }
  return static_cast<double>(hits) / asked;
}

TEST(ChooseVictims, BeatsPlainLruWhenScansPassThrough) {
  const double lru = hit_rate([](const std::map<int, Item>& cache, base::WallTime) {
    return std::min_element(
               cache.begin(), cache.end(),
               [](const auto& a, const auto& b) { return a.second.record.last_use < b.second.record.last_use; })
        ->first;
  });
  const double ours = hit_rate([](const std::map<int, Item>& cache, base::WallTime now) {
    std::vector<Candidate> sample;
    std::vector<int> ids;
    for (const auto& [id, item] : cache) {
      sample.push_back({base::digest_of(std::to_string(id)), item.record, false});
      ids.push_back(id);
    }
    return ids[choose_victims(sample, 1, now).front()];
  });
  EXPECT_GT(ours, lru + 0.2) << "lru " << lru << ", ours " << ours;
}

}  // namespace
}  // namespace shoal::store
