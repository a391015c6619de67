// RecentKeys: what was found out about credentials, under a keyed hash of them, for a while. All are kept for the same
// time, and so many at most: the oldest goes first. Not for several threads at once.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <string>
#include <unordered_map>
#include <utility>

#include "shoal/base/clock.h"
#include "shoal/base/digest.h"

namespace shoal::auth {

using Key = base::Digest;  // keyed hash of user and password: what is remembered tells nobody a password

class RecentKeys {
 public:
  void set_bounds(std::chrono::seconds age, std::size_t number) {
    age_ = age;
    number_ = number;
    if (age_.count() == 0 || number_ == 0) clear();
  }
  // The user, or null.
  [[nodiscard]] const std::string* find(const Key& key, base::SteadyTime now) const {
    const auto found = entries_.find(key);
    return found != entries_.end() && now < found->second.since + age_ ? &found->second.user : nullptr;
  }
  void remember(const Key& key, const std::string& user, base::SteadyTime now) {
    if (age_.count() == 0 || number_ == 0) return;
    while (!order_.empty()) {
      const auto oldest = entries_.find(order_.front().first);
      const bool current = oldest != entries_.end() && oldest->second.number == order_.front().second;
      if (current && now < oldest->second.since + age_ && order_.size() < number_) break;
      if (current) entries_.erase(oldest);
      order_.pop_front();
    }
    entries_.insert_or_assign(key, Entry{user, now, ++last_number_});
    order_.emplace_back(key, last_number_);
  }
  void forget(const Key& key) { entries_.erase(key); }
  void clear() {
    entries_.clear();
    order_.clear();
  }

 private:
  struct Entry {
    std::string user;
    base::SteadyTime since;
    std::uint64_t number;
  };
  std::chrono::seconds age_{0};
  std::size_t number_ = 0;
  std::unordered_map<Key, Entry> entries_;
  std::deque<std::pair<Key, std::uint64_t>> order_;  // of `entries_`, and some that were replaced
  std::uint64_t last_number_ = 0;
};

}  // namespace shoal::auth
