#include "swarm_link.h"

#include <algorithm>

#include "piece_choice.h"
#include "swarm_desk.h"

namespace shoal::p2p {

void SwarmLink::set_claims(std::shared_ptr<PieceClaims> claims) {
  const std::lock_guard lock(mutex_);
  claims_ = std::move(claims);
}

std::shared_ptr<PieceClaims> SwarmLink::claims() const {
  const std::lock_guard lock(mutex_);
  return claims_;
}

LoopSwarming::LoopSwarming(Site::Core& core, std::shared_ptr<SwarmLink> link)
    : core_(core), link_(std::move(link)), piece_length_(piece_length_for(link_->size)) {
  core_.door->post(core_.door, [link = link_](SwarmDesk& desk) { desk.open(link); });
}

LoopSwarming::~LoopSwarming() {
  link_->taker = nullptr;
  if (!complete_) core_.door->post(core_.door, [link = link_](SwarmDesk& desk) { desk.leave(*link); });
}

std::uint32_t LoopSwarming::piece_at(std::uint64_t offset) const {
  return static_cast<std::uint32_t>(offset / piece_length_);
}

void LoopSwarming::follow(std::vector<NodeInfo> authors, const std::string& repository) {
  core_.door->post(core_.door, [link = link_, authors = std::move(authors), repository](SwarmDesk& desk) {
    if (auto* blob = desk.find(*link)) blob->follow(authors, repository);
  });
}

void LoopSwarming::lead() {
  core_.door->post(core_.door, [link = link_](SwarmDesk& desk) {
    if (auto* blob = desk.find(*link)) blob->lead();
  });
}

std::uint64_t LoopSwarming::claim(std::uint64_t begin, std::uint64_t end) {
  const auto claims = link_->claims();
  if (claims == nullptr || begin == end) return end;  // without a share no peer writes either
  if (begin >= link_->size) return end;               // the blob is larger than it was said to be
  for (auto piece = piece_at(begin); piece <= piece_at(std::min(end, link_->size) - 1); ++piece) {
    if (!claims->claim(piece)) return std::max(begin, std::uint64_t{piece} * piece_length_);
  }
  return end;
}

void LoopSwarming::advance(std::uint64_t end) {
  core_.door->post(core_.door, [link = link_, end](SwarmDesk& desk) {
    if (auto* blob = desk.find(*link)) blob->advance(end);
  });
}

bool LoopSwarming::expects(std::uint64_t offset) const {
  const auto claims = link_->claims();
  return claims != nullptr && claims->expected(piece_at(offset));
}

void LoopSwarming::complete(std::shared_ptr<void> lease) {
  complete_ = true;
  link_->taker = nullptr;
  core_.door->post(core_.door, [link = link_, lease = std::move(lease)](SwarmDesk& desk) mutable {
    if (auto* blob = desk.find(*link)) blob->complete(std::move(lease));
  });
}

}  // namespace shoal::p2p
