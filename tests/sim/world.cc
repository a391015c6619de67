#include "world.h"

#include <cstdio>
#include <cstdlib>

namespace shoal::sim {
namespace {

World* the_world = nullptr;
constexpr std::chrono::seconds kSteadyStart{1'000};
constexpr std::chrono::seconds kWallStart{1'800'000'000};

}  // namespace

World::World(std::uint64_t seed, bool verbose)
    : verbose_(verbose), random_(seed * 2'654'435'761U + 1), now_(kSteadyStart) {
  if (the_world != nullptr) std::abort();
  the_world = this;
}

World::~World() { the_world = nullptr; }

World& World::current() {
  if (the_world == nullptr) std::abort();
  return *the_world;
}

Millis World::since_start() const { return std::chrono::duration_cast<Millis>(now_.time_since_epoch() - kSteadyStart); }

World::Key World::schedule(base::SteadyTime when, int owner, Kind kind, base::UniqueFunction<void()> run) {
  const Key key{std::max(when, now_), next_++};
  events_.emplace(key, Event{owner, kind, std::move(run)});
  return key;
}

void World::run_event(std::map<Key, Event>::iterator at) {
  auto event = std::move(at->second);
  events_.erase(at);
  const int before = std::exchange(running_, event.owner);
  ++events_run_;
  event.run();
  event.run = nullptr;  // its captures die as the owner
  running_ = before;
}

void World::run_until(base::SteadyTime end) {
  while (!events_.empty() && events_.begin()->first.first <= end) {
    now_ = events_.begin()->first.first;
    run_event(events_.begin());
  }
  now_ = std::max(now_, end);
}

void World::drain(int owner) {
  for (;;) {
    auto at = events_.begin();
    while (at != events_.end() && (at->second.owner != owner || at->second.kind != Kind::post)) ++at;
    if (at == events_.end()) return;
    run_event(at);
  }
}

void World::clear() {
  while (!events_.empty()) {
    const auto event = std::move(events_.begin()->second);
    events_.erase(events_.begin());  // what goes with it may cancel others
  }
}

void World::print(std::string_view line) const {
  const auto ms = since_start().count();
  std::printf("%3lld.%03lld  %.*s\n", static_cast<long long>(ms / 1'000), static_cast<long long>(ms % 1'000),
              static_cast<int>(line.size()), line.data());
}

void World::note_violation(std::string text) {
  auto line = base::format("after {} ms: {}", since_start().count(), text);
  if (verbose_) print("VIOLATION: " + text);
  violations_.push_back(std::move(line));
}

base::WallTime SimClock::wall_now() const {
  return base::WallTime(kWallStart) + std::chrono::duration_cast<base::WallTime::duration>(world_.since_start() + skew);
}

namespace {

struct SimTimer final : base::Timer::Impl {
  explicit SimTimer(World& w) : world(w) {}
  ~SimTimer() override {
    if (armed) world.cancel(key);
  }
  World& world;
  World::Key key;
  bool armed = true;
};

}  // namespace

base::Timer SimLoop::schedule(std::chrono::milliseconds delay, base::UniqueFunction<void()> fire) {
  auto timer = std::make_unique<SimTimer>(world_);
  timer->key = world_.schedule(world_.now() + delay, owner_, World::Kind::timer,
                               [timer = timer.get(), fire = std::move(fire)]() mutable {
                                 timer->armed = false;
                                 fire();
                               });
  return base::Timer(std::move(timer));
}

void SimDisk::post(base::UniqueFunction<void()> work) {
  last_ = std::max(last_, world_.now() + delay);
  world_.schedule(last_, owner_, World::Kind::post, std::move(work));
}

}  // namespace shoal::sim
