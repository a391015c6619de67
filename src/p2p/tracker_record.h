// BlobRecord: what a tracker remembers of one blob. Small, because a site has a million: who holds it, and, only while
// somebody wants it, the lease and who that is. A value, guarded by its shard's lock.
#pragma once

#include <atomic>
#include <cstddef>
#include <memory>
#include <vector>

#include "tracker_doubt.h"

namespace shoal::p2p {

// Counts over all records of a tracker.
struct RecordCounts {
  std::atomic<std::size_t> leases{0};  // until somebody notices that they ended
  std::atomic<std::size_t> interests{0};
};

// A set of nodes. One, the usual case, needs no memory of its own.
class Holders {
 public:
  [[nodiscard]] std::size_t size() const { return first_ == 0 ? 0 : 1 + (more_ ? more_->size() : 0); }
  [[nodiscard]] NodeRef operator[](std::size_t i) const { return i == 0 ? first_ : (*more_)[i - 1]; }
  [[nodiscard]] bool contains(NodeRef node) const;
  void add(NodeRef node);  // one it does not contain
  void remove_at(std::size_t i);
  void remove(NodeRef node);

 private:
  NodeRef first_ = 0;  // 0: nobody
  std::unique_ptr<std::vector<NodeRef>> more_;
};

enum class Role : std::uint8_t {
  waits,    // was told to ask again
  follows,  // gets it from its own zone
  crosses,  // gets it from another zone
  fetches,  // holds the lease, or did when last it was looked at
};

struct Interest {
  NodeRef node;
  Role role;
  base::SteadyTime since;  // of this role
};

// Who wants the blob. There while somebody does.
struct Demand {
  NodeRef lease = 0;
  base::SteadyTime lease_end;
  std::vector<Interest> interests;  // by node
  std::size_t next_peer = 0;        // where the next handout of those that are getting it begins
  std::unique_ptr<Doubts> doubts;   // null: nobody ever had one

  [[nodiscard]] Interest* find(NodeRef node);
};

class BlobRecord {
 public:
  BlobRecord() = default;
  BlobRecord(const BlobRecord&) = delete;
  BlobRecord& operator=(const BlobRecord&) = delete;

  [[nodiscard]] Holders& holders() { return holders_; }
  [[nodiscard]] Demand* demand() { return demand_.get(); }
  [[nodiscard]] bool wanted() const { return demand_ != nullptr; }
  [[nodiscard]] bool empty() const { return holders_.size() == 0 && !wanted(); }

  // The node that holds the lease, or 0. One that is over is ended.
  [[nodiscard]] NodeRef current_lease(const MemberTable::View& members, RecordCounts& counts);
  void lease_to(NodeRef node, base::SteadyTime end, RecordCounts& counts);
  // Ends the lease if that was the node's and it fetches no more.
  void set_role(NodeRef node, Role role, base::SteadyTime now, RecordCounts& counts);
  void lose_interest(NodeRef node, RecordCounts& counts);

  // At most `limit` are remembered; when there are more, one of each zone is what matters.
  void add_holder(NodeRef node, std::size_t limit, const MemberTable::View& members);
  // Forgets who is not alive and a lease that has ended.
  void tidy(const MemberTable::View& members, RecordCounts& counts);

 private:
  void end_lease(RecordCounts& counts);
  void drop_idle_demand();

  Holders holders_;
  std::unique_ptr<Demand> demand_;
};

}  // namespace shoal::p2p
