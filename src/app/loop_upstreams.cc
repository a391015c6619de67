#include "loop_upstreams.h"

#include <algorithm>
#include <vector>

namespace shoal::app {

std::shared_ptr<upstream::Registry> LoopUpstreams::find(std::string_view registry) {
  if (closed_) return nullptr;
  look_again();
  auto found = entries_.find(registry);
  if (found == entries_.end()) {
    make_room();
    auto state = states_.find(registry);
    if (!state) return nullptr;
    found = entries_.try_emplace(std::string(registry)).first;
    found->second.instance = states_.is_instance(registry);
    found->second.registry = upstream::make_registry(std::move(state), loop_, client_, home_, home_client_);
  }
  found->second.last_use = loop_.now();
  return found->second.reachable ? found->second.registry : nullptr;
}

void LoopUpstreams::look_again() {
  const auto now = states_.generation();
  if (now == generation_) return;
  generation_ = now;
  for (auto& [name, entry] : entries_) {
    entry.reachable = states_.find(name) != nullptr;
    entry.instance = states_.is_instance(name);
  }
}

bool LoopUpstreams::drop(Entries::iterator entry) {
  if (!entry->second.instance || entry->second.registry.use_count() != 1) return false;
  // The home loop's Registry takes the token requests of all loops with it.
  if (&loop_ == &home_ && !states_.retire(entry->first)) return false;
  const auto name = entry->first;
  entries_.erase(entry);
  states_.released(name);
  return true;
}

void LoopUpstreams::make_room() {
  std::vector<Entries::iterator> instances;
  for (auto entry = entries_.begin(); entry != entries_.end(); ++entry) {
    if (entry->second.instance) instances.push_back(entry);
  }
  auto left = instances.size();
  if (left < states_.share_of_loop()) return;
  std::sort(instances.begin(), instances.end(),
            [](const auto& a, const auto& b) { return a->second.last_use < b->second.last_use; });
  for (auto entry : instances) {
    left -= drop(entry) ? 1 : 0;
    if (left < states_.share_of_loop()) return;
  }
}

void LoopUpstreams::drop_idle() {
  if (closed_) return;
  const auto now = loop_.now();
  for (auto entry = entries_.begin(); entry != entries_.end();) {
    const auto here = entry++;
    if (now - here->second.last_use >= kIdle) (void)drop(here);  // best effort: else the next time
  }
}

void LoopUpstreams::close() {
  closed_ = true;
  entries_.clear();
}

}  // namespace shoal::app
