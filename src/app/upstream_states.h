// UpstreamStates: which registries are reachable, and the state of each. Made from the settings; a reload changes it.
// Any thread; the mutex is held for look-ups only.
//
// A pattern ("*.example.com") has an instance for each name that clients come up with. Those stay while a loop holds
// them, and a while after that; beyond kMaxInstances the one that nobody has held for longest goes. All others stay.
#pragma once

#include <atomic>
#include <chrono>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "shoal/base/clock.h"
#include "shoal/store/store.h"
#include "shoal/upstream/state.h"

namespace shoal::app {

class UpstreamStates {
 public:
  static constexpr std::size_t kMaxInstances = 1000;  // of patterns: clients choose their names
  static constexpr std::chrono::minutes kIdle{60};    // without a holder for so long: it goes

  // Health that an earlier run saved comes from the store.
  UpstreamStates(std::vector<upstream::UpstreamOptions> configured, store::Store& store, base::Clock& clock,
                 std::size_t loops = 1);

  // Null: not reachable, or as many instances as there may be are in use. Makes the instance of a pattern on first use.
  [[nodiscard]] std::shared_ptr<upstream::UpstreamState> find(std::string_view registry);
  [[nodiscard]] bool is_instance(std::string_view registry) const;
  // So many instances may a loop hold that it does not use: all loops together no more than half of them.
  [[nodiscard]] std::size_t share_of_loop() const { return share_; }
  void released(std::string_view registry);  // by a loop: its age begins anew
  // For the loop whose Registry closes the state when it goes: true if nobody else holds it. Then it is not found any
  // more, and the loop's is the last one.
  [[nodiscard]] bool retire(std::string_view registry);

  [[nodiscard]] std::vector<std::shared_ptr<upstream::UpstreamState>> all() const;  // the reachable ones, by name

  // A reload: new options reach the states that stay; those that are gone are not found any more.
  void configure(std::vector<upstream::UpstreamOptions> configured);
  // Grows with each configure(): what find() answered before may be out of date.
  [[nodiscard]] std::uint64_t generation() const { return generation_.load(std::memory_order_acquire); }

  // What changed since the last call, to be committed. Idle instances go.
  [[nodiscard]] std::vector<store::Write> unsaved_health();

 private:
  struct Entry {
    std::shared_ptr<upstream::UpstreamState> state;  // shared with each loop's Registry
    bool reachable = true;
    bool instance = false;
    std::string saved;
    base::SteadyTime last_use{};
  };
  using Entries = std::map<std::string, Entry, std::less<>>;
  // --- with the mutex held ---
  Entry& make(upstream::UpstreamOptions options, bool instance);
  bool make_room();
  Entries::iterator erase(Entries::iterator entry);

  store::Store& store_;
  base::Clock& clock_;
  const std::size_t share_;
  mutable std::mutex mutex_;
  std::vector<upstream::UpstreamOptions> configured_;
  Entries entries_;
  std::size_t instances_ = 0;           // of entries_
  std::vector<std::string> forgotten_;  // whose saved health is to go
  std::atomic<std::uint64_t> generation_{1};
};

}  // namespace shoal::app
