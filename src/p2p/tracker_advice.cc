#include "tracker_advice.h"

#include <algorithm>
#include <optional>

namespace shoal::p2p {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kShortestWait{50};    // an end may be put off by then: do not ask in a loop
constexpr std::size_t kMostPeersSeen = 512;  // of a crowd, so that one answer stays cheap

enum class Where { near, far };  // in the asker's zone, or in another

class Adviser {
 public:
  Adviser(BlobRecord& record, NodeRef asker, const std::vector<std::string>& avoid, const MemberTable::View& members,
          const TrackerOptions& options, RecordCounts& counts)
      : record_(record), asker_(asker), members_(members), options_(options), counts_(counts) {
    for (const auto& id : avoid) {
      if (const NodeRef node = members.find(id)) avoid_.push_back(node);
    }
    handout_ = std::clamp<std::size_t>(options.handout, 1, kMaxPeers);
  }

  [[nodiscard]] Advice advise() {
    record_.holders().remove(asker_);  // it would not ask
    holder_ = record_.current_lease(members_, counts_);
    if (record_.wanted() && demand().doubts && !avoided(holder_)) demand().doubts->withdraw(asker_, wanting());
    const auto near = complete(Where::near);
    if (!near.empty()) return follow(Where::near, near);
    if (usable_fetcher(Where::near)) return follow(Where::near, {});
    const auto far = complete(Where::far);
    if (far.empty()) {
      if (auto passed = doubt_the_fetcher()) return *std::move(passed);
    }
    if (far_source()) {
      if (!may_cross()) return follow_the_crossing();
      if (!far.empty() || usable_fetcher(Where::far)) return follow(Where::far, far);
    }
    if (holder_ == 0 || holder_ == asker_) return fetch();
    // Somebody whom the asker does not reach is bringing it. Who gets it from there will do.
    if (!getting(Where::near).empty()) return follow(Where::near, {});
    if (may_cross() && !getting(Where::far).empty()) return follow(Where::far, {});
    return wait(demand().lease_end);
  }

 private:
  [[nodiscard]] Demand& demand() { return *record_.demand(); }
  [[nodiscard]] bool avoided(NodeRef node) const {
    return std::find(avoid_.begin(), avoid_.end(), node) != avoid_.end();
  }
  [[nodiscard]] Where where(NodeRef node) const {
    return members_.info(node).zone == members_.info(asker_).zone ? Where::near : Where::far;
  }
  [[nodiscard]] bool usable_fetcher(Where place) const {
    return holder_ != 0 && holder_ != asker_ && where(holder_) == place && !avoided(holder_);
  }
  // Is it, or will it be, anywhere in another zone, whether the asker reaches that or not?
  [[nodiscard]] bool far_source() {
    if (holder_ != 0 && holder_ != asker_ && where(holder_) == Where::far) return true;
    for (std::size_t i = 0; i < record_.holders().size(); ++i) {
      const NodeRef node = record_.holders()[i];
      if (members_.alive(node) && where(node) == Where::far) return true;
    }
    return false;
  }

  // Holders the asker does not avoid, longest not handed out first.
  [[nodiscard]] std::vector<NodeRef> complete(Where place) {
    std::vector<std::pair<std::uint64_t, NodeRef>> found;
    for (std::size_t i = 0; i < record_.holders().size(); ++i) {
      const NodeRef node = record_.holders()[i];
      if (members_.alive(node) && where(node) == place && !avoided(node))
        found.emplace_back(members_.handed_out(node), node);
    }
    const auto count = std::min(handout_, found.size());
    std::partial_sort(found.begin(), found.begin() + static_cast<std::ptrdiff_t>(count), found.end());
    std::vector<NodeRef> nodes;
    for (std::size_t i = 0; i < count; ++i) nodes.push_back(found[i].second);
    return nodes;
  }

  // Others that are getting it: in the asker's zone first those who get it across, then the rest, each handout
  // beginning where the last one ended.
  [[nodiscard]] std::vector<NodeRef> getting(Where place) {
    std::vector<NodeRef> nodes;
    if (!record_.wanted()) return nodes;
    const auto& interests = demand().interests;
    if (place == Where::near) {
      for (const Interest& other : interests) {
        if (other.role == Role::crosses && nodes.size() < handout_ && gets_it(other, place))
          nodes.push_back(other.node);
      }
    }
    const std::size_t looks = std::min(interests.size(), kMostPeersSeen);
    std::size_t at = demand().next_peer;
    for (std::size_t i = 0; i < looks && nodes.size() < handout_; ++i, ++at) {
      if (at >= interests.size()) at = 0;
      const bool named = place == Where::near && interests[at].role == Role::crosses;
      if (!named && gets_it(interests[at], place)) nodes.push_back(interests[at].node);
    }
    looked_to_ = at;
    return nodes;
  }
  [[nodiscard]] bool gets_it(const Interest& other, Where place) const {
    return (other.role == Role::follows || other.role == Role::crosses) && other.node != asker_ &&
           !avoided(other.node) && members_.alive(other.node) && where(other.node) == place;
  }

  // May the asker get it from another zone? Who does already may go on.
  [[nodiscard]] bool may_cross() {
    if (!record_.wanted()) return true;
    std::size_t crossing = 0;
    for (const Interest& other : demand().interests) {
      if (other.role != Role::crosses) continue;
      if (other.node == asker_) return true;
      if (members_.alive(other.node) && where(other.node) == Where::near) ++crossing;
    }
    return crossing < std::max<std::size_t>(options_.zone_copies, 1);
  }

  // Others of the zone are getting it across. If the asker reaches none of them, and they had `lease` for it, the right
  // of one passes to the asker.
  [[nodiscard]] Advice follow_the_crossing() {
    if (!getting(Where::near).empty()) return follow(Where::near, {});
    Interest* oldest = nullptr;
    for (Interest& other : demand().interests) {
      if (other.role != Role::crosses || !members_.alive(other.node) || where(other.node) != Where::near) continue;
      if (oldest == nullptr || other.since < oldest->since) oldest = &other;
    }
    const auto until = oldest->since + options_.lease;
    if (until > members_.now()) return wait(until);
    oldest->role = Role::waits;
    return advise();
  }

  // Those of the fetcher's zone that want it, the asker among them. Others may be kept from it by what lies between.
  [[nodiscard]] std::size_t wanting() {
    std::size_t count = 1;
    if (!record_.wanted()) return count;
    const auto& zone = members_.info(holder_ != 0 ? holder_ : asker_).zone;
    for (const Interest& other : demand().interests) {
      if (other.node == holder_ || other.node == asker_ || !members_.alive(other.node)) continue;
      if (members_.info(other.node).zone == zone) ++count;
    }
    return count;
  }

  // The rules are in tracker_doubt.h. Nothing: there is no reason yet to advise otherwise than usual.
  [[nodiscard]] std::optional<Advice> doubt_the_fetcher() {
    if (holder_ == 0 || holder_ == asker_ || !avoided(holder_) || where(holder_) == Where::far) return std::nullopt;
    auto& doubts = demand().doubts;
    if (!doubts) doubts = std::make_unique<Doubts>();
    const auto since = doubts->add(asker_, wanting(), members_.now(), options_.lease);
    if (!since || !doubts->may_take(asker_)) return std::nullopt;
    const auto until = *since + options_.lease / kGrace;
    if (until > members_.now()) return ask_again(until);
    doubts->took(asker_);
    return fetch();
  }

  [[nodiscard]] Advice follow(Where place, const std::vector<NodeRef>& holders) {
    Follow advice;
    for (const NodeRef node : holders) advice.complete.push_back(members_.info(node));
    if (!holders.empty()) members_.hand_out(holders.front());
    if (usable_fetcher(place)) advice.fetcher = members_.info(holder_);
    append(advice.partial, getting(Where::near));
    if (place == Where::far) append(advice.partial, getting(Where::far));
    enter(place == Where::near ? Role::follows : Role::crosses);
    return advice;
  }

  [[nodiscard]] Advice fetch() {
    Fetch advice{options_.lease, {}};
    append(advice.partial, getting(Where::near));
    if (advice.partial.empty() && may_cross()) append(advice.partial, getting(Where::far));
    record_.lease_to(asker_, members_.now() + options_.lease, counts_);
    enter(Role::fetches);
    return advice;
  }

  [[nodiscard]] Advice wait(base::SteadyTime until) {
    enter(Role::waits);
    return ask_again(until);
  }

  // Its role stays: it may have got parts.
  [[nodiscard]] Advice ask_again(base::SteadyTime until) {
    if (demand().find(asker_) == nullptr) enter(Role::waits);
    const auto left = std::chrono::ceil<milliseconds>(until - members_.now());
    return Wait{std::max(left, kShortestWait)};
  }

  void append(std::vector<NodeInfo>& to, const std::vector<NodeRef>& nodes) {
    for (const NodeRef node : nodes) {
      if (to.size() < handout_) to.push_back(members_.info(node));
    }
  }

  void enter(Role role) {
    record_.set_role(asker_, role, members_.now(), counts_);
    if (looked_to_) demand().next_peer = *looked_to_;
  }

  BlobRecord& record_;
  const NodeRef asker_;
  const MemberTable::View& members_;
  const TrackerOptions& options_;
  RecordCounts& counts_;
  std::vector<NodeRef> avoid_;
  std::size_t handout_ = 0;
  NodeRef holder_ = 0;  // of a lease that has not ended
  std::optional<std::size_t> looked_to_;
};

}  // namespace

Advice advise(BlobRecord& record, NodeRef asker, const std::vector<std::string>& avoid,
              const MemberTable::View& members, const TrackerOptions& options, RecordCounts& counts) {
  return Adviser(record, asker, avoid, members, options, counts).advise();
}

}  // namespace shoal::p2p
