// Calls in random order against a simple model, and from several threads. SHOAL_SEED=n repeats a run.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <random>
#include <set>
#include <thread>

#include "tracker_rig.h"

namespace shoal::p2p {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

std::uint64_t seed_of_run() {
  const char* text = std::getenv("SHOAL_SEED");
  const std::uint64_t seed = text != nullptr ? std::strtoull(text, nullptr, 10) : std::random_device{}();
  std::printf("SHOAL_SEED=%llu\n", static_cast<unsigned long long>(seed));
  return seed;
}

// What may be said of leases from the answers alone.
struct Lease {
  int node;
  base::SteadyTime end;
};

class RandomRun {
 public:
  static constexpr int kNodes = 40;
  static constexpr int kBlobs = 60;

  RandomRun(std::uint64_t seed, TrackerOptions options)
      : random_(seed), options_(options), exact_(options.max_blobs > kBlobs), rig_(options) {
    for (int n = 0; n < kNodes; ++n) nodes_.push_back(node(n + 1, n % 4 == 0 ? "far" : ""));
  }

  void run(int calls) {
    for (int i = 0; i < calls && !testing::Test::HasFailure(); ++i) {
      if (below(4) == 0) rig_.pass(milliseconds(below(400)));
      if (below(50) == 0) rig_.tracker.sweep(rig_.now);
      const int n = below(kNodes);
      // Some nodes are silent for a time, so that they are forgotten.
      if ((n + rig_.now.time_since_epoch() / seconds(20)) % 5 == 0) continue;
      if (below(3) == 0) {
        announce(n);
      } else {
        want(n, below(kBlobs));
      }
      check_bounds();
    }
  }

 private:
  int below(int limit) { return static_cast<int>(random_() % static_cast<unsigned>(limit)); }

  void heard(int n) {
    const auto last = heard_.find(n);
    if (last != heard_.end() && rig_.now - last->second > options_.silence) end_life(n);
    heard_[n] = rig_.now;
  }
  void end_life(int n) {
    std::erase_if(leases_, [n](const auto& entry) { return entry.second.node == n; });
    std::erase_if(holds_, [n](const auto& entry) { return entry.first == n; });
    acknowledged_.erase(n);
  }
  [[nodiscard]] bool alive(int n) const { return heard_.contains(n) && rig_.now - heard_.at(n) <= options_.silence; }
  // The node that must hold the lease now, or -1.
  [[nodiscard]] int lease_holder(int b) const {
    const auto it = leases_.find(b);
    return it != leases_.end() && it->second.end > rig_.now && alive(it->second.node) ? it->second.node : -1;
  }
  static int number(const NodeInfo& who) { return std::stoi(who.id, nullptr, 16) - 1; }

  void check_named(int asker, const std::vector<NodeInfo>& named, const std::set<int>& avoid, const char* as) {
    for (const auto& who : named) {
      EXPECT_NE(number(who), asker) << as;
      EXPECT_FALSE(avoid.contains(number(who))) << as;
      EXPECT_TRUE(alive(number(who))) << as << " " << number(who);
    }
    EXPECT_LE(named.size(), options_.handout) << as;
  }

  void want(int n, int b) {
    std::set<int> avoid;
    std::vector<NodeInfo> avoided;
    for (int i = below(3) == 0 ? below(6) : 0; i > 0; --i) {
      avoid.insert(below(kNodes));
    }
    for (const int other : avoid) avoided.push_back(nodes_[other]);
    heard(n);
    holds_.erase({n, b});
    const int holder = lease_holder(b);
    const auto advice = rig_.ask(nodes_[n], blob(b), avoided);
    if (!advice.ok()) {
      EXPECT_EQ(advice.error().kind(), base::ErrorKind::busy);
      return;
    }
    if (const auto* fetch = std::get_if<Fetch>(&*advice)) {
      // Of one that most avoid it may be taken away; which and when, tracker_doubt_test.cc looks at.
      EXPECT_TRUE(holder == -1 || holder == n || avoid.contains(holder)) << "a second lease for blob " << b;
      check_named(n, fetch->partial, avoid, "parts");
      leases_[b] = {n, rig_.now + options_.lease};
      return;
    }
    if (holder == n) leases_.erase(b);
    if (const auto* wait = std::get_if<Wait>(&*advice)) {
      EXPECT_GE(wait->again, milliseconds(50));
      EXPECT_LE(wait->again, options_.lease);
      EXPECT_FALSE(avoid.empty()) << "who reaches everybody need not wait";
      return;
    }
    const auto& follow = std::get<Follow>(*advice);
    EXPECT_TRUE(!follow.complete.empty() || follow.fetcher || !follow.partial.empty());
    check_named(n, follow.complete, avoid, "complete");
    check_named(n, follow.partial, avoid, "partial");
    for (const auto& who : follow.complete) {
      const bool holds = holds_.contains({number(who), b});
      EXPECT_TRUE(holds) << number(who) << " does not hold blob " << b;
    }
    if (follow.fetcher) {
      check_named(n, {*follow.fetcher}, avoid, "fetcher");
      EXPECT_TRUE(number(*follow.fetcher) == holder || (!exact_ && holder == -1)) << number(*follow.fetcher);
    }
  }

  void announce(int n) {
    Announce announce{nodes_[n], {}, {}, {}};
    std::set<int> used;
    const auto some = [&](int limit) {
      std::set<int> blobs;
      for (int i = below(limit); i > 0; --i) {
        const int b = below(kBlobs);
        if (used.insert(b).second) blobs.insert(b);
      }
      return blobs;
    };
    const auto fetching = some(4), have = some(4), gone = some(4);
    for (const int b : fetching) announce.fetching.push_back(blob(b));
    for (const int b : have) announce.have.push_back(blob(b));
    for (const int b : gone) announce.gone.push_back(blob(b));
    announce.leaving = below(40) == 0;
    heard(n);
    if (below(30) == 0) rig_.forget_answers(nodes_[n]);
    const auto forgotten = rig_.tracker.totals().forgotten;
    const auto answer = rig_.announce(announce);
    if (answer.know_nothing_of_you && acknowledged_.contains(n)) end_life(n);
    if (!answer.know_nothing_of_you) acknowledged_.insert(n);
    const std::set<base::Digest> lost(answer.lost.begin(), answer.lost.end());
    for (const int b : fetching) {
      const int holder = lease_holder(b);
      if (holds_.contains({n, b}) && !lost.contains(blob(b))) continue;  // no lease for who has it
      if (lost.contains(blob(b))) {
        EXPECT_TRUE(holder != n && (holder != -1 || !exact_))
            << "told that it lost blob " << b << ", which nobody else fetches";
      } else if (rig_.tracker.totals().forgotten == forgotten && room_for_interests_) {
        EXPECT_TRUE(holder == -1 || holder == n) << "a second lease for blob " << b;
        leases_[b] = {n, rig_.now + options_.lease};
      }
    }
    for (const int b : gone) give_up(n, b);
    for (const int b : have) {
      give_up(n, b);
      holds_.insert({n, b});
    }
    if (announce.leaving) {
      end_life(n);
      heard_.erase(n);
      rig_.forget_answers(nodes_[n]);
    }
  }
  void give_up(int n, int b) {
    if (leases_.contains(b) && leases_.at(b).node == n) leases_.erase(b);
    holds_.erase({n, b});
  }

  void check_bounds() {
    const auto totals = rig_.tracker.totals();
    room_for_interests_ = totals.interests + 4 < options_.max_interests;
    EXPECT_LE(totals.nodes, std::size_t{kNodes} + 1);
    EXPECT_LE(totals.blobs, options_.max_blobs);
    EXPECT_LE(totals.leases, totals.blobs);
    EXPECT_LE(totals.interests, options_.max_interests);
  }

  std::mt19937_64 random_;
  const TrackerOptions options_;
  const bool exact_;  // no bound is reached, so the model knows of every lease
  TrackerRig rig_;
  std::vector<NodeInfo> nodes_;
  std::map<int, Lease> leases_;          // by blob
  std::set<std::pair<int, int>> holds_;  // node, blob: what the tracker may believe
  std::map<int, base::SteadyTime> heard_;
  std::set<int> acknowledged_;  // who was told that something is known of it
  bool room_for_interests_ = true;
};

TEST(TrackerRandom, NeverTwoLeasesNorAnybodyNamedWhoShouldNotBe) {
  const auto seed = seed_of_run();
  RandomRun({seed}, {}).run(100'000);
}

TEST(TrackerRandom, TheSameAtItsBounds) {
  const auto seed = seed_of_run();
  RandomRun({seed}, {.handout = 3, .zone_copies = 2, .max_blobs = 20, .max_holders = 3, .max_interests = 60})
      .run(100'000);
}

// Nodes that reach only some of the others, die, and stall: while one of them lives, it gets the blob.
TEST(TrackerRandom, EveryAskerIsServedWhileANodeLives) {
  std::mt19937_64 random(seed_of_run());
  const auto below = [&](int limit) { return static_cast<int>(random() % static_cast<unsigned>(limit)); };
  for (int round = 0; round < 200 && !testing::Test::HasFailure(); ++round) {
    TrackerRig rig;
    const int count = 2 + below(12);
    const int zones = 1 + below(3);
    std::vector<NodeInfo> nodes;
    for (int n = 0; n < count; ++n) nodes.push_back(node(n, base::format("z{}", below(zones))));
    std::vector<int> tells(count, 0), got(count, 0), dead(count, 0), fetched(count, -1);
    std::vector<std::set<int>> avoid(count);
    std::set<std::pair<int, int>> cut;  // pairs that do not reach each other
    for (int a = 0; a < count; ++a) {
      for (int b = 0; b < a; ++b) {
        if (below(4) == 0) cut.insert({b, a});
      }
    }
    int ticks = 0;
    const auto missing = [&] {
      int left = 0;
      for (int n = 0; n < count; ++n) left += !dead[n] && !got[n] ? 1 : 0;
      return left;
    };
    for (; missing() > 0 && ticks < 600; ++ticks) {
      rig.pass(milliseconds(500));
      rig.tracker.sweep(rig.now);
      if (below(20) == 0 && missing() > 1) dead[below(count)] = 1;
      for (int n = 0; n < count; ++n) {
        if (dead[n]) continue;
        Announce announce{nodes[n], {}, {}, {}};
        if (fetched[n] >= 0) announce.fetching.push_back(blob(1));
        const auto answer = rig.announce(announce);
        if (got[n]) {
          if (answer.know_nothing_of_you) rig.have(nodes[n], blob(1));
          continue;
        }
        if (fetched[n] >= 0 && !answer.lost.empty()) fetched[n] = -1;
        if (fetched[n] >= 0) {  // a download takes four ticks
          if (++fetched[n] < 4) continue;
          fetched[n] = -1;
          got[n] = 1;
          rig.have(nodes[n], blob(1));
          continue;
        }
        std::vector<NodeInfo> avoided;
        for (const int other : avoid[n]) avoided.push_back(nodes[other]);
        const auto advice = rig.ask(nodes[n], blob(1), avoided);
        ASSERT_TRUE(advice.ok());
        if (std::holds_alternative<Fetch>(*advice)) {
          fetched[n] = 0;
          continue;
        }
        if (std::holds_alternative<Wait>(*advice)) {
          avoid[n].clear();  // perhaps it is reached by now
          continue;
        }
        const auto& follow = std::get<Follow>(*advice);
        const auto reaches = [&](const NodeInfo& who) {
          const int other = std::stoi(who.id, nullptr, 16);
          const bool good = !dead[other] && !cut.contains({std::min(n, other), std::max(n, other)});
          if (!good) avoid[n].insert(other);
          return good;
        };
        for (const auto& who : follow.complete) {
          if (got[n] || !reaches(who)) continue;
          got[n] = 1;
          rig.have(nodes[n], blob(1));
        }
        if (got[n]) continue;
        if (follow.fetcher) (void)reaches(*follow.fetcher);
        for (const auto& who : follow.partial) {
          // Those may be stuck as well.
          if (reaches(who) && below(3) == 0) avoid[n].insert(std::stoi(who.id, nullptr, 16));
        }
      }
    }
    EXPECT_EQ(missing(), 0) << "round " << round << " of " << count << " nodes in " << zones << " zones, after "
                            << ticks / 2 << " s";
  }
}

TEST(TrackerRandom, ThreadsMayCallItAtOnce) {
  TrackerRig rig({.max_blobs = 20'000, .max_interests = 5'000});
  const auto seed = seed_of_run();
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&rig, t, seed] {
      std::mt19937_64 random(seed + static_cast<unsigned>(t));
      for (int i = 0; i < 5'000; ++i) {
        const auto now = rig.now + milliseconds(i);
        const auto who = node(1 + static_cast<int>(random() % 30), i % 2 == 0 ? "a" : "b");
        const auto digest = blob(static_cast<int>(random() % 50));
        if (i % 100 == 0) rig.tracker.sweep(now);
        if (i % 500 == 0) (void)rig.tracker.members();
        if (random() % 2 == 0) {
          (void)rig.tracker.want(who, {digest, std::nullopt, {node(3).id}}, now);
        } else {
          (void)rig.tracker.announce({who, {digest}, {blob(i)}, {blob(i - 50)}, random() % 3, i % 200 == 0}, now);
        }
      }
    });
  }
  for (auto& thread : threads) thread.join();
  rig.pass(seconds(60));
  for (int i = 0; i < 20; ++i) rig.tracker.sweep(rig.now);
  const auto totals = rig.tracker.totals();
  EXPECT_EQ(totals.nodes, 1u);
  EXPECT_EQ(totals.blobs, 0u);
  EXPECT_EQ(totals.interests, 0u);
  EXPECT_EQ(totals.leases, 0u);
}

}  // namespace
}  // namespace shoal::p2p
