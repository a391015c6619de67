#include "tracker_record.h"

#include <algorithm>
#include <map>
#include <string_view>

namespace shoal::p2p {

bool Holders::contains(NodeRef node) const {
  return node == first_ || (more_ && std::find(more_->begin(), more_->end(), node) != more_->end());
}

void Holders::add(NodeRef node) {
  if (first_ == 0) {
    first_ = node;
    return;
  }
  if (!more_) more_ = std::make_unique<std::vector<NodeRef>>();
  more_->push_back(node);
}

void Holders::remove_at(std::size_t i) {
  if (!more_) {
    first_ = 0;
    return;
  }
  (i == 0 ? first_ : (*more_)[i - 1]) = more_->back();
  more_->pop_back();
  if (more_->empty()) more_.reset();
}

void Holders::remove(NodeRef node) {
  for (std::size_t i = 0; i < size(); ++i) {
    if ((*this)[i] == node) return remove_at(i);
  }
}

Interest* Demand::find(NodeRef node) {
  const auto it = std::lower_bound(interests.begin(), interests.end(), node,
                                   [](const Interest& interest, NodeRef value) { return interest.node < value; });
  return it != interests.end() && it->node == node ? &*it : nullptr;
}

NodeRef BlobRecord::current_lease(const MemberTable::View& members, RecordCounts& counts) {
  if (!demand_) return 0;
  if (demand_->lease_end <= members.now() || !members.alive(demand_->lease)) end_lease(counts);
  return demand_->lease;
}

void BlobRecord::end_lease(RecordCounts& counts) {
  if (demand_->lease == 0) return;
  --counts.leases;
  if (demand_->doubts) demand_->doubts->forget();
  // It has got a part, which others may have from it.
  if (Interest* former = demand_->find(demand_->lease); former != nullptr && former->role == Role::fetches)
    former->role = Role::follows;
  demand_->lease = 0;
}

void BlobRecord::lease_to(NodeRef node, base::SteadyTime end, RecordCounts& counts) {
  if (!demand_) demand_ = std::make_unique<Demand>();
  if (demand_->lease != node) {
    end_lease(counts);
    ++counts.leases;
    demand_->lease = node;
  }
  demand_->lease_end = end;
}

void BlobRecord::set_role(NodeRef node, Role role, base::SteadyTime now, RecordCounts& counts) {
  if (!demand_) demand_ = std::make_unique<Demand>();
  if (demand_->lease == node && role != Role::fetches) end_lease(counts);
  auto& interests = demand_->interests;
  const auto it = std::lower_bound(interests.begin(), interests.end(), node,
                                   [](const Interest& interest, NodeRef value) { return interest.node < value; });
  if (it == interests.end() || it->node != node) {
    interests.insert(it, {node, role, now});
    ++counts.interests;
  } else if (it->role != role) {
    *it = {node, role, now};
  }
}

void BlobRecord::lose_interest(NodeRef node, RecordCounts& counts) {
  if (!demand_) return;
  if (demand_->lease == node) end_lease(counts);
  if (const Interest* interest = demand_->find(node)) {
    demand_->interests.erase(demand_->interests.begin() + (interest - demand_->interests.data()));
    --counts.interests;
  }
  if (demand_->doubts) demand_->doubts->leaves(node);
  drop_idle_demand();
}

void BlobRecord::drop_idle_demand() {
  if (demand_->interests.empty() && demand_->lease == 0) demand_.reset();
}

void BlobRecord::add_holder(NodeRef node, std::size_t limit, const MemberTable::View& members) {
  if (holders_.contains(node)) return;
  if (holders_.size() >= limit) {
    for (std::size_t i = holders_.size(); i-- > 0;) {
      if (!members.alive(holders_[i])) holders_.remove_at(i);
    }
  }
  if (holders_.size() < limit) return holders_.add(node);
  std::map<std::string_view, std::vector<std::size_t>> zones;
  for (std::size_t i = 0; i < holders_.size(); ++i) zones[members.info(holders_[i]).zone].push_back(i);
  if (zones.contains(members.info(node).zone)) return;
  const auto most = std::max_element(zones.begin(), zones.end(),
                                     [](const auto& a, const auto& b) { return a.second.size() < b.second.size(); });
  if (most->second.size() < 2) return;
  holders_.remove_at(most->second.front());
  holders_.add(node);
}

void BlobRecord::tidy(const MemberTable::View& members, RecordCounts& counts) {
  for (std::size_t i = holders_.size(); i-- > 0;) {
    if (!members.alive(holders_[i])) holders_.remove_at(i);
  }
  if (!demand_) return;
  (void)current_lease(members, counts);  // ends it if it is over
  counts.interests -= std::erase_if(demand_->interests, [&](const Interest& interest) {
    if (members.alive(interest.node)) return false;
    if (demand_->doubts) demand_->doubts->leaves(interest.node);
    return true;
  });
  drop_idle_demand();
}

}  // namespace shoal::p2p
