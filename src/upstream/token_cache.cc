#include "token_cache.h"

#include <algorithm>

namespace shoal::upstream {

TokenCache::Lookup TokenCache::find(const std::string& key, base::SteadyTime now) {
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(key);
  if (found == entries_.end()) return {};
  Entry& entry = found->second;
  if (entry.token.empty() || now >= entry.expires_at) return {};
  Lookup lookup;
  lookup.token = entry.token;
  lookup.request =
      now >= entry.refresh_at && !std::exchange(entry.in_flight, entry.in_flight || now >= entry.refresh_at);
  return lookup;
}

TokenCache::Entered TokenCache::wait(const std::string& key, base::Loop& loop, Ready ready) {
  auto waiter = std::make_shared<Wait::Waiter>();
  waiter->loop = &loop;
  waiter->ready = std::move(ready);
  Entered entered{std::unique_ptr<Wait>(new Wait(waiter)), false};
  const std::lock_guard lock(mutex_);
  Entry& entry = entries_[key];
  entry.waiters.push_back(std::move(waiter));
  entered.request = !std::exchange(entry.in_flight, true);
  return entered;
}

void TokenCache::finish(const std::string& key, Outcome<registry::TokenReply> outcome, base::SteadyTime now) {
  std::vector<std::shared_ptr<Wait::Waiter>> waiters;
  Outcome<std::string> answer = std::string();
  {
    const std::lock_guard lock(mutex_);
    Entry& entry = entries_[key];
    entry.in_flight = false;
    waiters.swap(entry.waiters);
    if (auto* reply = std::get_if<registry::TokenReply>(&outcome)) {
      // Bounded: a claimed life of centuries must not overflow the clock.
      const std::chrono::seconds life =
          std::clamp<std::chrono::seconds>(reply->expires_in, std::chrono::seconds(1), std::chrono::hours(24));
      entry.token = reply->token;
      entry.refresh_at = now + life * 4 / 5;
      entry.expires_at = now + life;
      answer = reply->token;
    } else {
      answer = std::get<Failure>(std::move(outcome));
      // A renewal that failed leaves the old token until it expires; ask again only after a while.
      if (entry.token.empty()) {
        entries_.erase(key);
      } else {
        entry.refresh_at = now + std::chrono::seconds(5);
      }
    }
    make_room(now);
  }
  for (auto& waiter : waiters) {
    base::Loop* loop = waiter->loop;
    loop->post([waiter = std::move(waiter), answer]() mutable {
      if (!waiter->dropped) waiter->ready(std::move(answer));
    });
  }
}

void TokenCache::drop(const std::string& key, const std::string& token) {
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(key);
  if (found == entries_.end() || found->second.token != token) return;
  found->second.token.clear();
  if (!found->second.in_flight) entries_.erase(found);
}

void TokenCache::clear() {
  const std::lock_guard lock(mutex_);
  for (auto& [key, entry] : entries_) entry.token.clear();
  std::erase_if(entries_, [](const auto& item) { return !item.second.in_flight; });
}

void TokenCache::make_room(base::SteadyTime now) {
  if (entries_.size() <= kMaxEntries) return;
  std::erase_if(entries_, [now](const auto& item) { return !item.second.in_flight && item.second.expires_at <= now; });
  if (entries_.size() <= kMaxEntries) return;
  std::erase_if(entries_, [](const auto& item) { return !item.second.in_flight; });
}

}  // namespace shoal::upstream
