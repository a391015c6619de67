// World: virtual time, what is to happen when, and one random source: what a seed makes of the simulation is in here.
// One thread. Owners are nodes by number, kNobody the world itself: what a node posted can be run to its end when the
// node goes, whenever it was due.
#pragma once

#include <cstdint>
#include <map>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "shoal/base/clock.h"
#include "shoal/base/format.h"
#include "shoal/base/loop.h"

namespace shoal::sim {

using Millis = std::chrono::milliseconds;
inline constexpr int kNobody = -1;

class World {
 public:
  enum class Kind { post, timer };
  using Key = std::pair<base::SteadyTime, std::uint64_t>;  // when, and in which order

  World(std::uint64_t seed, bool verbose);
  ~World();
  // There is one at a time: the client and the log of the product find it here.
  [[nodiscard]] static World& current();

  [[nodiscard]] base::SteadyTime now() const { return now_; }
  [[nodiscard]] Millis since_start() const;
  [[nodiscard]] int running() const { return running_; }  // whose event
  Key schedule(base::SteadyTime when, int owner, Kind kind, base::UniqueFunction<void()> run);
  Key after(std::chrono::nanoseconds delay, int owner, base::UniqueFunction<void()> run) {
    return schedule(now_ + delay, owner, Kind::timer, std::move(run));
  }
  void cancel(const Key& key) { events_.erase(key); }
  void run_until(base::SteadyTime end);
  void drain(int owner);  // what it posted, and what comes of that; no timers
  void clear();           // forgets what is still to happen
  [[nodiscard]] std::uint64_t events_run() const { return events_run_; }

  // From 0 to below `n`; `n` > 0.
  [[nodiscard]] std::uint64_t pick(std::uint64_t n) { return random_() % n; }
  [[nodiscard]] bool chance(unsigned percent) { return pick(100) < percent; }

  // One line of the event log, with the virtual time.
  template <class... Args>
  void tell(fmt::format_string<Args...> text, Args&&... args) {
    if (verbose_) print(fmt::vformat(text, fmt::make_format_args(args...)));
  }
  [[nodiscard]] bool verbose() const { return verbose_; }
  void print(std::string_view line) const;

  // An invariant does not hold. The run goes on, so that what follows from it can be seen.
  template <class... Args>
  void violation(fmt::format_string<Args...> text, Args&&... args) {
    note_violation(fmt::vformat(text, fmt::make_format_args(args...)));
  }
  [[nodiscard]] const std::vector<std::string>& violations() const { return violations_; }

  // Lines of the product's log that say that a node went upstream without the site: by node.
  std::map<int, std::vector<std::string>> fall_backs;

 private:
  struct Event {
    int owner;
    Kind kind;
    base::UniqueFunction<void()> run;
  };
  void note_violation(std::string text);
  void run_event(std::map<Key, Event>::iterator at);

  const bool verbose_;
  std::mt19937_64 random_;
  base::SteadyTime now_;
  std::uint64_t next_ = 0;
  std::uint64_t events_run_ = 0;
  int running_ = kNobody;
  std::map<Key, Event> events_;
  std::vector<std::string> violations_;
};

// The clock of one node: its wall is `skew` ahead of the others'.
class SimClock final : public base::Clock {
 public:
  explicit SimClock(World& world) : world_(world) {}
  [[nodiscard]] base::WallTime wall_now() const override;
  [[nodiscard]] base::SteadyTime steady_now() const override { return world_.now(); }
  Millis skew{0};

 private:
  World& world_;
};

class SimLoop final : public base::Loop {
 public:
  SimLoop(World& world, int owner) : world_(world), owner_(owner) {}
  void post(base::UniqueFunction<void()> work) override {
    world_.schedule(world_.now(), owner_, World::Kind::post, std::move(work));
  }
  [[nodiscard]] base::Timer schedule(std::chrono::milliseconds delay, base::UniqueFunction<void()> fire) override;
  [[nodiscard]] bool in_loop() const override { return true; }
  [[nodiscard]] base::SteadyTime now() const override { return world_.now(); }
  [[nodiscard]] unsigned index() const override { return 0; }

 private:
  World& world_;
  int owner_;
};

// The disk of one node: each piece of work takes `delay`.
class SimDisk final : public base::Executor {
 public:
  SimDisk(World& world, int owner) : world_(world), owner_(owner) {}
  void post(base::UniqueFunction<void()> work) override;
  std::chrono::microseconds delay{50};

 private:
  World& world_;
  int owner_;
  base::SteadyTime last_{};
};

}  // namespace shoal::sim
