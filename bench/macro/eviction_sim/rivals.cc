// The policies of others, after their papers, with sizes counted in bytes.
#include <deque>
#include <functional>
#include <list>
#include <map>
#include <set>
#include <unordered_map>

#include "policy.h"

namespace shoal::sim {
namespace {

// All whose victim is the one of least rank: LRU, LFU, GDSF, LFU with dynamic ageing, Belady.
class Ranked final : public Policy {
 public:
  struct Entry {
    double rank = 0;
    double order = 0;  // between equal ranks the one asked for longest ago goes
    std::uint32_t uses = 0;
  };
  // The rank of a blob that was just asked for; `aged`: the rank of the last that left.
  using Rank = std::function<double(const Entry&, std::uint64_t size, double aged, Moment now)>;

  Ranked(const Trace& trace, Rank rank) : trace_(trace), rank_(std::move(rank)) {}

  void hit(std::uint32_t blob, Moment now) override { place(blob, now); }
  void insert(std::uint32_t blob, Moment now) override { place(blob, now); }
  std::vector<std::uint32_t> evict(std::uint64_t, Moment) override {
    const auto first = order_.begin();
    const auto blob = std::get<2>(*first);
    aged_ = std::get<0>(*first);
    order_.erase(first);
    entries_.erase(blob);
    return {blob};
  }

 private:
  void place(std::uint32_t blob, Moment now) {
    auto& entry = entries_[blob];
    if (entry.uses > 0) order_.erase({entry.rank, entry.order, blob});
    ++entry.uses;
    entry.order = ++clock_;
    entry.rank = rank_(entry, trace_.sizes[blob], aged_, now);
    order_.insert({entry.rank, entry.order, blob});
  }

  const Trace& trace_;
  Rank rank_;
  double aged_ = 0;
  double clock_ = 0;
  std::unordered_map<std::uint32_t, Entry> entries_;
  std::set<std::tuple<double, double, std::uint32_t>> order_;
};

// Yang et al., "FIFO queues are all you need for cache eviction" (SOSP 2023).
class S3Fifo final : public Policy {
 public:
  S3Fifo(const Trace& trace, std::uint64_t capacity) : trace_(trace), small_limit_(capacity / 10) {}

  void hit(std::uint32_t blob, Moment) override {
    auto& uses = uses_[blob];
    if (uses < 3) ++uses;
  }
  void insert(std::uint32_t blob, Moment) override {
    uses_[blob] = 0;
    if (ghosts_.erase(blob) > 0) {
      main_.push_front(blob);
    } else {
      small_.push_front(blob);
      small_bytes_ += trace_.sizes[blob];
    }
  }
  std::vector<std::uint32_t> evict(std::uint64_t, Moment) override {
    for (;;) {
      if (!small_.empty() && (small_bytes_ > small_limit_ || main_.empty())) {
        const auto blob = small_.back();
        small_.pop_back();
        small_bytes_ -= trace_.sizes[blob];
        if (uses_[blob] > 1) {
          uses_[blob] = 0;
          main_.push_front(blob);
          continue;
        }
        remember(blob);
        uses_.erase(blob);
        return {blob};
      }
      const auto blob = main_.back();
      main_.pop_back();
      if (uses_[blob] > 0) {
        --uses_[blob];
        main_.push_front(blob);
        continue;
      }
      uses_.erase(blob);
      return {blob};
    }
  }

 private:
  void remember(std::uint32_t blob) {
    ghosts_[blob] = ++remembered_;
    ghost_order_.emplace_back(blob, remembered_);
    while (ghost_order_.size() > std::max<std::size_t>(main_.size(), 8)) {
      const auto [oldest, stamp] = ghost_order_.front();
      if (const auto it = ghosts_.find(oldest); it != ghosts_.end() && it->second == stamp) ghosts_.erase(it);
      ghost_order_.pop_front();
    }
  }

  const Trace& trace_;
  std::uint64_t small_limit_, small_bytes_ = 0;
  std::deque<std::uint32_t> small_, main_;
  std::unordered_map<std::uint32_t, int> uses_;
  std::unordered_map<std::uint32_t, std::uint64_t> ghosts_;  // to the stamp they have in ghost_order_
  std::deque<std::pair<std::uint32_t, std::uint64_t>> ghost_order_;
  std::uint64_t remembered_ = 0;
};

// Zhang et al., "SIEVE is simpler than LRU" (NSDI 2024).
class Sieve final : public Policy {
 public:
  void hit(std::uint32_t blob, Moment) override { places_.at(blob)->visited = true; }
  void insert(std::uint32_t blob, Moment) override {
    queue_.push_front({blob, false});
    places_[blob] = queue_.begin();
  }
  std::vector<std::uint32_t> evict(std::uint64_t, Moment) override {
    if (hand_ == queue_.end()) hand_ = std::prev(queue_.end());
    while (hand_->visited) {
      hand_->visited = false;
      hand_ = hand_ == queue_.begin() ? std::prev(queue_.end()) : std::prev(hand_);
    }
    const auto victim = hand_;
    const auto blob = victim->blob;
    hand_ = victim == queue_.begin() ? queue_.end() : std::prev(victim);
    queue_.erase(victim);
    places_.erase(blob);
    return {blob};
  }

 private:
  struct Node {
    std::uint32_t blob;
    bool visited;
  };
  std::list<Node> queue_;  // newest first
  std::list<Node>::iterator hand_ = queue_.end();
  std::unordered_map<std::uint32_t, std::list<Node>::iterator> places_;
};

}  // namespace

const std::vector<std::string>& policy_names() {
  static const std::vector<std::string> names{"shoal", "lru", "lfu", "lfuda", "gdsf", "s3fifo", "sieve", "belady"};
  return names;
}

std::unique_ptr<Policy> make_policy(const std::string& name, const Trace& trace, std::uint64_t capacity,
                                    std::uint64_t seed) {
  using Entry = Ranked::Entry;
  const std::map<std::string, Ranked::Rank> ranks = {
      {"lru", [](const Entry& e, std::uint64_t, double, Moment) { return e.order; }},
      {"lfu", [](const Entry& e, std::uint64_t, double, Moment) { return e.uses; }},
      {"lfuda", [](const Entry& e, std::uint64_t, double aged, Moment) { return aged + e.uses; }},
      {"gdsf", [](const Entry& e, std::uint64_t size, double aged,
                  Moment) { return aged + e.uses / static_cast<double>(size); }},
      {"belady", [](const Entry&, std::uint64_t, double, Moment now) { return -static_cast<double>(now.next); }},
  };
  if (const auto rank = ranks.find(name); rank != ranks.end()) return std::make_unique<Ranked>(trace, rank->second);
  if (name == "s3fifo") return std::make_unique<S3Fifo>(trace, capacity);
  if (name == "sieve") return std::make_unique<Sieve>();
  return make_shipped(trace, seed);
}

}  // namespace shoal::sim
