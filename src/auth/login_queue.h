// LoginQueue: which password is checked next. One line for each source, and the lines take turns, so that one who
// guesses passwords makes only those wait who share its address. Credentials that were good lately have a line of
// their own, every other turn: nobody can guess himself into it. A value without threads.
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "recent_keys.h"

namespace shoal::auth {

class LoginQueue {
 public:
  void push_known(const Key& key) { known_.push_back(key); }
  void push(const std::string& source, const Key& key);
  [[nodiscard]] std::size_t waiting(std::string_view source) const;
  // Makes room for a check of `source`: the newest of the longest line goes, if that line is at least two longer than
  // source's own. nullopt: there is none.
  [[nodiscard]] std::optional<Key> displace_for(std::string_view source);
  [[nodiscard]] std::optional<Key> pop();
  void clear();

 private:
  std::deque<Key> known_;
  std::map<std::string, std::deque<Key>, std::less<>> lines_;  // none is empty
  std::deque<std::string> turns_;                              // the sources of `lines_`, whose turn is next in front
  bool known_next_ = true;
};

}  // namespace shoal::auth
