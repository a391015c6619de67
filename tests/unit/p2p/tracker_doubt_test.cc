// When a fetcher that brings nothing, or lies, loses its lease: src/p2p/tracker_doubt.h.
#include <gtest/gtest.h>

#include "tracker_rig.h"

namespace shoal::p2p {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

const base::Digest kBlob = blob(1);
constexpr milliseconds kGraceTime{1'000};

// Node 1 holds the lease, and renews it at every step; 2 to `last` follow it.
struct DoubtRig : TrackerRig {
  explicit DoubtRig(int last, TrackerOptions options = {}) : TrackerRig(options) {
    EXPECT_EQ(want(node(1), kBlob), "fetch");
    for (int n = 2; n <= last; ++n) (void)want(node(n), kBlob);
  }
  void pass_renewed(milliseconds time, int holder = 1) {
    for (; time > milliseconds(0); time -= milliseconds(500)) {
      pass(std::min(time, milliseconds(500)));
      EXPECT_TRUE(renew(node(holder), kBlob));
    }
  }
};

TEST(TrackerDoubt, WhomMostAvoidLosesTheLeaseToOneOfThemAndTheOthersFollowThat) {
  DoubtRig rig(4);
  EXPECT_EQ(rig.want(node(2), kBlob, {node(1)}), "follow (3,4)") << "one of three";
  EXPECT_EQ(rig.want(node(3), kBlob, {node(1)}), "wait 1000") << "two";
  rig.pass_renewed(milliseconds(400));
  EXPECT_EQ(rig.want(node(3), kBlob, {node(1)}), "wait 600") << "since when they do counts";
  rig.pass_renewed(milliseconds(600));
  EXPECT_EQ(rig.want(node(3), kBlob, {node(1)}), "fetch 2,4") << "who waited for this still has its parts";
  EXPECT_FALSE(rig.renew(node(1), kBlob)) << "it is told";
  EXPECT_EQ(rig.want(node(2), kBlob, {node(1)}), "follow <3> (4)");
  EXPECT_EQ(rig.want(node(4), kBlob), "follow <3> (2,1)") << "who lost it stays one that has got parts";
  EXPECT_EQ(rig.want(node(1), kBlob), "follow <3> (2,4)");
  EXPECT_EQ(rig.tracker.totals().leases, 1u);
}

TEST(TrackerDoubt, OneOfSeveralTakesNoLeaseHoweverOftenItAsks) {
  DoubtRig rig(3);
  for (int i = 0; i < 100; ++i) {
    EXPECT_NE(rig.want(node(2), kBlob, {node(1)}), "fetch 3");
    rig.pass_renewed(milliseconds(300));
  }
  EXPECT_TRUE(rig.renew(node(1), kBlob));
}

TEST(TrackerDoubt, AnOnlyFollowerTakesNone) {
  DoubtRig rig(2);
  for (int i = 0; i < 20; ++i) {
    EXPECT_FALSE(rig.want(node(2), kBlob, {node(1)}).starts_with("fetch"));
    rig.pass_renewed(milliseconds(500));
  }
  EXPECT_TRUE(rig.renew(node(1), kBlob));
}

TEST(TrackerDoubt, AnAccompliceThatComesAndGoesDoesNotStopTheClock) {
  DoubtRig rig(6);
  for (int n = 2; n <= 5; ++n) (void)rig.want(node(n), kBlob, {node(1)});
  for (int i = 0; i < 10; ++i) {
    (void)rig.want(node(6), kBlob, {node(1)});
    rig.pass_renewed(milliseconds(100));
    (void)rig.want(node(6), kBlob);
  }
  EXPECT_TRUE(rig.want(node(2), kBlob, {node(1)}).starts_with("fetch"));
}

TEST(TrackerDoubt, WhoWantsItNoMoreDoesNotCount) {
  DoubtRig rig(11);
  for (int n = 2; n <= 4; ++n) {
    (void)rig.want(node(n), kBlob, {node(1)});
    rig.gone(node(n), kBlob);
  }
  EXPECT_TRUE(rig.want(node(5), kBlob, {node(1)}).starts_with("follow")) << "one of seven";
}

TEST(TrackerDoubt, WhoReachesItAgainInTimeChangesNothing) {
  DoubtRig rig(3);
  (void)rig.want(node(2), kBlob, {node(1)});
  EXPECT_EQ(rig.want(node(3), kBlob, {node(1)}), "wait 1000");
  rig.pass_renewed(milliseconds(900));
  EXPECT_EQ(rig.want(node(2), kBlob), "follow <1> (3)");
  rig.pass_renewed(milliseconds(100));
  EXPECT_EQ(rig.want(node(3), kBlob, {node(1)}), "follow (2)");
  EXPECT_TRUE(rig.renew(node(1), kBlob));
}

TEST(TrackerDoubt, DoubtsOfLongAgoDoNotAddUp) {
  DoubtRig rig(3);
  (void)rig.want(node(2), kBlob, {node(1)});
  rig.pass_renewed(seconds(6));
  (void)rig.want(node(2), kBlob);
  EXPECT_EQ(rig.want(node(3), kBlob, {node(1)}), "follow (2)");
  (void)rig.hello(node(3));
}

TEST(TrackerDoubt, ANewHolderBeginsWithoutDoubts) {
  DoubtRig rig(4);
  (void)rig.want(node(2), kBlob, {node(1)});
  (void)rig.want(node(3), kBlob, {node(1)});
  rig.gone(node(1), kBlob);
  EXPECT_EQ(rig.want(node(4), kBlob), "fetch 3,2");
  rig.pass(milliseconds(1'100));
  EXPECT_EQ(rig.want(node(2), kBlob, {node(1)}), "follow <4> (3)");
  EXPECT_EQ(rig.want(node(3), kBlob, {node(4)}), "follow (2)") << "one of two";
}

TEST(TrackerDoubt, ACompleteHolderIsWorthMoreThanALease) {
  DoubtRig rig(2);
  rig.have(node(9), kBlob);
  EXPECT_EQ(rig.want(node(2), kBlob, {node(1)}), "follow 9");
  rig.pass_renewed(seconds(2));
  EXPECT_EQ(rig.want(node(2), kBlob, {node(1)}), "follow 9");
}

// Two that pass it to and fro, and a third that would like to have the blob.
TEST(TrackerDoubt, EachTakesALeaseOnce) {
  DoubtRig rig(3);
  const auto take = [&](int taker, int other, int holder) {
    (void)rig.want(node(other), kBlob, {node(holder)});
    if (rig.want(node(taker), kBlob, {node(holder)}).starts_with("fetch")) return true;
    rig.pass_renewed(kGraceTime, holder);
    return rig.want(node(taker), kBlob, {node(holder)}).starts_with("fetch");
  };
  EXPECT_TRUE(take(2, 3, 1));
  EXPECT_TRUE(take(1, 3, 2));
  EXPECT_FALSE(take(2, 3, 1)) << "a second time";
  EXPECT_TRUE(take(3, 2, 1));
  EXPECT_FALSE(take(1, 2, 3));
  EXPECT_FALSE(take(2, 1, 3));
}

TEST(TrackerDoubt, ManyNamesPassItOnNoMoreThanAllowed) {
  DoubtRig rig(1);
  int holder = 1, passed = 0;
  for (int n = 2; n < 40; ++n) {
    rig.pass_renewed(milliseconds(100), holder);
    rig.gone(node(n - 1 == holder ? 3'000 : n - 1), kBlob);  // so that the next two are all
    rig.gone(node(1'000 + n - 1), kBlob);
    (void)rig.want(node(1'000 + n), kBlob, {node(holder)});
    (void)rig.want(node(n), kBlob, {node(holder)});
    rig.pass_renewed(kGraceTime, holder);
    if (!rig.want(node(n), kBlob, {node(holder)}).starts_with("fetch")) continue;
    rig.gone(node(holder), kBlob);
    holder = n;
    ++passed;
  }
  EXPECT_EQ(passed, 8);
}

}  // namespace
}  // namespace shoal::p2p
