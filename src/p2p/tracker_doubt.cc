#include "tracker_doubt.h"

#include <algorithm>

namespace shoal::p2p {

std::optional<base::SteadyTime> Doubts::add(NodeRef node, std::size_t wanting, base::SteadyTime now,
                                            std::chrono::milliseconds lease) {
  if (now >= until_) {
    forget();
    until_ = now + kDoubtFor * lease;
  }
  const auto at = std::lower_bound(nodes_.begin(), nodes_.end(), node);
  if (at == nodes_.end() || *at != node) nodes_.insert(at, node);
  if (wanting < kFewest || nodes_.size() * 2 <= wanting) {
    most_since_.reset();
  } else if (!most_since_) {
    most_since_ = now;
    until_ = now + kDoubtFor * lease;
  }
  return most_since_;
}

void Doubts::withdraw(NodeRef node, std::size_t wanting) {
  const auto at = std::lower_bound(nodes_.begin(), nodes_.end(), node);
  if (at == nodes_.end() || *at != node) return;
  nodes_.erase(at);
  if (wanting < kFewest || nodes_.size() * 2 <= wanting) most_since_.reset();
}

void Doubts::leaves(NodeRef node) {
  const auto at = std::lower_bound(nodes_.begin(), nodes_.end(), node);
  if (at != nodes_.end() && *at == node) nodes_.erase(at);
}

void Doubts::forget() {
  nodes_.clear();
  most_since_.reset();
}

bool Doubts::may_take(NodeRef node) const {
  return took_.size() < kMostPassed && std::find(took_.begin(), took_.end(), node) == took_.end();
}

}  // namespace shoal::p2p
