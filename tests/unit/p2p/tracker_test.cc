#include "shoal/p2p/tracker.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "tracker_rig.h"

namespace shoal::p2p {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

const base::Digest kBlob = blob(1);

TEST(Tracker, TheFirstWhoAsksFetchesAndTheOthersFollow) {
  TrackerRig rig;
  const auto advice = rig.ask(node(1), kBlob);
  ASSERT_TRUE(advice.ok());
  ASSERT_TRUE(std::holds_alternative<Fetch>(*advice));
  EXPECT_EQ(std::get<Fetch>(*advice).lease, seconds(3));
  EXPECT_EQ(rig.want(node(2), kBlob), "follow <1>");
  EXPECT_EQ(rig.want(node(3), kBlob), "follow <1> (2)");
  EXPECT_EQ(rig.want(node(1), kBlob), "fetch 2,3") << "it holds the lease";
  EXPECT_EQ(rig.want(node(2), blob(2)), "fetch") << "another blob";
  EXPECT_EQ(rig.tracker.totals().leases, 2u);
  EXPECT_EQ(rig.tracker.totals().interests, 4u);
  EXPECT_EQ(rig.tracker.totals().nodes, 4u);
  EXPECT_EQ(rig.tracker.totals().wants, 5u);
}

TEST(Tracker, NodesOfSha512AndSha256DigestsAreKeptApart) {
  TrackerRig rig;
  EXPECT_EQ(rig.want(node(1), base::digest_of("x")), "fetch");
  EXPECT_EQ(rig.want(node(2), base::digest_of("x", base::HashAlgorithm::sha512)), "fetch");
  EXPECT_EQ(rig.want(node(3), base::digest_of("x", base::HashAlgorithm::sha512)), "follow <2>");
}

TEST(Tracker, ALeaseEndsWhenItIsNotRenewed) {
  TrackerRig rig;
  EXPECT_EQ(rig.want(node(1), kBlob), "fetch");
  for (int i = 0; i < 10; ++i) {
    rig.pass(milliseconds(2'900));
    EXPECT_TRUE(rig.renew(node(1), kBlob));
    EXPECT_EQ(rig.want(node(2), kBlob), "follow <1>");
  }
  rig.pass(milliseconds(2'999));
  EXPECT_EQ(rig.want(node(2), kBlob), "follow <1>");
  rig.pass(milliseconds(1));
  EXPECT_EQ(rig.want(node(2), kBlob), "fetch 1") << "who fetched before has got a part";
  EXPECT_FALSE(rig.renew(node(1), kBlob)) << "the lease has passed on";
  EXPECT_EQ(rig.want(node(1), kBlob), "follow <2>");
  EXPECT_EQ(rig.tracker.totals().leases, 1u);
}

TEST(Tracker, AskingAgainRenews) {
  TrackerRig rig;
  EXPECT_EQ(rig.want(node(1), kBlob), "fetch");
  rig.pass(seconds(2));
  EXPECT_EQ(rig.want(node(1), kBlob), "fetch");
  rig.pass(seconds(2));
  EXPECT_EQ(rig.want(node(2), kBlob), "follow <1>");
}

TEST(Tracker, AnEndedLeaseThatNobodyTookIsRenewedAndOneNobodyGaveIsTaken) {
  TrackerRig rig;
  EXPECT_EQ(rig.want(node(1), kBlob), "fetch");
  rig.pass(seconds(4));
  EXPECT_TRUE(rig.renew(node(1), kBlob));
  EXPECT_EQ(rig.want(node(2), kBlob), "follow <1>");
  EXPECT_TRUE(rig.renew(node(3), blob(9))) << "as after a restart of the tracker";
  EXPECT_EQ(rig.want(node(4), blob(9)), "follow <3>");
  EXPECT_FALSE(rig.renew(node(4), blob(9)));
}

TEST(Tracker, GoneHaveAndSilenceEndALease) {
  {
    TrackerRig rig;
    EXPECT_EQ(rig.want(node(1), kBlob), "fetch");
    EXPECT_EQ(rig.want(node(2), kBlob), "follow <1>");
    rig.gone(node(1), kBlob);
    EXPECT_EQ(rig.tracker.totals().leases, 0u);
    EXPECT_EQ(rig.want(node(3), kBlob), "fetch 2");
    EXPECT_EQ(rig.want(node(2), kBlob), "follow <3>");
  }
  {
    TrackerRig rig;
    EXPECT_EQ(rig.want(node(1), kBlob), "fetch");
    rig.have(node(1), kBlob);
    EXPECT_EQ(rig.tracker.totals().leases, 0u);
    EXPECT_EQ(rig.want(node(2), kBlob), "follow 1");
  }
  {
    TrackerRig rig({.lease = seconds(60)});
    EXPECT_EQ(rig.want(node(1), kBlob), "fetch");
    rig.pass(seconds(5));
    EXPECT_EQ(rig.want(node(2), kBlob), "follow <1>");
    rig.pass(milliseconds(1));
    EXPECT_EQ(rig.want(node(2), kBlob), "fetch");
  }
  {
    TrackerRig rig;
    EXPECT_EQ(rig.want(node(1), kBlob), "fetch");
    rig.announce({node(1), {}, {}, {}, 0, true});
    EXPECT_EQ(rig.want(node(2), kBlob), "fetch") << "it said that it leaves";
  }
}

TEST(Tracker, HoldersComeFirstUntilTheySayGoneOrAreSilent) {
  TrackerRig rig;
  rig.have(node(1), kBlob);
  rig.pass(seconds(4));
  rig.have(node(2), kBlob);
  EXPECT_EQ(rig.want(node(3), kBlob), "follow 1,2");
  rig.gone(node(2), kBlob);
  EXPECT_EQ(rig.want(node(4), kBlob), "follow 1 (3)");
  rig.pass(milliseconds(1'001));
  EXPECT_EQ(rig.want(node(4), kBlob), "fetch 3") << "node 1 has been silent for 5.001 s";
}

TEST(Tracker, WhoAsksHoldsNothing) {
  TrackerRig rig;
  rig.have(node(1), kBlob);
  EXPECT_EQ(rig.want(node(1), kBlob), "fetch");
  EXPECT_EQ(rig.want(node(2), kBlob), "follow <1>");
}

TEST(Tracker, WhoHoldsItAllHoldsNoLease) {
  TrackerRig rig;
  rig.have(node(1), kBlob);
  EXPECT_TRUE(rig.renew(node(1), kBlob)) << "a late word of a fetch that is done";
  EXPECT_EQ(rig.tracker.totals().leases, 0u);
  EXPECT_EQ(rig.want(node(2), kBlob, {node(1)}), "fetch");
}

TEST(Tracker, AHolderThatTurnsUpEndsTheLeaseOfAnAskerThatAsksAgain) {
  TrackerRig rig;
  EXPECT_EQ(rig.want(node(1), kBlob), "fetch");
  rig.have(node(2), kBlob);
  EXPECT_EQ(rig.want(node(3), kBlob), "follow 2 <1>");
  EXPECT_EQ(rig.want(node(1), kBlob), "follow 2 (3)");
  EXPECT_EQ(rig.tracker.totals().leases, 0u);
}

TEST(Tracker, LoadSpreadsOverHolders) {
  TrackerRig rig({.handout = 3});
  for (int b = 0; b < 10; ++b) {
    for (int n = 0; n < 10; ++n) rig.have(node(n), blob(b));
  }
  std::map<std::string, int> first, any;
  for (int i = 0; i < 100; ++i) {
    const auto advice = rig.ask(node(100 + i), blob(i % 10));
    const auto& holders = std::get<Follow>(*advice).complete;
    ASSERT_EQ(holders.size(), 3u);
    ++first[holders[0].id];
    std::set<std::string> different;
    for (const auto& holder : holders) {
      ++any[holder.id];
      different.insert(holder.id);
    }
    EXPECT_EQ(different.size(), 3u);
  }
  EXPECT_EQ(first.size(), 10u);
  for (const auto& [id, times] : first) EXPECT_EQ(times, 10) << id;
  for (const auto& [id, times] : any) EXPECT_NEAR(times, 30, 3) << id;
}

TEST(Tracker, PeersThatAreGettingItAreHandedOutInTurn) {
  TrackerRig rig({.handout = 4});
  EXPECT_EQ(rig.want(node(0), kBlob), "fetch");
  for (int n = 1; n <= 40; ++n) rig.want(node(n), kBlob);
  std::map<std::string, int> named;
  for (int i = 0; i < 40; ++i) {
    const auto advice = rig.ask(node(1 + i), kBlob);
    EXPECT_EQ(std::get<Follow>(*advice).partial.size(), 4u);
    for (const auto& peer : std::get<Follow>(*advice).partial) ++named[peer.id];
  }
  EXPECT_EQ(named.size(), 40u);
  for (const auto& [id, times] : named) EXPECT_NEAR(times, 4, 2) << id;
}

struct AvoidRow {
  const char* what;
  std::vector<NodeInfo> avoid;
  std::string expected;
};

// 1 and 2 hold it, 3 holds the lease (it does not reach them), 4 follows, 5 asks.
TEST(Tracker, WhoDidNotServeIsLeftOut) {
  const std::vector<AvoidRow> rows = {
      {"nobody", {}, "follow 1,2 <3> (4)"},
      {"a holder", {node(1)}, "follow 2 <3> (4)"},
      {"all holders", {node(1), node(2)}, "follow <3> (4)"},
      {"holders and a follower", {node(1), node(2), node(4)}, "follow <3>"},
      {"all but a follower", {node(1), node(2), node(3)}, "follow (4)"},
      {"all", {node(1), node(2), node(3), node(4)}, "wait 3000"},
      {"somebody unknown", {node(77)}, "follow 1,2 <3> (4)"},
  };
  for (const auto& row : rows) {
    TrackerRig rig;
    EXPECT_EQ(rig.want(node(3), kBlob), "fetch");
    rig.have(node(1), kBlob);
    rig.have(node(2), kBlob);
    EXPECT_EQ(rig.want(node(4), kBlob, {node(1), node(2)}), "follow <3>");
    EXPECT_EQ(rig.want(node(5), kBlob, row.avoid), row.expected) << row.what;
  }
}

TEST(Tracker, WhoWaitsGetsTheLeaseWhenItHasEnded) {
  TrackerRig rig;
  EXPECT_EQ(rig.want(node(1), kBlob), "fetch");
  rig.pass(seconds(1));
  EXPECT_EQ(rig.want(node(3), kBlob), "follow <1>");
  EXPECT_EQ(rig.want(node(2), kBlob, {node(1), node(3)}), "wait 2000");
  EXPECT_EQ(rig.want(node(4), kBlob), "follow <1> (3)") << "who waits is getting nothing yet";
  rig.pass(milliseconds(1'990));
  EXPECT_EQ(rig.want(node(2), kBlob, {node(1), node(3), node(4)}), "wait 50") << "not in a loop";
  rig.pass(milliseconds(50));
  EXPECT_EQ(rig.want(node(2), kBlob, {node(1)}), "fetch 3,4");
}

TEST(Tracker, WhoAvoidsEveryHolderFetches) {
  TrackerRig rig;
  rig.have(node(1), kBlob);
  EXPECT_EQ(rig.want(node(2), kBlob, {node(1)}), "fetch");
  EXPECT_EQ(rig.want(node(3), kBlob), "follow 1 <2>");
}

TEST(Tracker, ALeaseHolderThatAvoidsAllOthersKeepsIt) {
  TrackerRig rig;
  EXPECT_EQ(rig.want(node(1), kBlob), "fetch");
  rig.have(node(2), kBlob);
  EXPECT_EQ(rig.want(node(1), kBlob, {node(2), node(1)}), "fetch");
}

TEST(Tracker, NoLongerInterestedMeansNoLongerNamed) {
  TrackerRig rig;
  EXPECT_EQ(rig.want(node(1), kBlob), "fetch");
  EXPECT_EQ(rig.want(node(2), kBlob), "follow <1>");
  EXPECT_EQ(rig.want(node(3), kBlob), "follow <1> (2)");
  rig.gone(node(2), kBlob);
  EXPECT_EQ(rig.want(node(4), kBlob), "follow <1> (3)");
  rig.have(node(3), kBlob);
  EXPECT_EQ(rig.want(node(5), kBlob), "follow 3 <1> (4)");
}

TEST(Tracker, ARecordNobodyHoldsOrWantsIsForgotten) {
  TrackerRig rig;
  rig.want(node(1), kBlob);
  rig.gone(node(1), kBlob);
  rig.have(node(1), blob(2));
  rig.gone(node(1), blob(2));
  rig.gone(node(1), blob(3));
  EXPECT_EQ(rig.tracker.totals().blobs, 0u);
  EXPECT_EQ(rig.tracker.totals().interests, 0u);
  EXPECT_EQ(rig.tracker.totals().leases, 0u);
}

TEST(Tracker, ASweepForgetsWhatSilentNodesSaid) {
  TrackerRig rig;
  for (int b = 0; b < 500; ++b) rig.have(node(1), blob(b));
  for (int b = 500; b < 1000; ++b) rig.want(node(2), blob(b));
  rig.pass(seconds(4));
  rig.have(node(3), blob(1));
  rig.want(node(4), blob(501));
  EXPECT_EQ(rig.tracker.totals().blobs, 1000u);
  rig.pass(seconds(2));
  for (int i = 0; i < 4; ++i) rig.tracker.sweep(rig.now);  // each walks a part
  EXPECT_EQ(rig.tracker.totals().nodes, 3u) << "the tracker's own, 3 and 4";
  EXPECT_EQ(rig.tracker.totals().blobs, 2u);
  EXPECT_EQ(rig.tracker.totals().interests, 1u);
  EXPECT_EQ(rig.tracker.totals().leases, 1u);
  rig.pass(seconds(6));
  for (int i = 0; i < 4; ++i) rig.tracker.sweep(rig.now);
  EXPECT_EQ(rig.tracker.totals().nodes, 1u);
  EXPECT_EQ(rig.tracker.totals().blobs, 0u);
  EXPECT_EQ(rig.tracker.totals().leases, 0u);
}

TEST(Tracker, GoneAndHaveOfOneAnnouncementEndInHave) {
  TrackerRig rig;
  rig.announce({node(1), {kBlob}, {kBlob}, {kBlob}});
  EXPECT_EQ(rig.want(node(2), kBlob), "follow 1");
  EXPECT_EQ(rig.tracker.totals().leases, 0u);
}

TEST(Tracker, ListsLongerThanAllowedAreRefused) {
  TrackerRig rig;
  std::vector<NodeInfo> avoid(kMaxAvoid, node(9));
  EXPECT_EQ(rig.want(node(1), kBlob, avoid), "fetch");
  avoid.push_back(node(9));
  EXPECT_EQ(rig.want(node(1), kBlob, avoid), "invalid");
  Announce announce{node(1), {}, {}, {}};
  for (std::size_t i = 0; i < kMaxDigests; ++i) announce.have.push_back(blob(static_cast<int>(i)));
  EXPECT_TRUE(rig.tracker.announce(announce, rig.now).ok());
  announce.gone.push_back(kBlob);
  const auto refused = rig.tracker.announce(announce, rig.now);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().kind(), base::ErrorKind::invalid);
}

TEST(Tracker, TheAnswerNamesTheTracker) {
  TrackerRig rig;
  const auto answer = rig.hello(node(1));
  EXPECT_EQ(answer.id, node(1'000'000).id);
  EXPECT_EQ(answer.trackers, std::vector{node(1'000'000).url});
}

}  // namespace
}  // namespace shoal::p2p
