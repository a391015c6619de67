// Token and Basic authorization against scripted registries.
#include <gtest/gtest.h>

#include "rig.h"
#include "shoal/upstream/auth.h"
#include "support/temp_dir.h"

namespace shoal::upstream {
namespace {

using namespace std::chrono_literals;
using test::failure_of;
using test::kManifest;
using test::kManifestType;
using test::ok;
using test::options_for;
using test::ScriptedServer;
using test::UpstreamRig;
using Connection = ScriptedServer::Connection;
using Seen = ScriptedServer::Request;

// A registry with its own token endpoint at /token.
struct TokenRegistry {
  explicit TokenRegistry(std::string token_reply = R"({"token":"t1","expires_in":300})")
      : reply(std::move(token_reply)), server([this](const Seen& seen, Connection& c) { answer(seen, c); }) {}

  void answer(const Seen& seen, Connection& c) {
    if (seen.path() == "/token") {
      c.idle(token_delay);
      return c.reply(token_status, reply);
    }
    if (!open && seen.header("authorization") != "Bearer " + accepted) {
      return c.reply(401, R"({"errors":[{"code":"UNAUTHORIZED","message":"no"}]})", challenge());
    }
    c.reply(200, kManifest, kManifestType);
  }
  std::string challenge() const {
    return "WWW-Authenticate: Bearer realm=\"" + (realm.empty() ? server.url("/token") : realm) +
           "\",service=\"the reg\",scope=\"repository:user/image:pull\"" + extra + "\r\n";
  }

  std::string reply, accepted = "t1", realm, extra;
  int token_status = 200;
  bool open = false;  // wants no tokens
  std::chrono::milliseconds token_delay{0};
  ScriptedServer server;
};

TEST(TokenAuth, AnonymousTokenForOurScopeThenOneRoundTripForTheNextRepository) {
  TokenRegistry registry;
  UpstreamRig rig(options_for({registry.server.url()}));
  EXPECT_TRUE(ok(rig.manifest("a/b", "latest")));
  ASSERT_EQ(registry.server.requests().size(), 3u);  // 401, token, answer
  EXPECT_EQ(registry.server.requests()[1].query(), "service=the%20reg&scope=repository%3Aa%2Fb%3Apull");
  EXPECT_EQ(registry.server.requests()[1].header("authorization"), "");
  EXPECT_TRUE(ok(rig.manifest("c/d", "latest")));  // straight to the token endpoint
  EXPECT_EQ(registry.server.requests().size(), 5u);
  EXPECT_TRUE(ok(rig.manifest("a/b", "latest")));  // token known
  EXPECT_EQ(registry.server.requests().size(), 6u);
}

TEST(TokenAuth, CredentialsGoToTheTokenEndpointOnly) {
  TokenRegistry registry;
  auto options = options_for({registry.server.url()});
  options.credentials.username = "robot$me+x";
  options.credentials.password = "pass";
  UpstreamRig rig(options);
  EXPECT_TRUE(ok(rig.manifest("a/b", "latest")));
  const auto requests = registry.server.requests();
  ASSERT_EQ(requests.size(), 3u);
  EXPECT_EQ(requests[1].header("authorization"), "Basic cm9ib3QkbWUreDpwYXNz");
  EXPECT_NE(requests[1].query().find("&account=robot%24me%2Bx"), std::string::npos);
  EXPECT_EQ(requests[2].header("authorization"), "Bearer t1");
}

TEST(TokenAuth, WrongCredentialsAreDeniedAndSayWhere) {
  TokenRegistry registry;
  registry.token_status = 401;
  auto options = options_for({registry.server.url()});
  options.credentials = {"me", "wrong-secret", ""};
  UpstreamRig rig(options);
  const auto outcome = rig.manifest("a/b", "latest");
  EXPECT_EQ(failure_of(outcome).kind, Failure::Kind::denied);
  EXPECT_EQ(failure_of(outcome).message, "reg.lan: token endpoint refused the credentials (401)");
  EXPECT_FALSE(rig.state->health().open);
  EXPECT_EQ(rig.state->health().refused, failure_of(outcome).message);
  registry.token_status = 200;
  EXPECT_TRUE(ok(rig.manifest("a/b", "latest")));
  EXPECT_EQ(rig.state->health().refused, "");
}

TEST(TokenAuth, FiftyCallsOnTwoLoopsMakeOneTokenRequest) {
  TokenRegistry registry;
  registry.token_delay = 50ms;
  UpstreamRig rig(options_for({registry.server.url()}), 2);
  std::vector<std::promise<bool>> done(50);
  std::vector<Call> calls(50);
  for (unsigned loop = 0; loop < 2; ++loop) {
    rig.thread(loop).run([&] {
      for (std::size_t i = loop; i < 50; i += 2) {
        calls[i] =
            rig.registry(loop).get_manifest("a/b", "latest", [&, i](Outcome<Manifest> o) { done[i].set_value(ok(o)); });
      }
    });
  }
  for (auto& d : done) EXPECT_TRUE(d.get_future().get());
  EXPECT_EQ(registry.server.count("/token"), 1u);
  for (unsigned loop = 0; loop < 2; ++loop) {
    rig.thread(loop).run([&] {
      for (std::size_t i = loop; i < 50; i += 2) calls[i].cancel();
    });
  }
}

TEST(TokenAuth, RefusedCachedTokenIsRenewedOnce) {
  TokenRegistry registry;
  UpstreamRig rig(options_for({registry.server.url()}));
  EXPECT_TRUE(ok(rig.manifest("a/b", "1")));
  registry.accepted = "t2";
  registry.reply = R"({"access_token":"t2"})";
  EXPECT_TRUE(ok(rig.manifest("a/b", "1")));
  EXPECT_EQ(registry.server.count("/token"), 2u);
  registry.accepted = "never";
  const auto outcome = rig.manifest("a/b", "1");
  EXPECT_EQ(failure_of(outcome).kind, Failure::Kind::denied);
  EXPECT_EQ(failure_of(outcome).status, 401);
  EXPECT_EQ(registry.server.count("/token"), 3u);
}

// Another repository: its token is not known yet, but the challenge is.
TEST(TokenAuth, AChallengeOfLongAgoThatLeadsToNoTokenIsAskedForAgain) {
  TokenRegistry registry, elsewhere;
  registry.realm = elsewhere.server.url("/token");
  UpstreamRig rig(options_for({registry.server.url()}));
  EXPECT_TRUE(ok(rig.manifest("a/b", "1")));
  elsewhere.token_status = 404;
  registry.realm.clear();
  EXPECT_TRUE(ok(rig.manifest("c/d", "1")));  // learned anew
  EXPECT_EQ(elsewhere.server.count("/token"), 2u);
  registry.token_status = 404;
  const auto before = registry.server.requests().size();
  EXPECT_FALSE(ok(rig.manifest("e/f", "1")));
  EXPECT_LE(registry.server.requests().size(), before + 3);  // token, 401, token
}

TEST(TokenAuth, RegistryThatWantsNoTokensAnyMoreIsAskedWithout) {
  TokenRegistry registry;
  UpstreamRig rig(options_for({registry.server.url()}));
  EXPECT_TRUE(ok(rig.manifest("a/b", "1")));
  registry.token_status = 404;
  registry.open = true;
  EXPECT_TRUE(ok(rig.manifest("c/d", "1")));
}

TEST(TokenAuth, InsufficientScopeIsAskedForOnceMore) {
  TokenRegistry registry;
  registry.accepted = "never";
  registry.extra = ",error=\"insufficient_scope\"";
  UpstreamRig rig(options_for({registry.server.url()}));
  EXPECT_EQ(failure_of(rig.manifest("a/b", "1")).kind, Failure::Kind::denied);
  EXPECT_EQ(registry.server.count("/token"), 2u);
}

TEST(TokenAuth, RealmElsewhereGetsNoCredentialsUnlessListed) {
  TokenRegistry registry;
  ScriptedServer elsewhere([](const Seen& seen, Connection& c) {
    if (seen.header("authorization").empty()) return c.reply(401, "");
    c.reply(200, R"({"token":"t1"})");
  });
  registry.realm = "http://localhost:" + std::to_string(elsewhere.port()) + "/token";
  auto options = options_for({registry.server.url()});
  options.credentials = {"me", "secret", ""};
  {
    UpstreamRig rig(options);
    const auto outcome = rig.manifest("a/b", "1");
    EXPECT_EQ(failure_of(outcome).kind, Failure::Kind::denied);
    EXPECT_NE(failure_of(outcome).message.find("auth_realms"), std::string::npos) << failure_of(outcome).message;
    for (const auto& request : elsewhere.requests()) EXPECT_EQ(request.header("authorization"), "");
  }
  options.auth_realms = {"localhost"};
  UpstreamRig rig(options);
  EXPECT_TRUE(ok(rig.manifest("a/b", "1")));
}

TEST(TokenAuth, BareUnauthorizedTakesTheChallengeFromThePing) {
  std::string url;
  ScriptedServer server([&](const Seen& seen, Connection& c) {
    if (seen.path() == "/token") return c.reply(200, R"({"token":"t"})");
    if (seen.header("authorization") == "Bearer t") return c.reply(200, kManifest, kManifestType);
    if (seen.path() == "/v2/") return c.reply(401, "", "WWW-Authenticate: Bearer realm=\"" + url + "/token\"\r\n");
    c.reply(401, "");
  });
  url = server.url();
  UpstreamRig rig(options_for({url}));
  EXPECT_TRUE(ok(rig.manifest("a/b", "1")));
}

TEST(TokenAuth, TokenEndpointDownIsUnavailableAndGarbageIsABadAnswer) {
  TokenRegistry registry;
  registry.realm = "http://127.0.0.1:" + std::to_string(test::closed_port()) + "/token";
  UpstreamRig rig(options_for({registry.server.url()}));
  EXPECT_EQ(failure_of(rig.manifest("a/b", "1")).kind, Failure::Kind::unavailable);
  TokenRegistry garbage("<html>");
  UpstreamRig other(options_for({garbage.server.url()}));
  EXPECT_EQ(failure_of(other.manifest("a/b", "1")).kind, Failure::Kind::bad_answer);
  TokenRegistry limited;
  limited.token_status = 429;
  UpstreamRig third(options_for({limited.server.url()}));
  EXPECT_EQ(failure_of(third.manifest("a/b", "1")).kind, Failure::Kind::rate_limited);
}

TEST(BasicAuth, CredentialsAreSentWhenAskedFor) {
  ScriptedServer server([](const Seen& seen, Connection& c) {
    if (seen.header("authorization") != "Basic bWU6cGFzcw==") {
      return c.reply(401, "", "WWW-Authenticate: Basic realm=\"x\"\r\n");
    }
    c.reply(200, kManifest, kManifestType);
  });
  auto options = options_for({server.url()});
  UpstreamRig anonymous(options);
  EXPECT_EQ(failure_of(anonymous.manifest("a/b", "1")).kind, Failure::Kind::denied);
  options.credentials = {"me", "pass", ""};
  UpstreamRig rig(options);
  EXPECT_TRUE(ok(rig.manifest("a/b", "1")));
  EXPECT_TRUE(ok(rig.manifest("a/b", "1")));
  EXPECT_EQ(server.requests().size(), 4u);  // one without, then 401 and twice with
  options.credentials.password = "wrong";
  UpstreamRig wrong(options);
  EXPECT_EQ(failure_of(wrong.manifest("a/b", "1")).kind, Failure::Kind::denied);
}

TEST(BasicAuth, NewCredentialsWorkAfterAReload) {
  ScriptedServer server([](const Seen& seen, Connection& c) {
    if (seen.header("authorization") != "Basic bWU6bmV3") {
      return c.reply(401, "", "WWW-Authenticate: Basic realm=\"x\"\r\n");
    }
    c.reply(200, kManifest, kManifestType);
  });
  auto options = options_for({server.url()});
  options.credentials = {"me", "old", ""};
  UpstreamRig rig(options);
  EXPECT_FALSE(ok(rig.manifest("a/b", "1")));
  options.credentials.password = "new";
  rig.state->set_options(options);
  EXPECT_TRUE(ok(rig.manifest("a/b", "1")));
}

TEST(BasicAuth, ExpiredTextWith403CountsLike401Once) {
  int refusals = 1;
  ScriptedServer server([&](const Seen& seen, Connection& c) {
    if (seen.header("authorization").empty()) return c.reply(401, "", "WWW-Authenticate: Basic realm=\"x\"\r\n");
    if (refusals-- > 0) {
      return c.reply(403, "Your authorization token has expired. Reauthenticate and try again.",
                     "Content-Type: text/plain\r\n");
    }
    c.reply(200, kManifest, kManifestType);
  });
  auto options = options_for({server.url()});
  options.credentials = {"AWS", "token", ""};
  UpstreamRig rig(options);
  EXPECT_TRUE(ok(rig.manifest("a/b", "1")));
  refusals = 100;
  EXPECT_EQ(failure_of(rig.manifest("a/b", "1")).kind, Failure::Kind::denied);
  EXPECT_EQ(refusals, 98);
}

TEST(FixedToken, IsSentAtOnceAndRefusedMeansDenied) {
  ScriptedServer server([](const Seen& seen, Connection& c) {
    if (seen.header("authorization") == "Bearer fixed") return c.reply(200, kManifest, kManifestType);
    c.reply(401, "", "WWW-Authenticate: Bearer realm=\"http://127.0.0.1:1/\"\r\n");
  });
  auto options = options_for({server.url()});
  options.credentials.bearer = "fixed";
  UpstreamRig rig(options);
  EXPECT_TRUE(ok(rig.manifest("a/b", "1")));
  options.credentials.bearer = "other";
  rig.state->set_options(options);
  EXPECT_EQ(failure_of(rig.manifest("a/b", "1")).kind, Failure::Kind::denied);
  EXPECT_EQ(server.requests().size(), 2u);
}

TEST(RealmTrust, IsConfinedToTheRegistrableDomain) {
  struct Case {
    const char *realm, *registry;
    std::vector<std::string> listed;
    bool trusted;
  };
  const Case cases[] = {
      {"https://auth.docker.io/token", "https://registry-1.docker.io", {}, true},
      {"https://ghcr.io/token", "https://ghcr.io", {}, true},
      {"https://evil.io/token", "https://registry-1.docker.io", {}, false},
      {"https://docker.io.evil.com/token", "https://registry-1.docker.io", {}, false},
      {"https://evildocker.io/token", "https://docker.io", {}, false},
      {"https://a.co.uk/token", "https://b.co.uk", {}, false},
      {"https://auth.a.co.uk/token", "https://reg.a.co.uk", {}, true},
      {"http://auth.docker.io/token", "https://registry-1.docker.io", {}, false},
      {"http://10.0.0.1:8080/token", "http://10.0.0.1:5000", {}, true},
      {"http://10.0.0.2/token", "http://10.0.0.1", {}, false},
      {"http://11.0.0.1/token", "http://10.0.0.1", {}, false},
      {"http://localhost:1/t", "http://localhost:2", {}, true},
      {"https://sso.example.com/t", "https://reg.lan", {"SSO.example.com"}, true},
      {"https://sso.example.com:8443/t", "https://reg.lan", {"sso.example.com:443"}, false},
      {"nonsense", "https://reg.lan", {}, false},
  };
  for (const auto& c : cases) EXPECT_EQ(realm_trusted(c.realm, c.registry, c.listed), c.trusted) << c.realm;
}

TEST(TlsTrust, PrivateCaServesManifestsAndUnknownCaSaysSo) {
  test::TempDir dir;
  const auto tls = test::TlsIdentity::make(dir.path().string());
  ScriptedServer server([](const Seen&, Connection& c) { c.reply(200, kManifest, kManifestType); }, &tls);
  auto options = options_for({server.url()});
  UpstreamRig unknown(options);
  const auto outcome = unknown.manifest("a/b", "1");
  EXPECT_EQ(failure_of(outcome).kind, Failure::Kind::unavailable);
  EXPECT_NE(failure_of(outcome).message.find("set ca_file"), std::string::npos);
  options.tls.ca_file = tls.ca_file;
  UpstreamRig rig(options);
  EXPECT_TRUE(ok(rig.manifest("a/b", "1")));
}

}  // namespace
}  // namespace shoal::upstream
