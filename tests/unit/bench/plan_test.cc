#include "plan.h"

#include <gtest/gtest.h>

namespace shoal::bench {
namespace {

Options valid() {
  Options options;
  options.targets = {"http://a/x:1", "http://b/x:1"};
  return options;
}

// What is wrong with it; "" for nothing.
std::string wrong(const Options& options) {
  const auto plan = make_plan(options);
  if (plan.ok()) return "";
  EXPECT_EQ(plan.error().kind(), base::ErrorKind::invalid);
  return plan.error().message();
}

TEST(BenchPlan, TheDefaultsAreFine) {
  EXPECT_EQ(wrong(valid()), "");
  EXPECT_EQ(make_plan(valid())->profile.name, "containerd");
}

TEST(BenchPlan, ColdNeedsAWayToBeCold) {
  auto options = valid();
  options.mode = Mode::cold;
  EXPECT_NE(wrong(options).find("--admin"), std::string::npos);
  options.admin = {"http://a:1"};
  EXPECT_NE(wrong(options).find("2 targets need 2"), std::string::npos);
  options.admin.push_back("http://b:1");
  EXPECT_EQ(wrong(options), "");
  EXPECT_FALSE(make_plan(options)->fresh);
  options.generate = {1 << 20};
  EXPECT_NE(wrong(options).find("not both"), std::string::npos);
  options.admin.clear();
  EXPECT_NE(wrong(options).find("--upstream"), std::string::npos);  // pushed to the target it would be warm
  options.upstream = "http://c/x";
  EXPECT_EQ(wrong(options), "");
  EXPECT_TRUE(make_plan(options)->fresh);
}

TEST(BenchPlan, PeerNeedsTheNeighbour) {
  auto options = valid();
  options.mode = Mode::peer;
  options.admin = {"http://a:1", "http://b:1"};
  EXPECT_NE(wrong(options).find("--neighbour"), std::string::npos);
  options.neighbour = "http://n/x:1";
  EXPECT_EQ(wrong(options), "");
  options.mode = Mode::cold;
  EXPECT_NE(wrong(options).find("belongs to --mode peer"), std::string::npos);
}

TEST(BenchPlan, LimitsHold) {
  const auto with = [](auto change) {
    auto options = valid();
    change(options);
    return wrong(options);
  };
  EXPECT_NE(with([](Options& o) { o.targets.clear(); }), "");
  EXPECT_NE(with([](Options& o) { o.rounds = 0; }), "");
  EXPECT_NE(with([](Options& o) { o.rounds = kMostRounds + 1; }), "");
  EXPECT_NE(with([](Options& o) { o.clients = {1, 0}; }), "");
  EXPECT_NE(with([](Options& o) { o.clients = {kMostClients + 1}; }), "");
  EXPECT_NE(with([](Options& o) { o.rates = {-1}; }), "");
  EXPECT_NE(with([](Options& o) { o.rates = {kMostRate * 2}; }), "");
  EXPECT_NE(with([](Options& o) { o.rates = {0.01}; }), "");  // none within five seconds
  EXPECT_NE(with([](Options& o) { o.pulls = false; }), "");
  EXPECT_NE(with([](Options& o) { o.generate.assign(kMostLayers + 1, 1); }), "");
  EXPECT_NE(with([](Options& o) { o.generate = {0}; }), "");
  EXPECT_NE(with([](Options& o) { o.generate = {kMostLayer + 1}; }), "");
  EXPECT_NE(with([](Options& o) { o.profile = "curl"; }), "");
  EXPECT_NE(with([](Options& o) { o.upstream = "http://u/x"; }), "");
  EXPECT_NE(with([](Options& o) { o.admin = {"http://a"}; }), "");
  EXPECT_NE(with([](Options& o) {
              o.profile = "ranged";
              o.verify = true;
            }),
            "");
  EXPECT_EQ(with([](Options& o) { o.clients = {1, kMostClients}; }), "");
}

TEST(BenchPlan, TheLoginOfTheHostComesBeforeTheOneForAll) {
  auto options = valid();
  options.login = {"all", "1"};
  options.logins["h:5000"] = {"port", "2"};
  options.logins["r.example"] = {"host", "3"};
  options.logins["docker.io"] = {"hub", "4"};
  const auto user = [&options](const char* url) { return login_for(options, {url, "a", "b"}).user; };
  EXPECT_EQ(user("http://h:5000"), "port");
  EXPECT_EQ(user("http://h:5001"), "all");
  EXPECT_EQ(user("https://r.example"), "host");
  EXPECT_EQ(user("https://r.example:8443"), "host");
  EXPECT_EQ(user("https://registry-1.docker.io"), "hub");
}

}  // namespace
}  // namespace shoal::bench
