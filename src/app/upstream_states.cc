#include "upstream_states.h"

#include "shoal/app/settings.h"
#include "shoal/base/format.h"

namespace shoal::app {
namespace {

std::string health_key(std::string_view name) { return base::format("upstream/{}/health", name); }

bool is_pattern(const upstream::UpstreamOptions& options) { return options.name.starts_with("*."); }

}  // namespace

UpstreamStates::UpstreamStates(std::vector<upstream::UpstreamOptions> configured, store::Store& store,
                               base::Clock& clock)
    : store_(store), clock_(clock), configured_(std::move(configured)) {
  for (const auto& options : configured_) {
    if (!is_pattern(options)) make(options);
  }
}

UpstreamStates::Entry& UpstreamStates::make(upstream::UpstreamOptions options) {
  const auto name = options.name;
  Entry& entry = entries_[name];
  entry.state = upstream::make_state(std::move(options), clock_);
  entry.saved = store_.find_state(health_key(name)).value_or(std::string());
  if (!entry.saved.empty()) entry.state->load_health(entry.saved);
  return entry;
}

std::shared_ptr<upstream::UpstreamState> UpstreamStates::find(std::string_view registry) {
  const std::lock_guard lock(mutex_);
  if (const auto known = entries_.find(registry); known != entries_.end()) {
    return known->second.reachable ? known->second.state : nullptr;
  }
  const auto* options = find_upstream(configured_, registry);
  if (options == nullptr || entries_.size() >= kMaxInstances + configured_.size()) return nullptr;
  return make(is_pattern(*options) ? instance_of(*options, registry) : *options).state;
}

std::vector<std::shared_ptr<upstream::UpstreamState>> UpstreamStates::all() const {
  const std::lock_guard lock(mutex_);
  std::vector<std::shared_ptr<upstream::UpstreamState>> states;
  for (const auto& [name, entry] : entries_) {
    if (entry.reachable) states.push_back(entry.state);
  }
  return states;
}

void UpstreamStates::configure(std::vector<upstream::UpstreamOptions> configured) {
  const std::lock_guard lock(mutex_);
  configured_ = std::move(configured);
  for (auto& [name, entry] : entries_) {
    const auto* options = find_upstream(configured_, name);
    entry.reachable = options != nullptr;
    if (options != nullptr) entry.state->set_options(is_pattern(*options) ? instance_of(*options, name) : *options);
  }
  for (const auto& options : configured_) {
    if (!is_pattern(options) && !entries_.contains(options.name)) make(options);
  }
  generation_.fetch_add(1, std::memory_order_release);
}

std::vector<store::Write> UpstreamStates::unsaved_health() {
  const std::lock_guard lock(mutex_);
  std::vector<store::Write> writes;
  for (auto& [name, entry] : entries_) {
    auto health = entry.state->save_health();
    if (health == entry.saved) continue;
    entry.saved = health;
    writes.emplace_back(store::PutState{health_key(name), std::move(health)});
  }
  return writes;
}

}  // namespace shoal::app
