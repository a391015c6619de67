// MapFeed: what this node knows of one blob's piece map, as a log that neighbours follow. Written on the home loop,
// read on the loops that answer them; a mutex for a few instructions. The first word about a piece stays.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <unordered_map>
#include <vector>

#include "shoal/base/loop.h"
#include "shoal/p2p/share.h"

namespace shoal::p2p {

struct MapEntry {
  std::uint32_t piece = 0;
  PieceHash hash{};
  bool operator==(const MapEntry&) const = default;
};

// How long a stream of a map gathers entries before it tells more of them, where so many nodes follow it: each entry
// goes to all of them, and a frame of its own would cost twice what it holds. Few are told at once.
[[nodiscard]] constexpr std::chrono::microseconds gather_time(std::uint32_t followers) {
  constexpr std::chrono::microseconds kEach{50}, kMost{200'000};
  return followers < kMost / kEach ? followers * kEach : kMost;
}

using TakerRanks = std::map<std::uint64_t, std::uint32_t>;  // by the taker's id

class MapFeed {
 public:
  struct Cursor {
    std::uint64_t taker = 0;  // whose it is
    std::size_t entries = 0;  // read so far
    std::uint32_t followers = 0;
    std::uint64_t seen = 0;
  };
  struct News {
    std::vector<MapEntry> entries;
    std::uint32_t stripes = 0;          // how many there are
    std::optional<std::uint32_t> rank;  // the reader's, if it is not the one that it had first
    std::uint32_t followers = 0;        // how many nodes follow this map: no news
    bool spreads = false;               // followers take their stripes of it only
    bool ended = false;                 // the map is worth nothing any more, or this node goes
  };

  void push(const MapEntry& entry);
  void push(const std::vector<MapEntry>& entries);
  // How many stripes there are, and the ranks of those who have another than they had first.
  void set_places(std::uint32_t stripes, TakerRanks moved);
  void set_followers(std::uint32_t followers);  // wakes nobody
  void set_spreads(bool spreads);
  void end();
  [[nodiscard]] std::size_t size() const;
  [[nodiscard]] std::vector<MapEntry> all() const;

  [[nodiscard]] Cursor attach(std::uint64_t taker);  // one a taker
  void detach(const Cursor& cursor);
  [[nodiscard]] News read(Cursor& cursor, std::size_t most);
  // `wake` is posted to `loop` when something changed since the cursor's last read. One a taker; a new one replaces
  // it.
  void wait(const Cursor& cursor, base::Loop& loop, base::UniqueFunction<void()> wake);

 private:
  struct Waiter {
    base::Loop* loop;
    base::UniqueFunction<void()> wake;
  };
  void changed(std::unique_lock<std::mutex>& lock);  // unlocks

  mutable std::mutex mutex_;
  std::vector<MapEntry> entries_;
  std::uint32_t stripes_ = 0;
  TakerRanks moved_;
  std::uint32_t followers_ = 0;
  bool spreads_ = false;
  bool ended_ = false;
  std::uint64_t version_ = 1;
  std::unordered_map<std::uint64_t, Waiter> waiters_;
};

}  // namespace shoal::p2p
