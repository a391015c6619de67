// UpstreamStates: which registries are reachable, and the state of each. Made from the settings; a reload changes it.
// Any thread; the mutex is held for look-ups only. States are never dropped before the end: calls may still hold them.
#pragma once

#include <atomic>
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

  // Health that an earlier run saved comes from the store.
  UpstreamStates(std::vector<upstream::UpstreamOptions> configured, store::Store& store, base::Clock& clock);

  // Null: not reachable. Makes the instance of a pattern on first use.
  [[nodiscard]] std::shared_ptr<upstream::UpstreamState> find(std::string_view registry);
  [[nodiscard]] std::vector<std::shared_ptr<upstream::UpstreamState>> all() const;  // the reachable ones, by name

  // A reload: new options reach the states that stay; those that are gone are not found any more.
  void configure(std::vector<upstream::UpstreamOptions> configured);
  // Grows with each configure(): what find() answered before may be out of date.
  [[nodiscard]] std::uint64_t generation() const { return generation_.load(std::memory_order_acquire); }

  // What changed since the last call, to be committed.
  [[nodiscard]] std::vector<store::Write> unsaved_health();

 private:
  struct Entry {
    std::shared_ptr<upstream::UpstreamState> state;  // shared with each loop's Registry
    bool reachable = true;
    std::string saved;
  };
  Entry& make(upstream::UpstreamOptions options);  // with the mutex held

  store::Store& store_;
  base::Clock& clock_;
  mutable std::mutex mutex_;
  std::vector<upstream::UpstreamOptions> configured_;
  std::map<std::string, Entry, std::less<>> entries_;
  std::atomic<std::uint64_t> generation_{1};
};

}  // namespace shoal::app
