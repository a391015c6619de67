// Who may do what, as a client sees it.
#include "hosted_fixture.h"

namespace shoal::serve {
namespace {

using auth::Action;
using http::Method;

// bob:builder
constexpr const char* kUsers = "bob:$2b$04$P.Ft9Puo0mL0CN0LMKm3peNmK30Ic0cqEhHRKoqh7KRIi6dFvp0ri\n";
const std::string kBob = "Basic Ym9iOmJ1aWxkZXI=";
const std::string kWrong = "Basic Ym9iOndyb25n";

class Admission : public ::testing::Test {
 protected:
  Admission() : authenticator(pool, clock, {}), node(&authenticator) {
    auto users = auth::Htpasswd::parse(kUsers);
    EXPECT_TRUE(users.ok());
    authenticator.set_users(std::make_shared<const auth::Htpasswd>(std::move(*users)));
    access.policy.enabled = true;
    access.policy.rules = {{{"team/**"}, {"bob"}, {Action::pull, Action::push}},
                           {{"team/open/**"}, {"anonymous"}, {Action::pull}}};
    apply();
  }
  void apply() { node.handler->set_access(std::make_shared<const Access>(access)); }
  HostedAnswer& ask(Method method, const std::string& path, const HeaderList& headers = {},
                    const std::string& peer = "127.0.0.1") {
    auto body = node.body(0);
    body->end();
    const auto id = node.begin(method, path, body, headers, peer);
    pool.run_all();
    return node.answered(id);
  }
  test::FakeExecutor pool;
  test::FakeClock clock;
  auth::Authenticator authenticator;
  Access access;
  HostedNode node;
};

const std::string kUploads = "/v2/team/app/blobs/uploads/";

TEST_F(Admission, AnonymousIsChallengedAndBobMayPush) {
  auto& anonymous = ask(Method::post, kUploads);
  EXPECT_EQ(anonymous.status(), 401);
  EXPECT_EQ(anonymous.header("WWW-Authenticate"), "Basic realm=\"Shoal\"");
  EXPECT_NE(anonymous.response.text.find("UNAUTHORIZED"), std::string::npos);
  EXPECT_EQ(ask(Method::post, kUploads, {{"Authorization", kWrong}}).status(), 401);
  EXPECT_EQ(ask(Method::post, kUploads, {{"Authorization", kBob}}).status(), 202);
  EXPECT_EQ(ask(Method::post, kUploads, {{"Authorization", kBob}}).status(), 202) << "remembered";
  EXPECT_EQ(ask(Method::post, kUploads, {{"Authorization", "Bearer x"}}).status(), 401);
}

TEST_F(Admission, WhatNoRuleAllowsIsDenied) {
  auto& answer = ask(Method::del, "/v2/team/app/manifests/1", {{"Authorization", kBob}});
  EXPECT_EQ(answer.status(), 403);
  EXPECT_NE(answer.response.text.find("DENIED"), std::string::npos);
  EXPECT_EQ(ask(Method::get, "/v2/team/open/x/manifests/1").status(), 404) << "anonymous may look there";
  EXPECT_EQ(ask(Method::get, "/v2/library/nginx/manifests/1", {{"Authorization", kBob}}).status(), 403)
      << "mirrored repositories have names too";
}

TEST_F(Admission, PingAsksForALogin) {
  EXPECT_EQ(ask(Method::get, "/v2/").status(), 401);
  EXPECT_EQ(ask(Method::get, "/v2/", {{"Authorization", kBob}}).status(), 200);
}

TEST_F(Admission, UploadSessionsNeedTheRightToPush) {
  EXPECT_EQ(ask(Method::get, "/v2/team/open/x/blobs/uploads/1").status(), 401);
}

TEST_F(Admission, MountNeedsTheRightToPullFromTheSource) {
  (void)node.world.store.hosted();
  node.handler->set_access(std::make_shared<const Access>());
  const auto digest = node.push_blob("team/app", "secret");
  access.policy.rules = {{{"team/new/**"}, {"bob"}, {Action::pull, Action::push}}};
  apply();
  const auto mount = "/v2/team/new/x/blobs/uploads/?mount=" + digest.to_string() + "&from=team/app";
  EXPECT_EQ(ask(Method::post, mount, {{"Authorization", kBob}}).status(), 202);
  access.policy.rules.push_back({{"team/app"}, {"bob"}, {Action::pull}});
  apply();
  EXPECT_EQ(ask(Method::post, mount, {{"Authorization", kBob}}).status(), 201);
}

TEST_F(Admission, CatalogShowsWhatTheCallerMayPull) {
  node.handler->set_access(std::make_shared<const Access>());
  (void)node.push_blob("team/app", "a");
  (void)node.push_blob("team/hidden", "b");
  access.policy.rules = {{{"team/app"}, {"bob"}, {Action::pull}}};
  apply();
  EXPECT_EQ(node.text(ask(Method::get, "/v2/_catalog", {{"Authorization", kBob}})), R"({"repositories":["team/app"]})");
}

TEST_F(Admission, PasswordsAreNotTakenInTheClear) {
  for (const char* peer : {"10.0.0.7", "::ffff:10.0.0.7"}) {
    EXPECT_EQ(ask(Method::post, kUploads, {{"Authorization", kBob}}, peer).status(), 403);
    auto& anonymous = ask(Method::post, kUploads, {}, peer);
    EXPECT_EQ(anonymous.status(), 403) << "no challenge that would make the client send one";
    EXPECT_FALSE(anonymous.response.headers.has("WWW-Authenticate"));
  }
  EXPECT_EQ(ask(Method::post, kUploads, {{"Authorization", kBob}}, "::1").status(), 202);
  access.allow_plaintext = true;
  apply();
  EXPECT_EQ(ask(Method::post, kUploads, {{"Authorization", kBob}}, "10.0.0.7").status(), 202);
}

TEST_F(Admission, ClientThatLeavesWhileItsPasswordIsCheckedIsForgotten) {
  auto body = node.body(0);
  const auto id = node.begin(Method::post, kUploads, body, {{"Authorization", kBob}});
  node.operations.erase(id);
  pool.run_all();
  node.world.run();
  EXPECT_EQ(node.target->answers.count(id), 0U);
  EXPECT_EQ(body->reads, 0);
}

TEST_F(Admission, BusyLoginSaysWhenToComeBack) {
  auth::Authenticator busy(pool, clock, {.max_waiting = 0});
  auto users = auth::Htpasswd::parse(kUsers);
  ASSERT_TRUE(users.ok());
  busy.set_users(std::make_shared<const auth::Htpasswd>(std::move(*users)));
  HostedNode other(&busy);
  other.handler->set_access(std::make_shared<const Access>(access));
  auto& answer = other.get("/v2/", {{"Authorization", kBob}});
  EXPECT_EQ(answer.status(), 503);
  EXPECT_EQ(answer.header("Retry-After"), "2");
}

TEST_F(Admission, AnAddressThatGuessesPasswordsIsToldToWaitAndOthersAreNot) {
  access.allow_plaintext = true;
  apply();
  authenticator.set_options({.max_failures_per_minute = 1});
  EXPECT_EQ(ask(Method::get, "/v2/", {{"Authorization", kWrong}}, "10.6.6.6").status(), 401);
  auto& answer = ask(Method::get, "/v2/", {{"Authorization", kBob}}, "10.6.6.6");
  EXPECT_EQ(answer.status(), 429);
  EXPECT_EQ(answer.header("Retry-After"), "60");
  EXPECT_NE(answer.response.text.find("TOOMANYREQUESTS"), std::string::npos);
  EXPECT_NE(answer.response.text.find("10.6.6.6"), std::string::npos);
  EXPECT_EQ(ask(Method::get, "/v2/", {{"Authorization", kBob}}, "10.0.0.1").status(), 200);
}

TEST_F(Admission, DisabledPolicyLooksAtNothing) {
  access.policy.enabled = false;
  apply();
  EXPECT_EQ(ask(Method::post, kUploads, {{"Authorization", "nonsense"}}, "10.0.0.7").status(), 202);
}

}  // namespace
}  // namespace shoal::serve
