// The list of members, in changes; nodes that fall silent, leave, return and begin anew; the tracker's bounds.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <optional>

#include "tracker_rig.h"

namespace shoal::p2p {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

const base::Digest kBlob = blob(1);

// The member list as a node keeps it, from one tracker's answers.
class Follower {
 public:
  Follower(TrackerRig& rig, NodeInfo self) : rig_(rig), self_(std::move(self)) {}

  // One announcement. True: it was told that nothing is known of it.
  bool announce() {
    const auto answer = rig_.announce({self_, {}, {}, {}});
    if (answer.know_nothing_of_you) fresh_.emplace();
    EXPECT_LE(answer.members.size(), kMaxMembers);
    for (const auto& member : answer.members) {
      EXPECT_NE(member.node.id, self_.id);
      if (member.left) {
        known_.erase(member.node.id);
        if (fresh_) fresh_->erase(member.node.id);
      } else {
        known_[member.node.id] = member.node;
        if (fresh_) (*fresh_)[member.node.id] = member.node;
      }
    }
    changes_ = answer.members.size();
    if (fresh_ && answer.members.size() < kMaxMembers) {
      known_ = *fresh_;
      fresh_.reset();
    }
    return answer.know_nothing_of_you;
  }
  int announce_until_told_all() {
    int times = 0;
    do {
      announce();
      ++times;
    } while (changes_ == kMaxMembers && times < 1000);
    return times;
  }
  [[nodiscard]] std::size_t changes() const { return changes_; }
  [[nodiscard]] bool agrees() const {
    std::map<std::string, NodeInfo> present;
    for (const auto& member : rig_.tracker.members()) {
      if (member.node.id != self_.id) present[member.node.id] = member.node;
    }
    return present == known_;
  }
  const NodeInfo& self() const { return self_; }

 private:
  TrackerRig& rig_;
  const NodeInfo self_;
  std::map<std::string, NodeInfo> known_;
  std::optional<std::map<std::string, NodeInfo>> fresh_;
  std::size_t changes_ = 0;
};

TEST(TrackerMembers, ANewNodeIsToldAllAndThenOnlyChanges) {
  TrackerRig rig;
  for (int n = 2; n <= 5; ++n) rig.hello(node(n));
  Follower follower(rig, node(1));
  EXPECT_TRUE(follower.announce());
  EXPECT_EQ(follower.changes(), 5u) << "those four and the tracker's own node";
  EXPECT_TRUE(follower.agrees());
  EXPECT_FALSE(follower.announce());
  EXPECT_EQ(follower.changes(), 0u);
  rig.hello(node(6));
  rig.announce({node(2), {}, {}, {}, 0, true});
  EXPECT_FALSE(follower.announce());
  EXPECT_EQ(follower.changes(), 2u);
  EXPECT_TRUE(follower.agrees());
  auto moved = node(3);
  moved.url = "http://10.9.9.9:5000";
  rig.hello(moved);
  EXPECT_FALSE(follower.announce());
  EXPECT_EQ(follower.changes(), 1u);
  EXPECT_TRUE(follower.agrees());
}

TEST(TrackerMembers, MoreChangesThanFitComeWithTheNextAnnouncements) {
  TrackerRig rig;
  const int many = 3 * static_cast<int>(kMaxMembers);
  for (int n = 10; n < 10 + many - 1; ++n) rig.hello(node(n));
  Follower follower(rig, node(1));
  EXPECT_EQ(follower.announce_until_told_all(), 4) << "with the tracker's own node they fill three answers";
  EXPECT_TRUE(follower.agrees());
  for (int n = 10; n < 10 + many; n += 2) rig.announce({node(n), {}, {}, {}, 0, true});
  for (int n = 2000; n < 2000 + many; ++n) rig.hello(node(n));
  follower.announce_until_told_all();
  EXPECT_TRUE(follower.agrees());
}

TEST(TrackerMembers, ChangesWhileTheListIsBeingToldAreNotMissed) {
  TrackerRig rig;
  for (int n = 10; n < 1010; ++n) rig.hello(node(n));
  Follower follower(rig, node(1));
  follower.announce();
  rig.announce({node(10), {}, {}, {}, 0, true});   // it was in the first answer
  rig.announce({node(900), {}, {}, {}, 0, true});  // it would have been in a later one
  rig.hello(node(5000));
  follower.announce_until_told_all();
  EXPECT_TRUE(follower.agrees());
}

TEST(TrackerMembers, SilentNodesLeaveAndMayReturn) {
  TrackerRig rig;
  Follower watcher(rig, node(1));
  rig.hello(node(2));
  watcher.announce();
  for (int i = 0; i < 5; ++i) {
    rig.pass(seconds(1));
    watcher.announce();
    rig.tracker.sweep(rig.now);
  }
  EXPECT_EQ(rig.tracker.totals().nodes, 3u) << "silent for 5 s, and no longer";
  rig.pass(milliseconds(1));
  rig.tracker.sweep(rig.now);
  EXPECT_EQ(rig.tracker.totals().nodes, 2u);
  watcher.announce();
  EXPECT_TRUE(watcher.agrees());
  EXPECT_TRUE(rig.hello(node(2)).know_nothing_of_you);
  EXPECT_FALSE(rig.hello(node(2)).know_nothing_of_you);
  watcher.announce();
  EXPECT_TRUE(watcher.agrees());
}

TEST(TrackerMembers, ASilenceNobodySweptIsASilence) {
  TrackerRig rig;
  rig.have(node(2), kBlob);
  rig.hello(node(2));
  rig.pass(milliseconds(5'001));
  EXPECT_TRUE(rig.hello(node(2)).know_nothing_of_you);
  EXPECT_EQ(rig.want(node(3), kBlob), "fetch") << "what it said before is void";
}

TEST(TrackerMembers, TheTrackersOwnNodeIsNeverSilent) {
  TrackerRig rig;
  rig.have(node(1'000'000), kBlob);
  rig.pass(seconds(60));
  rig.tracker.sweep(rig.now);
  EXPECT_EQ(rig.tracker.members().size(), 1u);
  EXPECT_EQ(rig.want(node(2), kBlob), "follow 1000000");
}

TEST(TrackerMembers, AskingKeepsANodeAlive) {
  TrackerRig rig;
  for (int i = 0; i < 10; ++i) {
    EXPECT_EQ(rig.want(node(1), kBlob), "fetch");
    rig.pass(seconds(2));
    rig.tracker.sweep(rig.now);
  }
  EXPECT_EQ(rig.tracker.totals().nodes, 2u);
  EXPECT_TRUE(rig.hello(node(1)).know_nothing_of_you) << "but it has not announced yet";
}

TEST(TrackerMembers, ATrackerThatRestartsSaysSo) {
  Announce announce{node(1), {}, {}, {}};
  {
    TrackerRig before;
    announce.seen = before.hello(node(1)).version;
  }
  TrackerRig after;
  for (int n = 2; n < 300; ++n) after.hello(node(n));
  // Until an answer has arrived, not only once: answers get lost.
  AnnounceAnswer answer;
  for (int i = 0; i < 3; ++i) {
    answer = *after.tracker.announce(announce, after.now);
    EXPECT_TRUE(answer.know_nothing_of_you);
    EXPECT_EQ(answer.members.size(), kMaxMembers) << "the list begins anew";
  }
  announce.seen = answer.version;
  answer = *after.tracker.announce(announce, after.now);
  EXPECT_FALSE(answer.know_nothing_of_you);
  EXPECT_EQ(answer.members.size(), 299 - kMaxMembers);
}

TEST(TrackerMembers, ANodeThatRestartsBeginsAnew) {
  TrackerRig rig;
  rig.have(node(1), kBlob);
  rig.hello(node(1));
  EXPECT_EQ(rig.want(node(1), blob(2)), "fetch");
  rig.forget_answers(node(1));
  EXPECT_TRUE(rig.hello(node(1)).know_nothing_of_you);
  EXPECT_EQ(rig.want(node(2), kBlob), "fetch") << "whether it still holds it is for it to tell";
  EXPECT_EQ(rig.want(node(2), blob(2)), "fetch");
  EXPECT_EQ(rig.tracker.totals().nodes, 3u);
}

TEST(TrackerMembers, AFetchingNodeThatRestartsItsListKeepsItsLease) {
  TrackerRig rig;
  rig.hello(node(1));
  rig.hello(node(1));
  EXPECT_EQ(rig.want(node(1), kBlob), "fetch");
  rig.forget_answers(node(1));
  EXPECT_TRUE(rig.renew(node(1), kBlob));
  EXPECT_EQ(rig.want(node(2), kBlob), "follow <1>");
}

TEST(TrackerMembers, WhoMissedALeavingThatIsForgottenBeginsAnew) {
  TrackerRig rig;
  Follower follower(rig, node(1));
  rig.hello(node(2));
  rig.hello(node(3));
  follower.announce();
  follower.announce();
  rig.announce({node(2), {}, {}, {}, 0, true});
  for (int i = 0; i < 62; ++i) {  // it asks, but does not announce
    rig.pass(seconds(1));
    rig.want(node(1), kBlob);
    rig.hello(node(3));
    rig.tracker.sweep(rig.now);
  }
  EXPECT_TRUE(follower.announce());
  EXPECT_TRUE(follower.agrees());
  EXPECT_FALSE(follower.announce());
}

TEST(TrackerMembers, NoMoreNodesThanAllowed) {
  TrackerRig rig({.max_nodes = 10});
  for (int n = 1; n < 10; ++n) rig.hello(node(n));
  EXPECT_EQ(rig.want(node(10), kBlob), "busy");
  const auto refused = rig.tracker.announce({node(10), {}, {}, {}}, rig.now);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().kind(), base::ErrorKind::busy);
  EXPECT_EQ(rig.tracker.totals().nodes, 10u);
  EXPECT_EQ(rig.want(node(9), kBlob), "fetch") << "those it knows are served";
  rig.announce({node(1), {}, {}, {}, 0, true});
  EXPECT_EQ(rig.want(node(10), kBlob), "follow <9>");
  EXPECT_EQ(rig.want(node(1), kBlob), "busy");
  rig.pass(milliseconds(5'001));
  EXPECT_EQ(rig.want(node(1), kBlob), "fetch") << "the silent make room, without a sweep";
}

TEST(TrackerMembers, NodesThatComeAndGoDoNotPileUp) {
  TrackerRig rig({.max_nodes = 20});
  Follower follower(rig, node(1));
  for (int n = 10; n < 70'000; ++n) {  // more than there are slots
    rig.pass(milliseconds(500));
    ASSERT_TRUE(rig.tracker.announce({node(n), {}, {blob(n % 7)}, {}, 0, n % 3 == 0}, rig.now).ok()) << n;
    if (n % 4 == 0) follower.announce();
    if (n % 64 == 0) {
      rig.tracker.sweep(rig.now);
      follower.announce();
      ASSERT_TRUE(follower.agrees());
      ASSERT_LE(rig.tracker.totals().nodes, 20u);
    }
  }
  EXPECT_EQ(rig.want(node(1), blob(100)), "fetch");
}

TEST(TrackerBounds, TheLongestUnusedRecordGoes) {
  TrackerRig rig({.max_blobs = 3});
  rig.have(node(1), blob(1));
  rig.have(node(1), blob(2));
  EXPECT_EQ(rig.want(node(2), blob(3)), "fetch");
  rig.have(node(3), blob(1));  // used
  rig.have(node(1), blob(4));
  EXPECT_EQ(rig.tracker.totals().blobs, 3u);
  EXPECT_EQ(rig.tracker.totals().forgotten, 1u);
  EXPECT_EQ(rig.want(node(4), blob(1)), "follow 1,3");
  EXPECT_EQ(rig.want(node(4), blob(3)), "follow <2>") << "somebody wants it";
  EXPECT_EQ(rig.want(node(4), blob(2)), "fetch") << "it went, and 4 goes for it";
  EXPECT_EQ(rig.tracker.totals().forgotten, 2u);
}

TEST(TrackerBounds, WhenAllRecordsAreWantedThereIsNoRoom) {
  TrackerRig rig({.max_blobs = 2});
  EXPECT_EQ(rig.want(node(1), blob(1)), "fetch");
  EXPECT_EQ(rig.want(node(1), blob(2)), "fetch");
  EXPECT_EQ(rig.want(node(2), blob(3)), "busy");
  EXPECT_TRUE(rig.have(node(2), blob(3)).lost.empty());
  EXPECT_TRUE(rig.renew(node(2), blob(3))) << "a fetch that is not remembered is not stopped";
  EXPECT_EQ(rig.tracker.totals().blobs, 2u);
  EXPECT_EQ(rig.tracker.totals().forgotten, 3u);
  EXPECT_EQ(rig.want(node(2), blob(1)), "follow <1>");
  rig.gone(node(1), blob(2));
  EXPECT_EQ(rig.want(node(2), blob(3)), "fetch");
}

TEST(TrackerBounds, OnlySoManyHoldersAreRemembered) {
  TrackerRig rig({.handout = 64, .max_holders = 5});
  for (int n = 1; n <= 5; ++n) rig.have(node(n), kBlob);
  rig.pass(seconds(3));
  for (int n = 3; n <= 8; ++n) rig.have(node(n), kBlob);
  EXPECT_EQ(rig.want(node(100), kBlob), "follow 1,2,3,4,5");
  rig.pass(seconds(3));
  rig.have(node(9), kBlob);
  EXPECT_EQ(rig.want(node(100), kBlob), "follow 3,4,5,9") << "the dead make room";
}

TEST(TrackerBounds, OnlySoManyInterestsAreRemembered) {
  TrackerRig rig({.max_interests = 3});
  EXPECT_EQ(rig.want(node(1), blob(1)), "fetch");
  EXPECT_EQ(rig.want(node(2), blob(1)), "follow <1>");
  EXPECT_EQ(rig.want(node(2), blob(2)), "fetch");
  EXPECT_EQ(rig.want(node(3), blob(1)), "busy");
  EXPECT_EQ(rig.want(node(3), blob(3)), "busy");
  EXPECT_EQ(rig.tracker.totals().blobs, 2u);
  EXPECT_EQ(rig.want(node(2), blob(1)), "follow <1>") << "one that counts already";
  rig.have(node(2), blob(2));
  EXPECT_EQ(rig.want(node(3), blob(2)), "follow 2");
}

TEST(TrackerBounds, HandoutIsWithinWhatTheWireAllows) {
  for (const std::size_t handout : {0u, 1u, 8u, 1000u}) {
    TrackerRig rig({.handout = handout, .max_holders = 200});
    for (int n = 1; n <= 100; ++n) rig.have(node(n), kBlob);
    const auto advice = rig.ask(node(500), kBlob);
    EXPECT_EQ(std::get<Follow>(*advice).complete.size(), std::clamp<std::size_t>(handout, 1, kMaxPeers));
  }
}

}  // namespace
}  // namespace shoal::p2p
