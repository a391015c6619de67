#include <gtest/gtest.h>

#include "rig.h"
#include "shoal/registry/manifest.h"

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
using Kind = Failure::Kind;

const std::string kDigest = base::digest_of(kManifest).to_string();

TEST(GetManifest, IsVerifiedAndTyped) {
  ScriptedServer server([](const Seen&, Connection& c) {
    c.reply(200, kManifest, "Content-Type: text/plain\r\nWarning: 299 - \"old\"\r\nWarning: 299 - \"older\"\r\n");
  });
  UpstreamRig rig(options_for({server.url() + "/"}));
  for (const std::string& reference : {std::string("latest"), kDigest}) {
    const auto outcome = rig.manifest("a/b", reference);
    ASSERT_TRUE(ok(outcome)) << failure_of(outcome).message;
    const auto& manifest = std::get<Manifest>(outcome);
    EXPECT_EQ(manifest.digest.to_string(), kDigest);
    EXPECT_EQ(*manifest.bytes, kManifest);
    EXPECT_EQ(manifest.media_type, registry::kOciManifest);
    EXPECT_EQ(manifest.warnings.size(), 2u);
  }
  EXPECT_EQ(server.requests()[0].target, "/v2/a/b/manifests/latest");
  EXPECT_EQ(server.requests()[0].header("accept"), registry::manifest_accept());
  EXPECT_EQ(server.requests()[0].header("user-agent"), "shoal");
}

TEST(GetManifest, WrongAnswersAreBadAnswers) {
  const std::string other = base::digest_of("other").to_string();
  struct Case {
    const char* name;
    std::string body, headers, reference;
  };
  const Case cases[] = {
      {"html", "<html>hello</html>", "Content-Type: text/html\r\n", "latest"},
      {"broken json", kManifest.substr(0, 50), kManifestType, "latest"},
      {"wrong digest header", kManifest, "Docker-Content-Digest: " + other + "\r\n", "latest"},
      {"not the digest asked for", kManifest, kManifestType, other},
      {"encoded", kManifest, "Content-Encoding: gzip\r\n", "latest"},
      {"too large", std::string(5 << 20, ' '), kManifestType, "latest"},
  };
  for (const auto& c : cases) {
    ScriptedServer server([&](const Seen&, Connection& connection) { connection.reply(200, c.body, c.headers); });
    UpstreamRig rig(options_for({server.url()}));
    const auto outcome = rig.manifest("a/b", c.reference);
    ASSERT_FALSE(ok(outcome)) << c.name;
    EXPECT_EQ(failure_of(outcome).kind, Kind::bad_answer) << c.name;
    EXPECT_TRUE(failure_of(outcome).message.starts_with("reg.lan (" + server.url() + "): ")) << c.name;
  }
}

TEST(GetManifest, LargeOneIsLeftToThePool) {
  auto bytes = std::string(kManifest);
  bytes.insert(bytes.rfind('}'), std::string(kReadOnLoop, ' '));
  const auto digest = base::digest_of(bytes, base::HashAlgorithm::sha512);
  ScriptedServer server([&](const Seen&, Connection& c) {
    c.reply(200, bytes, std::string(kManifestType) + "Docker-Content-Digest: " + digest.to_string() + "\r\n");
  });
  UpstreamRig rig(options_for({server.url()}));
  auto outcome = rig.manifest("a/b", "1");
  ASSERT_TRUE(ok(outcome));
  ASSERT_TRUE(std::get<Manifest>(outcome).unread);
  const auto read = read_large(std::get<Manifest>(std::move(outcome)));
  ASSERT_TRUE(ok(read));
  EXPECT_FALSE(std::get<Manifest>(read).unread);
  EXPECT_EQ(std::get<Manifest>(read).digest, base::digest_of(bytes)) << "by tag, its sha256";
  EXPECT_EQ(std::get<Manifest>(read).media_type, "application/vnd.oci.image.manifest.v1+json");

  bytes = std::string(kReadOnLoop, '<') + "html>";
  EXPECT_EQ(failure_of(rig.manifest("a/b", base::digest_of(bytes).to_string())).kind, Kind::bad_answer)
      << "what is no JSON at all is seen at once: another URL may do better";
  bytes = "{" + std::string(kReadOnLoop, '[');
  auto broken = rig.manifest("a/b", base::digest_of(bytes).to_string());
  ASSERT_TRUE(ok(broken));
  EXPECT_EQ(failure_of(read_large(std::get<Manifest>(std::move(broken)))).kind, Kind::bad_answer);
}

TEST(GetManifest, EndlessBodyIsCutAtTheLimit) {
  ScriptedServer server([](const Seen&, Connection& c) {
    c.send("HTTP/1.1 200 OK\r\n\r\n");
    while (c.send(std::string(65536, ' '))) {
    }
    c.close();
  });
  auto options = options_for({server.url()});
  options.max_manifest_bytes = 100'000;
  UpstreamRig rig(options);
  EXPECT_EQ(failure_of(rig.manifest("a/b", "1")).kind, Kind::bad_answer);
}

TEST(GetManifest, StatusesMeanWhatTheyMean) {
  struct Case {
    int status;
    const char *body, *headers;
    Kind kind;
  };
  const Case cases[] = {
      {404, R"({"errors":[{"code":"MANIFEST_UNKNOWN","message":"none"}]})", "", Kind::not_found},
      {403, "", "", Kind::denied},
      {412, "blocked", "", Kind::denied},
      {429, "Too Many Requests", "Retry-After: 7\r\n", Kind::rate_limited},
      {500, "", "", Kind::unavailable},
      {503, "", "Retry-After: 9\r\n", Kind::unavailable},
      {504, "", "", Kind::unavailable},
      {302, "", "", Kind::unavailable},
      {400, "", "", Kind::bad_answer},
      {204, "", "", Kind::bad_answer},
  };
  for (const auto& c : cases) {
    ScriptedServer server([&](const Seen&, Connection& connection) { connection.reply(c.status, c.body, c.headers); });
    UpstreamRig rig(options_for({server.url()}));
    const auto outcome = rig.manifest("a/b", "1");
    ASSERT_FALSE(ok(outcome)) << c.status;
    EXPECT_EQ(failure_of(outcome).kind, c.kind) << c.status;
    if (c.status == 429) {
      EXPECT_EQ(failure_of(outcome).retry_after, 7s);
      EXPECT_TRUE(rig.state->health().rate_limited_until.has_value());
    }
    if (c.status == 503) {
      EXPECT_EQ(failure_of(outcome).retry_after, 9s);
    }
    if (c.status == 404) {
      EXPECT_NE(failure_of(outcome).message.find("MANIFEST_UNKNOWN: none"), std::string::npos);
    }
  }
}

TEST(GetManifest, NotFoundBehindARedirectCountsOnlyFromARegistry) {
  std::string body;
  ScriptedServer storage([&](const Seen&, Connection& c) { c.reply(404, body); });
  ScriptedServer server(
      [&](const Seen&, Connection& c) { c.reply(307, "", "Location: " + storage.url("/x") + "\r\n"); });
  UpstreamRig rig(options_for({server.url()}));
  body = "<Error>NoSuchKey</Error>";
  EXPECT_EQ(failure_of(rig.manifest("a/b", "1")).kind, Kind::unavailable);
  body = R"({"errors":[{"code":"MANIFEST_UNKNOWN","message":"x"}]})";
  EXPECT_EQ(failure_of(rig.manifest("a/b", "1")).kind, Kind::not_found);
}

TEST(GetManifest, NextUrlTakesOverWhenOneFails) {
  ScriptedServer good([](const Seen&, Connection& c) { c.reply(200, kManifest, kManifestType); });
  ScriptedServer broken([](const Seen&, Connection& c) { c.reply(500, ""); });
  ScriptedServer html([](const Seen&, Connection& c) { c.reply(200, "<html>", "Content-Type: text/html\r\n"); });
  ScriptedServer silent([](const Seen&, Connection& c) { c.wait_for_client_to_leave(); });
  const std::string refused = "http://127.0.0.1:" + std::to_string(test::closed_port());
  for (const std::string& bad : {refused, broken.url(), html.url(), silent.url()}) {
    auto options = options_for({bad, good.url()});
    options.first_byte_timeout = 100ms;
    UpstreamRig rig(options);
    EXPECT_TRUE(ok(rig.manifest("a/b", "1"))) << bad;
    EXPECT_FALSE(rig.state->health().open);
    EXPECT_EQ(rig.state->url_health()[0].health.consecutive_failures, 1u);
  }
  ScriptedServer none([](const Seen&, Connection& c) { c.reply(404, ""); });
  UpstreamRig rig(options_for({none.url(), good.url()}));
  EXPECT_EQ(failure_of(rig.manifest("a/b", "1")).kind, Kind::not_found);  // an answer, not a failure
}

TEST(GetManifest, CircuitOpensAfterThreeFailuresAndTheWorkingUrlIsPreferred) {
  ScriptedServer broken([](const Seen&, Connection& c) { c.reply(503, ""); });
  UpstreamRig rig(options_for({broken.url()}));
  for (int i = 0; i < 3; ++i) EXPECT_FALSE(ok(rig.manifest("a/b", "1")));
  EXPECT_TRUE(rig.state->health().open);
  EXPECT_NE(rig.state->health().last_error.find("503"), std::string::npos);
  EXPECT_FALSE(ok(rig.manifest("a/b", "1")));
  EXPECT_EQ(broken.count("/v2/a"), 4u);  // a call is made all the same

  ScriptedServer good([](const Seen&, Connection& c) { c.reply(200, kManifest, kManifestType); });
  UpstreamRig two(options_for({broken.url(), good.url()}));
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(ok(two.manifest("a/b", "1")));
  EXPECT_EQ(broken.count("/v2/a"), 4u + 3u);
  EXPECT_FALSE(two.state->health().open);
  EXPECT_TRUE(two.state->url_health()[0].health.open);
}

TEST(GetManifest, RateLimitHeadersAreRemembered) {
  ScriptedServer server([](const Seen&, Connection& c) {
    c.reply(200, kManifest, "RateLimit-Limit: 100;w=21600\r\nRateLimit-Remaining: 20;w=21600\r\n");
  });
  UpstreamRig rig(options_for({server.url()}));
  EXPECT_TRUE(ok(rig.manifest("a/b", "1")));
  EXPECT_EQ(rig.state->health().rate_limit_remaining, 20);
  EXPECT_EQ(rig.state->health().rate_limit_limit, 100);
}

TEST(GetManifest, CanBeDroppedAtAnyTime) {
  ScriptedServer server([](const Seen&, Connection& c) { c.wait_for_client_to_leave(); });
  UpstreamRig rig(options_for({server.url()}));
  rig.thread().run([&] {
    for (int i = 0; i < 3; ++i) {
      auto call = rig.registry().get_manifest("a/b", "1", [](auto) { FAIL(); });
      call.cancel();
    }
  });
}

TEST(HeadManifest, TellsDigestTypeAndSize) {
  ScriptedServer server([](const Seen&, Connection& c) {
    c.reply(200, kManifest, std::string(kManifestType) + "Docker-Content-Digest: " + kDigest + "\r\n");
  });
  UpstreamRig rig(options_for({server.url()}));
  const auto outcome = rig.head("a/b", "1");
  ASSERT_TRUE(ok(outcome));
  const auto& head = std::get<ManifestHead>(outcome);
  EXPECT_EQ(head.digest->to_string(), kDigest);
  EXPECT_EQ(head.media_type, registry::kOciManifest);
  EXPECT_EQ(head.size, kManifest.size());
  EXPECT_FALSE(head.head_refused);
  EXPECT_EQ(server.requests()[0].method, "HEAD");
}

TEST(HeadManifest, RefusedHeadAsksForGet) {
  for (const int status : {400, 403, 405, 501}) {
    ScriptedServer server([&](const Seen&, Connection& c) { c.reply(status, ""); });
    UpstreamRig rig(options_for({server.url()}));
    const auto outcome = rig.head("a/b", "1");
    ASSERT_TRUE(ok(outcome)) << status;
    EXPECT_TRUE(std::get<ManifestHead>(outcome).head_refused);
    EXPECT_EQ(rig.state->health().consecutive_failures, 0u);
  }
  for (const auto& [status, kind] : std::vector<std::pair<int, Kind>>{
           {404, Kind::not_found}, {429, Kind::rate_limited}, {500, Kind::unavailable}, {401, Kind::denied}}) {
    ScriptedServer server([&, s = status](const Seen&, Connection& c) { c.reply(s, ""); });
    UpstreamRig rig(options_for({server.url()}));
    EXPECT_EQ(failure_of(rig.head("a/b", "1")).kind, kind) << status;
  }
}

TEST(ListTags, PassesBodyAndLinkOn) {
  ScriptedServer server([](const Seen& seen, Connection& c) {
    if (seen.path() == "/v2/html/x/tags/list") return c.reply(200, "<html>");
    c.reply(200, R"({"name":"a/b","tags":["1"]})",
            "Content-Type: application/json\r\nLink: </v2/a/b/tags/list?n=1&last=1>; rel=\"next\"\r\n");
  });
  UpstreamRig rig(options_for({server.url()}));
  const auto outcome = rig.tags("a/b", "n=1");
  ASSERT_TRUE(ok(outcome));
  EXPECT_EQ(std::get<TagPage>(outcome).body, R"({"name":"a/b","tags":["1"]})");
  EXPECT_EQ(std::get<TagPage>(outcome).next, "n=1&last=1");
  EXPECT_EQ(server.requests()[0].target, "/v2/a/b/tags/list?n=1");
  EXPECT_EQ(failure_of(rig.tags("html/x", "")).kind, Kind::bad_answer);
}

TEST(ListTags, QuestionsThatUpstreamRefusesDoNotMakeItIll) {
  ScriptedServer server([](const Seen&, Connection& c) { c.reply(400, ""); });
  ScriptedServer other([](const Seen&, Connection& c) { c.reply(200, R"({"name":"a/b","tags":[]})"); });
  UpstreamRig rig(options_for({server.url()}));
  for (int i = 0; i < 4; ++i) EXPECT_EQ(failure_of(rig.tags("a/b", "last=%zz")).kind, Kind::bad_answer);
  EXPECT_FALSE(rig.state->health().open);
  EXPECT_EQ(rig.state->health().consecutive_failures, 0u);
  UpstreamRig two(options_for({server.url(), other.url()}));
  EXPECT_TRUE(ok(two.tags("a/b", "last=%zz"))) << "another URL may see it otherwise";
}

TEST(Referrers, PassThroughWithAppliedFilters) {
  ScriptedServer server([](const Seen&, Connection& c) {
    c.reply(200, R"({"schemaVersion":2,"manifests":[]})", "OCI-Filters-Applied: artifactType\r\n");
  });
  UpstreamRig rig(options_for({server.url()}));
  const auto digest = base::digest_of("x");
  const auto outcome = rig.outcome<TagPage>(
      [=](auto& r, auto done) { return r.referrers("a/b", digest, "artifactType=a", std::move(done)); });
  ASSERT_TRUE(ok(outcome));
  EXPECT_EQ(std::get<TagPage>(outcome).headers.at(0).second, "artifactType");
  EXPECT_EQ(server.requests()[0].target, "/v2/a/b/referrers/" + digest.to_string() + "?artifactType=a");
}

}  // namespace
}  // namespace shoal::upstream
