#include "login_queue.h"

#include <algorithm>

namespace shoal::auth {

void LoginQueue::push(const std::string& source, const Key& key) {
  auto& line = lines_[source];
  if (line.empty()) turns_.push_back(source);
  line.push_back(key);
}

std::size_t LoginQueue::waiting(std::string_view source) const {
  const auto line = lines_.find(source);
  return line == lines_.end() ? 0 : line->second.size();
}

std::optional<Key> LoginQueue::displace_for(std::string_view source) {
  const auto longest = std::max_element(lines_.begin(), lines_.end(),
                                        [](const auto& a, const auto& b) { return a.second.size() < b.second.size(); });
  if (longest == lines_.end() || longest->second.size() < waiting(source) + 2) return std::nullopt;
  const Key key = longest->second.back();  // at least one stays in that line
  longest->second.pop_back();
  return key;
}

std::optional<Key> LoginQueue::pop() {
  const bool known = !known_.empty() && (known_next_ || turns_.empty());
  known_next_ = !known;
  if (known) {
    const Key key = known_.front();
    known_.pop_front();
    return key;
  }
  if (turns_.empty()) return std::nullopt;
  const std::string source = std::move(turns_.front());
  turns_.pop_front();
  const auto line = lines_.find(source);
  const Key key = line->second.front();
  line->second.pop_front();
  if (line->second.empty()) {
    lines_.erase(line);
  } else {
    turns_.push_back(source);
  }
  return key;
}

void LoginQueue::clear() {
  known_.clear();
  lines_.clear();
  turns_.clear();
}

}  // namespace shoal::auth
