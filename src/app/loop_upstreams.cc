#include "loop_upstreams.h"

namespace shoal::app {

upstream::Registry* LoopUpstreams::find(std::string_view registry) {
  if (closed_) return nullptr;
  if (const auto now = states_.generation(); now != generation_) {
    generation_ = now;
    for (auto& [name, entry] : entries_) entry.reachable = states_.find(name) != nullptr;
  }
  auto found = entries_.find(registry);
  if (found == entries_.end()) {
    auto state = states_.find(registry);
    if (!state) return nullptr;
    found = entries_.try_emplace(std::string(registry)).first;
    found->second.registry = upstream::make_registry(std::move(state), loop_, client_, home_, home_client_);
  }
  return found->second.reachable ? found->second.registry.get() : nullptr;
}

void LoopUpstreams::close() {
  closed_ = true;
  entries_.clear();
}

}  // namespace shoal::app
