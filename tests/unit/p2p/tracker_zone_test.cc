// Zones: nodes of one zone are close, and a blob crosses between zones as few times as possible.
#include <gtest/gtest.h>

#include "tracker_rig.h"

namespace shoal::p2p {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

const base::Digest kBlob = blob(1);
NodeInfo a(int n) { return node(n, "a"); }
NodeInfo b(int n) { return node(n, "b"); }

TEST(TrackerZones, OneOfAZoneCrossesAndTheOthersFollowIt) {
  TrackerRig rig;
  rig.have(a(1), kBlob);
  EXPECT_EQ(rig.want(b(2), kBlob), "follow 1");
  EXPECT_EQ(rig.want(b(3), kBlob), "follow (2)");
  EXPECT_EQ(rig.want(b(4), kBlob), "follow (2,3)");
  EXPECT_EQ(rig.want(a(5), kBlob), "follow 1") << "in the zone of the holder there is no such limit";
  EXPECT_EQ(rig.want(b(2), kBlob), "follow 1 (3,4,5)") << "who crosses already may go on";
  EXPECT_EQ(rig.want(node(6, "c"), kBlob), "follow 1 (3,4,5,2)") << "each zone has its own budget";
}

TEST(TrackerZones, TheBudgetIsAnOption) {
  TrackerRig rig({.zone_copies = 2});
  rig.have(a(1), kBlob);
  EXPECT_EQ(rig.want(b(2), kBlob), "follow 1");
  EXPECT_EQ(rig.want(b(3), kBlob), "follow 1 (2)");
  EXPECT_EQ(rig.want(b(4), kBlob), "follow (2,3)");
  TrackerRig none({.zone_copies = 0});
  none.have(a(1), kBlob);
  EXPECT_EQ(none.want(b(2), kBlob), "follow 1") << "at least one, or nobody would ever get it";
  EXPECT_EQ(none.want(b(3), kBlob), "follow (2)");
}

TEST(TrackerZones, AFetcherOfAnotherZoneIsFollowedByOne) {
  TrackerRig rig;
  EXPECT_EQ(rig.want(a(1), kBlob), "fetch");
  EXPECT_EQ(rig.want(b(2), kBlob), "follow <1>");
  EXPECT_EQ(rig.want(b(3), kBlob), "follow (2)");
  EXPECT_EQ(rig.want(a(4), kBlob), "follow <1>") << "its zone's others are not its business";
}

TEST(TrackerZones, ItsOwnZoneComesFirst) {
  TrackerRig rig;
  rig.have(a(1), kBlob);
  rig.have(b(2), kBlob);
  EXPECT_EQ(rig.want(b(3), kBlob), "follow 2");
  EXPECT_EQ(rig.want(a(4), kBlob), "follow 1");
  EXPECT_EQ(rig.want(b(5), kBlob, {b(2)}), "follow 1 (3,4)") << "it does not reach that of its zone";
}

TEST(TrackerZones, AFetcherOfItsOwnZoneComesBeforeHoldersOfAnother) {
  TrackerRig rig;
  EXPECT_EQ(rig.want(b(1), kBlob), "fetch");
  rig.have(a(2), kBlob);
  EXPECT_EQ(rig.want(b(3), kBlob), "follow <1>");
}

TEST(TrackerZones, WhenTheCrossingIsDoneItsZoneHasAHolder) {
  TrackerRig rig;
  rig.have(a(1), kBlob);
  rig.want(b(2), kBlob);
  rig.want(b(3), kBlob);
  rig.have(b(2), kBlob);
  EXPECT_EQ(rig.want(b(3), kBlob), "follow 2");
  EXPECT_EQ(rig.want(b(4), kBlob), "follow 2 (3)");
}

TEST(TrackerZones, TheRightToCrossEndsWithInterestAndSilence) {
  {
    TrackerRig rig;
    rig.have(a(1), kBlob);
    rig.want(b(2), kBlob);
    rig.gone(b(2), kBlob);
    EXPECT_EQ(rig.want(b(3), kBlob), "follow 1");
  }
  {
    TrackerRig rig;
    rig.have(a(1), kBlob);
    rig.want(b(2), kBlob);
    rig.pass(seconds(5));
    rig.hello(a(1));
    rig.pass(milliseconds(1));
    EXPECT_EQ(rig.want(b(3), kBlob), "follow 1");
  }
}

TEST(TrackerZones, ARightThatServesNobodyPassesOnInTime) {
  TrackerRig rig;
  rig.have(a(1), kBlob);
  EXPECT_EQ(rig.want(b(2), kBlob), "follow 1");
  rig.pass(seconds(1));
  EXPECT_EQ(rig.want(b(3), kBlob, {b(2)}), "wait 2000");
  EXPECT_EQ(rig.want(b(2), kBlob), "follow 1") << "asking again does not make it younger";
  rig.pass(seconds(2));
  rig.hello(a(1));
  EXPECT_EQ(rig.want(b(3), kBlob, {b(2)}), "follow 1");
  EXPECT_EQ(rig.want(b(2), kBlob), "follow (3)");
  EXPECT_EQ(rig.want(b(4), kBlob), "follow (3,2)");
}

TEST(TrackerZones, WhenTheFetcherDiesTheLeaseComesToWhoAsks) {
  TrackerRig rig;
  EXPECT_EQ(rig.want(a(1), kBlob), "fetch");
  EXPECT_EQ(rig.want(b(2), kBlob), "follow <1>");
  EXPECT_EQ(rig.want(b(3), kBlob), "follow (2)");
  rig.pass(seconds(3));
  EXPECT_EQ(rig.want(b(3), kBlob), "fetch 2");
  EXPECT_EQ(rig.want(b(2), kBlob), "follow <3>");
}

TEST(TrackerZones, AnUnreachableFetcherElsewhere) {
  TrackerRig rig;
  EXPECT_EQ(rig.want(a(1), kBlob), "fetch");
  EXPECT_EQ(rig.want(a(2), kBlob), "follow <1>");
  EXPECT_EQ(rig.want(b(3), kBlob, {a(1)}), "follow (2)") << "across, by way of one that reaches it";
  EXPECT_EQ(rig.want(b(4), kBlob), "follow (3)");
  EXPECT_EQ(rig.want(node(5, "c"), kBlob, {a(1), a(2), b(3), b(4)}), "wait 3000");
}

TEST(TrackerZones, WhenManyHoldItOneOfEachZoneIsRemembered) {
  TrackerRig rig({.handout = 64, .max_holders = 4});
  for (int n = 1; n <= 10; ++n) rig.have(a(n), kBlob);
  const auto advice = rig.ask(a(100), kBlob);
  EXPECT_EQ(std::get<Follow>(*advice).complete.size(), 4u);
  rig.have(b(11), kBlob);
  EXPECT_EQ(rig.want(b(101), kBlob), "follow 11");
  EXPECT_EQ(std::get<Follow>(*rig.ask(a(102), kBlob)).complete.size(), 3u);
  rig.have(b(12), kBlob);
  EXPECT_EQ(rig.want(b(103), kBlob), "follow 11 (101)");
}

}  // namespace
}  // namespace shoal::p2p
