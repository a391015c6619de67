#include "tracker_members.h"

#include <algorithm>
#include <mutex>

#include "shoal/base/format.h"
#include "shoal/base/random.h"

namespace shoal::p2p {
namespace {

constexpr std::size_t kMostNodes = 32'000;  // and as many that left: slots are 16 bits
constexpr std::chrono::seconds kRememberLeft{60};

NodeRef ref_of(std::uint16_t slot, std::uint16_t life) { return static_cast<NodeRef>(life) << 16 | slot; }
std::uint16_t slot_of(NodeRef node) { return static_cast<std::uint16_t>(node & 0xffff); }
std::uint16_t life_of(NodeRef node) { return static_cast<std::uint16_t>(node >> 16); }

std::uint64_t random_version() {
  std::uint8_t raw[6];
  base::fill_random(raw);
  std::uint64_t number = 0;
  for (const auto byte : raw) number = number << 8 | byte;
  return number;
}

}  // namespace

MemberTable::MemberTable(NodeInfo self, const TrackerOptions& options)
    : max_nodes_(std::clamp<std::size_t>(options.max_nodes, 1, kMostNodes)),
      silence_(options.silence),
      version_(random_version()) {
  by_id_.emplace(self.id, Slot{0});
  nodes_.emplace_back().info = std::move(self);
  nodes_[0].left = false;
  present_ = 1;
  begin_life(0);
}

bool MemberTable::silent(Slot slot, base::SteadyTime now) const {
  const base::SteadyTime heard{base::SteadyTime::duration(nodes_[slot].heard.load(std::memory_order_relaxed))};
  return slot != 0 && now - heard > silence_;
}

bool MemberTable::alive(NodeRef node, base::SteadyTime now) const {
  const Slot slot = slot_of(node);
  return slot < nodes_.size() && nodes_[slot].life == life_of(node) && !nodes_[slot].left && !silent(slot, now);
}

base::Result<NodeRef> MemberTable::hear(const NodeInfo& who, base::SteadyTime now) {
  {
    const std::shared_lock lock(mutex_);
    const auto it = by_id_.find(who.id);
    if (it != by_id_.end()) {
      Node& node = nodes_[it->second];
      if (!node.left && !silent(it->second, now) && node.info == who) {
        const auto time = now.time_since_epoch().count();
        auto before = node.heard.load(std::memory_order_relaxed);
        while (before < time && !node.heard.compare_exchange_weak(before, time, std::memory_order_relaxed)) {
        }
        return ref_of(it->second, node.life);
      }
    }
  }
  const std::unique_lock lock(mutex_);
  return hear_locked(who, now);
}

base::Result<NodeRef> MemberTable::hear_locked(const NodeInfo& who, base::SteadyTime now) {
  const auto slot = slot_for(who, now);
  if (!slot) return slot.error();
  Node& node = nodes_[*slot];
  if (node.left) {
    node.left = false;
    ++present_;
    node.info = who;
    begin_life(*slot);
  } else if (silent(*slot, now)) {
    node.info = who;
    begin_life(*slot);
  } else if (node.info != who) {
    node.info = who;
    changed(*slot);
  }
  node.heard = std::max(node.heard.load(), now.time_since_epoch().count());
  return ref_of(*slot, node.life);
}

// Its slot, or a free one for it.
base::Result<MemberTable::Slot> MemberTable::slot_for(const NodeInfo& who, base::SteadyTime now) {
  auto it = by_id_.find(who.id);
  if (it != by_id_.end() && !nodes_[it->second].left) return it->second;
  if (present_ >= max_nodes_) sweep_locked(now);
  if (present_ >= max_nodes_)
    return base::Error(base::ErrorKind::busy,
                       base::format("the tracker has no room for another node, it knows {}", present_));
  it = by_id_.find(who.id);
  if (it != by_id_.end()) return it->second;
  Slot slot = 0;
  if (free_.empty()) {
    slot = static_cast<Slot>(nodes_.size());
    nodes_.emplace_back();
  } else {
    slot = free_.back();
    free_.pop_back();
  }
  by_id_.emplace(who.id, slot);
  return slot;
}

void MemberTable::begin_life(Slot slot) {
  Node& node = nodes_[slot];
  if (++node.life == 0) node.life = 1;  // 0 with slot 0 would be nobody
  node.acknowledged = false;
  node.first_answer = 0;
  changed(slot);
}

void MemberTable::changed(Slot slot) {
  by_version_.erase(nodes_[slot].version);
  nodes_[slot].version = ++version_;
  by_version_.emplace_hint(by_version_.end(), version_, slot);
}

base::Result<NodeRef> MemberTable::greet(const Announce& announce, base::SteadyTime now, AnnounceAnswer& answer) {
  const auto heard = hear(announce.node, now);
  if (!heard) return heard;
  {
    const std::shared_lock lock(mutex_);  // the usual case: known, and up to date
    const Node& node = nodes_[slot_of(*heard)];
    if (node.acknowledged && announce.seen == version_) {
      answer.version = version_;
      return heard;
    }
  }
  const std::unique_lock lock(mutex_);
  const auto again = hear_locked(announce.node, now);  // it may have left in between
  if (!again) return again;
  const Slot slot = slot_of(*again);
  Node& node = nodes_[slot];
  if (node.acknowledged && announce.seen == 0) begin_life(slot);
  if (!node.acknowledged) node.acknowledged = node.first_answer != 0 && announce.seen == node.first_answer;
  if (node.acknowledged && (announce.seen < forgotten_ || announce.seen > version_)) begin_life(slot);
  answer.know_nothing_of_you = !node.acknowledged;
  tell_changes(node.acknowledged ? announce.seen : 0, announce.node.id, answer);
  if (!node.acknowledged) node.first_answer = answer.version;
  return ref_of(slot, node.life);
}

void MemberTable::tell_changes(std::uint64_t seen, const std::string& to, AnnounceAnswer& answer) const {
  for (auto it = by_version_.upper_bound(seen); it != by_version_.end(); ++it) {
    const Node& node = nodes_[it->second];
    if (node.info.id == to || (seen == 0 && node.left)) continue;
    if (answer.members.size() == kMaxMembers) return;
    answer.members.push_back({node.info, node.left});
    answer.version = it->first;
  }
  answer.version = version_;
}

void MemberTable::leave(NodeRef node, base::SteadyTime now) {
  const std::unique_lock lock(mutex_);
  if (alive(node, now)) leave_locked(slot_of(node), now);
}

void MemberTable::leave_locked(Slot slot, base::SteadyTime now) {
  nodes_[slot].left = true;
  --present_;
  changed(slot);
  left_.push_back({slot, version_, now});
  forget_left(now);
}

void MemberTable::forget_left(base::SteadyTime now) {
  while (!left_.empty() && (left_.size() > max_nodes_ || left_.front().at + kRememberLeft < now)) {
    const Left gone = left_.front();
    left_.pop_front();
    Node& node = nodes_[gone.slot];
    if (node.version != gone.version || gone.slot == 0) continue;  // it is back
    forgotten_ = std::max(forgotten_, gone.version);
    by_id_.erase(node.info.id);
    by_version_.erase(node.version);
    node.version = 0;
    node.info = {};
    free_.push_back(gone.slot);
  }
}

void MemberTable::sweep(base::SteadyTime now) {
  const std::unique_lock lock(mutex_);
  sweep_locked(now);
}

void MemberTable::sweep_locked(base::SteadyTime now) {
  for (std::size_t slot = 1; slot < nodes_.size(); ++slot) {
    if (!nodes_[slot].left && silent(static_cast<Slot>(slot), now)) leave_locked(static_cast<Slot>(slot), now);
  }
  forget_left(now);
}

std::vector<Member> MemberTable::present() const {
  const std::shared_lock lock(mutex_);
  std::vector<Member> members;
  members.reserve(present_);
  for (const auto& node : nodes_) {
    if (!node.left) members.push_back({node.info, false});
  }
  return members;
}

std::size_t MemberTable::size() const {
  const std::shared_lock lock(mutex_);
  return present_;
}

NodeInfo MemberTable::self() const {
  const std::shared_lock lock(mutex_);
  return nodes_[0].info;
}

const NodeInfo& MemberTable::View::info(NodeRef node) const { return table_.nodes_[slot_of(node)].info; }

NodeRef MemberTable::View::find(const std::string& id) const {
  const auto it = table_.by_id_.find(id);
  return it == table_.by_id_.end() ? 0 : ref_of(it->second, table_.nodes_[it->second].life);
}

std::uint64_t MemberTable::View::handed_out(NodeRef node) const {
  return table_.nodes_[slot_of(node)].handed_out.load(std::memory_order_relaxed);
}

void MemberTable::View::hand_out(NodeRef node) const {
  table_.nodes_[slot_of(node)].handed_out.store(1 + table_.handed_out_.fetch_add(1, std::memory_order_relaxed),
                                                std::memory_order_relaxed);
}

}  // namespace shoal::p2p
