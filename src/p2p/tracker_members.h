// MemberTable: the nodes a tracker has heard of lately, as small numbers, and the versioned list of them that every
// node follows. Thread-safe: a lookup holds the lock shared; only one that joins, leaves or changes holds it alone.
//
// A node lives from when it is first heard of until it says that it leaves, is silent, or begins anew (it announces
// that it has seen no answer, after it had). A NodeRef names one life: what was said in an earlier one is void.
//
// Versions begin at a random number, so that one from an earlier run of the tracker is known for what it is. A node
// that left stays in the list for a minute, at most max_nodes of them, for those who have not been told yet.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <map>
#include <shared_mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "shoal/p2p/tracker.h"

namespace shoal::p2p {

using NodeRef = std::uint32_t;  // slot, and which life of it; 0: nobody

class MemberTable {
 public:
  MemberTable(NodeInfo self, const TrackerOptions& options);

  // ErrorKind::busy: there are max_nodes already.
  [[nodiscard]] base::Result<NodeRef> hear(const NodeInfo& who, base::SteadyTime now);
  // The same of an announcement; fills in `members`, `version` and `know_nothing_of_you` of the answer.
  [[nodiscard]] base::Result<NodeRef> greet(const Announce& announce, base::SteadyTime now, AnnounceAnswer& answer);
  void leave(NodeRef node, base::SteadyTime now);
  void sweep(base::SteadyTime now);

  [[nodiscard]] std::vector<Member> present() const;
  [[nodiscard]] std::size_t size() const;
  [[nodiscard]] NodeInfo self() const;

 private:
  struct Node;

 public:
  // What work on a record may ask. Holds the lock (shared); short-lived.
  class View {
   public:
    View(const MemberTable& table, base::SteadyTime now) : table_(table), lock_(table.mutex_), now_(now) {}
    [[nodiscard]] base::SteadyTime now() const { return now_; }
    [[nodiscard]] bool alive(NodeRef node) const { return table_.alive(node, now_); }
    [[nodiscard]] const NodeInfo& info(NodeRef node) const;  // of one whose slot was given out
    [[nodiscard]] NodeRef find(const std::string& id) const;
    [[nodiscard]] std::uint64_t handed_out(NodeRef node) const;  // grows; 0: never
    void hand_out(NodeRef node) const;

   private:
    const MemberTable& table_;
    std::shared_lock<std::shared_mutex> lock_;
    const base::SteadyTime now_;
  };

 private:
  using Slot = std::uint16_t;
  struct Node {
    NodeInfo info;
    std::uint16_t life = 0;
    bool left = true;
    bool acknowledged = false;       // it has seen an answer of this life
    std::uint64_t first_answer = 0;  // the version in it
    std::uint64_t version = 0;       // of its last change; 0: free slot
    std::atomic<base::SteadyTime::rep> heard{0};
    mutable std::atomic<std::uint64_t> handed_out{0};
  };
  struct Left {
    Slot slot;
    std::uint64_t version;
    base::SteadyTime at;
  };

  [[nodiscard]] bool alive(NodeRef node, base::SteadyTime now) const;
  [[nodiscard]] bool silent(Slot slot, base::SteadyTime now) const;
  base::Result<NodeRef> hear_locked(const NodeInfo& who, base::SteadyTime now);
  base::Result<Slot> slot_for(const NodeInfo& who, base::SteadyTime now);
  void begin_life(Slot slot);
  void changed(Slot slot);
  void leave_locked(Slot slot, base::SteadyTime now);
  void sweep_locked(base::SteadyTime now);
  void forget_left(base::SteadyTime now);
  void tell_changes(std::uint64_t seen, const std::string& to, AnnounceAnswer& answer) const;

  const std::size_t max_nodes_;
  const std::chrono::nanoseconds silence_;
  mutable std::shared_mutex mutex_;
  std::deque<Node> nodes_;  // [0] is the tracker's own node, which is never silent
  std::vector<Slot> free_;
  std::unordered_map<std::string, Slot> by_id_;
  std::map<std::uint64_t, Slot> by_version_;
  std::deque<Left> left_;  // oldest first
  std::size_t present_ = 0;
  std::uint64_t version_ = 0;
  std::uint64_t forgotten_ = 0;  // version of the last that left and was forgotten
  mutable std::atomic<std::uint64_t> handed_out_{0};
};

}  // namespace shoal::p2p
