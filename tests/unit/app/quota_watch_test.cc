#include "quota_watch.h"

#include "support/hosted_rig.h"

namespace shoal::app {
namespace {

using namespace std::chrono_literals;

class QuotaWatchTest : public ::testing::Test {
 protected:
  void SetUp() override {
    rig.start();
    ASSERT_TRUE(rig.push_blob("team/app", "12345").ok());
    ASSERT_TRUE(rig.push_blob("team/lib", "1234567").ok());
    ASSERT_TRUE(rig.push_blob("ci/app", "123").ok());
    ASSERT_TRUE(rig.push_blob("other", "1").ok());
  }
  double gauge(const char* name, const char* quota) {
    return metrics.gauge(std::string("shoal_quota_") + name + "_bytes", "", {{"quota", quota}}).value();
  }
  double used(const char* quota) { return gauge("used", quota); }
  double limit(const char* quota) { return gauge("limit", quota); }

  test::HostedRig rig;
  test::FakeExecutor pool;
  obs::Metrics metrics;
};

TEST_F(QuotaWatchTest, TheFirstPatternThatMatchesCounts) {
  QuotaWatch watch(*rig.store, pool, rig.clock, metrics);
  watch.set_quotas({{"team/app", 100}, {"team/**", 200}, {"ci/**", 300}, {"none/**", 400}});
  EXPECT_EQ(limit("team/app"), 100);
  pool.run_all();
  EXPECT_EQ(used("team/app"), 5);
  EXPECT_EQ(used("team/**"), 7);
  EXPECT_EQ(used("ci/**"), 3);
  EXPECT_EQ(used("none/**"), 0);
}

TEST_F(QuotaWatchTest, IsMeasuredAgainInTime) {
  QuotaWatch watch(*rig.store, pool, rig.clock, metrics);
  watch.set_quotas({{"team/**", 200}});
  pool.run_all();
  ASSERT_TRUE(rig.push_blob("team/new", "12").ok());
  rig.clock.advance(59s);
  watch.tick();
  pool.run_all();
  EXPECT_EQ(used("team/**"), 12);
  rig.clock.advance(2s);
  watch.tick();
  pool.run_all();
  EXPECT_EQ(used("team/**"), 14);
}

TEST_F(QuotaWatchTest, NewQuotasCountAtOnceAlsoWhileOthersAreMeasured) {
  QuotaWatch watch(*rig.store, pool, rig.clock, metrics);
  watch.set_quotas({{"team/**", 200}});
  EXPECT_TRUE(pool.run_one());
  watch.set_quotas({{"ci/**", 300}});
  pool.run_all();
  EXPECT_EQ(used("ci/**"), 3);
  EXPECT_EQ(used("team/**"), 0);
  EXPECT_EQ(limit("team/**"), 0);
  watch.set_quotas({});
  pool.run_all();
  EXPECT_EQ(used("ci/**"), 0);
  EXPECT_EQ(limit("ci/**"), 0);
}

TEST_F(QuotaWatchTest, LeavesTheStoreAloneOnceItIsStopped) {
  QuotaWatch watch(*rig.store, pool, rig.clock, metrics);
  watch.set_quotas({{"team/**", 200}});
  watch.stop();
  rig.close();
  pool.run_all();
  EXPECT_EQ(used("team/**"), 0);
}

}  // namespace
}  // namespace shoal::app
