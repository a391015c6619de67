#include "upstream_states.h"

#include <algorithm>

#include "shoal/app/settings.h"
#include "shoal/base/format.h"

namespace shoal::app {
namespace {

std::string health_key(std::string_view name) { return base::format("upstream/{}/health", name); }

bool is_pattern(const upstream::UpstreamOptions& options) { return options.name.starts_with("*."); }

}  // namespace

UpstreamStates::UpstreamStates(std::vector<upstream::UpstreamOptions> configured, store::Store& store,
                               base::Clock& clock, std::size_t loops)
    : store_(store),
      clock_(clock),
      share_(std::max<std::size_t>(1, kMaxInstances / 2 / std::max<std::size_t>(1, loops))),
      configured_(std::move(configured)) {
  for (const auto& options : configured_) {
    if (!is_pattern(options)) make(options, /*instance=*/false);
  }
}

UpstreamStates::Entry& UpstreamStates::make(upstream::UpstreamOptions options, bool instance) {
  const auto name = options.name;
  Entry& entry = entries_[name];
  entry.state = upstream::make_state(std::move(options), clock_);
  entry.instance = instance;
  entry.last_use = clock_.steady_now();
  instances_ += instance ? 1 : 0;
  std::erase(forgotten_, name);
  entry.saved = store_.find_state(health_key(name)).value_or(std::string());
  if (!entry.saved.empty()) entry.state->load_health(entry.saved);
  return entry;
}

UpstreamStates::Entries::iterator UpstreamStates::erase(Entries::iterator entry) {
  instances_ -= entry->second.instance ? 1 : 0;
  if (!entry->second.saved.empty()) forgotten_.push_back(entry->first);
  return entries_.erase(entry);
}

bool UpstreamStates::make_room() {
  if (instances_ < kMaxInstances) return true;
  auto oldest = entries_.end();
  for (auto entry = entries_.begin(); entry != entries_.end(); ++entry) {
    // Who else holds one got it here, under the mutex, or from a holder: one holder stays one.
    if (!entry->second.instance || entry->second.state.use_count() != 1) continue;
    if (oldest == entries_.end() || entry->second.last_use < oldest->second.last_use) oldest = entry;
  }
  if (oldest == entries_.end()) return false;
  upstream::drop_state(std::move(oldest->second.state));
  erase(oldest);
  return true;
}

std::shared_ptr<upstream::UpstreamState> UpstreamStates::find(std::string_view registry) {
  const std::lock_guard lock(mutex_);
  if (const auto known = entries_.find(registry); known != entries_.end()) {
    known->second.last_use = clock_.steady_now();
    return known->second.reachable ? known->second.state : nullptr;
  }
  const auto* options = find_upstream(configured_, registry);
  if (options == nullptr) return nullptr;
  if (!is_pattern(*options)) return make(*options, /*instance=*/false).state;
  return make_room() ? make(instance_of(*options, registry), /*instance=*/true).state : nullptr;
}

bool UpstreamStates::is_instance(std::string_view registry) const {
  const std::lock_guard lock(mutex_);
  const auto known = entries_.find(registry);
  return known != entries_.end() && known->second.instance;
}

void UpstreamStates::released(std::string_view registry) {
  const std::lock_guard lock(mutex_);
  if (const auto known = entries_.find(registry); known != entries_.end()) {
    known->second.last_use = clock_.steady_now();
  }
}

bool UpstreamStates::retire(std::string_view registry) {
  const std::lock_guard lock(mutex_);
  const auto known = entries_.find(registry);
  if (known == entries_.end() || !known->second.instance || known->second.state.use_count() != 2) return false;
  erase(known);
  return true;
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
    const bool instance = options == nullptr ? entry.instance : is_pattern(*options);
    instances_ += (instance ? 1U : 0U) - (entry.instance ? 1U : 0U);
    entry.instance = instance;
    if (options != nullptr) entry.state->set_options(is_pattern(*options) ? instance_of(*options, name) : *options);
  }
  for (const auto& options : configured_) {
    if (!is_pattern(options) && !entries_.contains(options.name)) make(options, /*instance=*/false);
  }
  generation_.fetch_add(1, std::memory_order_release);
}

std::vector<store::Write> UpstreamStates::unsaved_health() {
  const std::lock_guard lock(mutex_);
  const auto now = clock_.steady_now();
  for (auto entry = entries_.begin(); entry != entries_.end();) {
    auto& state = entry->second.state;
    if (!entry->second.instance || state.use_count() != 1 || now - entry->second.last_use < kIdle) {
      ++entry;
      continue;
    }
    upstream::drop_state(std::move(state));
    entry = erase(entry);
  }
  std::vector<store::Write> writes;
  for (const auto& name : forgotten_) writes.emplace_back(store::PutState{health_key(name), {}});
  forgotten_.clear();
  for (auto& [name, entry] : entries_) {
    auto health = entry.state->save_health();
    if (health == entry.saved) continue;
    entry.saved = health;
    writes.emplace_back(store::PutState{health_key(name), std::move(health)});
  }
  return writes;
}

}  // namespace shoal::app
