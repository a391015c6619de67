#include "shoal/serve/route.h"

#include <gtest/gtest.h>

#include "shoal/base/format.h"

namespace shoal::serve {
namespace {

const std::string kDigest = "sha256:" + std::string(64, 'a');

RouteTable table() {
  return {
      .default_upstream = "docker.io",
      .upstreams = {"docker.io", "ghcr.io", "localhost:5000", "127.0.0.1:5001", "[::1]:5002", "quay.io"},
      .patterns = {"*.example.com", "*.eu.example.com", "*.lan:5000"},
      .hosts = {{"quay.mirror.lan", "quay.io"}, {"hub.mirror.lan:5000", "index.docker.io"}, {"stray.lan", "gone.io"}},
      .library_prefix = {"docker.io", "*.eu.example.com"},
      .hosted = {},
      .hosts_everything = false};
}

// "docker.io manifest library/nginx latest", "404 NAME_UNKNOWN", ... so that a table can compare.
std::string show(const std::variant<Routed, RouteRefusal>& answer) {
  if (const auto* refusal = std::get_if<RouteRefusal>(&answer)) {
    return base::format("{} {}", refusal->status, refusal->code);
  }
  const auto& routed = std::get<Routed>(answer);
  struct Visitor {
    std::string operator()(const registry::Ping&) const { return "ping"; }
    std::string operator()(const registry::Catalog&) const { return "catalog"; }
    std::string operator()(const registry::ManifestPath& p) const {
      return base::format("manifest {} {}", p.repository, registry::to_string(p.reference));
    }
    std::string operator()(const registry::BlobPath& p) const { return "blob " + p.repository; }
    std::string operator()(const registry::TagsPath& p) const { return "tags " + p.repository; }
    std::string operator()(const registry::ReferrersPath& p) const { return "referrers " + p.repository; }
    std::string operator()(const registry::UploadPath& p) const { return "upload " + p.repository; }
    std::string operator()(const registry::BadPath&) const { return "BAD PATH"; }
  };
  return base::format("{} {}{}", routed.registry, std::visit(Visitor(), routed.path), routed.by_ns ? " ns" : "");
}

std::string routed(std::string_view target, std::string_view host = "mirror:5000") {
  return show(route(table(), target, host));
}

using Rows = std::vector<std::pair<std::string, std::string>>;
void expect_rows(const Rows& rows) {
  for (const auto& [target, expected] : rows) EXPECT_EQ(routed(target), expected) << target;
}

TEST(Route, DefaultUpstreamTakesWhatNamesNone) {
  expect_rows({
      {"/v2/", "docker.io ping"},
      {"/v2", "docker.io ping"},
      {"/v2/?x=1", "docker.io ping"},
      {"/v2/_catalog", "docker.io catalog"},
      {"/v2/library/nginx/manifests/latest", "docker.io manifest library/nginx latest"},
      {"/v2/nginx/manifests/latest", "docker.io manifest library/nginx latest"},
      {"/v2/nginx/manifests/" + kDigest, "docker.io manifest library/nginx " + kDigest},
      {"/v2/nginx/blobs/" + kDigest, "docker.io blob library/nginx"},
      {"/v2/nginx/blobs/sha256%3A" + std::string(64, 'a'), "docker.io blob library/nginx"},
      {"/v2/nginx/tags/list?n=10", "docker.io tags library/nginx"},
      {"/v2/a/b/c/referrers/" + kDigest, "docker.io referrers a/b/c"},
      {"/v2/a/b/blobs/uploads/", "docker.io upload a/b"},
      {"/v2/my.image/manifests/1", "docker.io manifest library/my.image 1"},
      {"/v2/localhost/manifests/1", "docker.io manifest library/localhost 1"},
      {"/v2/v2/manifests/1", "docker.io manifest library/v2 1"},
      {"/v2/manifests/manifests/manifests", "docker.io manifest library/manifests manifests"},
      {"/v2/a/blobs/b/manifests/1", "docker.io manifest a/blobs/b 1"},
  });
}

TEST(Route, PrefixBehindV2NamesTheRegistry) {
  expect_rows({
      {"/v2/ghcr.io/owner/app/manifests/1", "ghcr.io manifest owner/app 1"},
      {"/v2/ghcr.io/app/manifests/1", "ghcr.io manifest app 1"},
      {"/v2/ghcr.io/owner/app/blobs/" + kDigest, "ghcr.io blob owner/app"},
      {"/v2/docker.io/nginx/manifests/1", "docker.io manifest library/nginx 1"},
      {"/v2/docker.io/library/nginx/tags/list", "docker.io tags library/nginx"},
      {"/v2/index.docker.io/nginx/manifests/1", "docker.io manifest library/nginx 1"},
      {"/v2/registry-1.docker.io/nginx/manifests/1", "docker.io manifest library/nginx 1"},
      {"/v2/localhost:5000/app/manifests/1", "localhost:5000 manifest app 1"},
      {"/v2/localhost%3A5000/app/manifests/1", "localhost:5000 manifest app 1"},
      {"/v2/127.0.0.1:5001/a/b/manifests/1", "127.0.0.1:5001 manifest a/b 1"},
      {"/v2/[::1]:5002/a/manifests/1", "[::1]:5002 manifest a 1"},
      {"/v2/ghcr.io/", "ghcr.io ping"},
      {"/v2/ghcr.io", "ghcr.io ping"},
      {"/v2/ghcr.io/manifests/manifests/1", "ghcr.io manifest manifests 1"},
      {"/v2/ghcr.io/quay.io/app/manifests/1", "ghcr.io manifest quay.io/app 1"},
  });
}

TEST(Route, PrefixBeforeV2NamesTheRegistry) {
  expect_rows({
      {"/ghcr.io/v2/", "ghcr.io ping"},
      {"/ghcr.io/v2", "ghcr.io ping"},
      {"/ghcr.io/v2/owner/app/manifests/1", "ghcr.io manifest owner/app 1"},
      {"/docker.io/v2/nginx/manifests/1", "docker.io manifest library/nginx 1"},
      {"/registry-1.docker.io/v2/nginx/manifests/1", "docker.io manifest library/nginx 1"},
      {"/localhost:5000/v2/app/tags/list", "localhost:5000 tags app"},
      {"/ghcr.io/v2/quay.io/app/manifests/1", "ghcr.io manifest quay.io/app 1"},
      {"/evil.io/v2/", "404 NAME_UNKNOWN"},
      {"/evil.io/v2/a/b/manifests/1", "404 NAME_UNKNOWN"},
      {"/library/v2/a/manifests/1", "404 NAME_UNKNOWN"},
      {"/GHCR.io/v2/a/manifests/1", "404 NAME_UNKNOWN"},
      {"/a/ghcr.io/v2/a/manifests/1", "404 NAME_UNKNOWN"},
  });
}

TEST(Route, NsNamesTheRegistry) {
  expect_rows({
      {"/v2/owner/app/manifests/1?ns=ghcr.io", "ghcr.io manifest owner/app 1 ns"},
      {"/v2/nginx/manifests/1?ns=docker.io", "docker.io manifest library/nginx 1 ns"},
      {"/v2/library/nginx/blobs/" + kDigest + "?ns=registry-1.docker.io", "docker.io blob library/nginx ns"},
      {"/v2/app/manifests/1?ns=localhost:5000", "localhost:5000 manifest app 1 ns"},
      {"/v2/app/manifests/1?ns=localhost%3A5000", "localhost:5000 manifest app 1 ns"},
      {"/v2/app/manifests/1?n=1&ns=ghcr.io&ns=quay.io", "ghcr.io manifest app 1 ns"},
      {"/v2/app/manifests/1?ns=GHCR.IO", "ghcr.io manifest app 1 ns"},
      {"/v2/?ns=ghcr.io", "ghcr.io ping ns"},
      {"/v2/nginx/manifests/1?ns=", "docker.io manifest library/nginx 1"},
      {"/v2/nginx/manifests/1?NS=ghcr.io", "docker.io manifest library/nginx 1"},
      {"/v2/nginx/manifests/1?", "docker.io manifest library/nginx 1"},
      {"/v2/nginx/manifests/1?&&=&x", "docker.io manifest library/nginx 1"},
      {"/v2/nginx/manifests/1?other=%zz", "docker.io manifest library/nginx 1"},
      {"/v2/app/manifests/1?ns=evil.io", "404 NAME_UNKNOWN"},
      {"/v2/app/manifests/1?ns=ghcr.io.evil.io", "404 NAME_UNKNOWN"},
      {"/v2/app/manifests/1?ns=https://ghcr.io", "400 NAME_INVALID"},
      {"/v2/app/manifests/1?ns=ghcr.io/owner", "400 NAME_INVALID"},
      {"/v2/app/manifests/1?ns=ghcr", "400 NAME_INVALID"},
      {"/v2/app/manifests/1?ns=user@ghcr.io", "400 NAME_INVALID"},
      {"/v2/app/manifests/1?ns=%zz", "400 NAME_INVALID"},
      {"/v2/app/manifests/1?x=1&ns=ghcr.io%00", "400 NAME_INVALID"},
      {"/v2/app/manifests/1?ns=ghcr.io%0d%0aX:y", "400 NAME_INVALID"},
      {"/v2/app/manifests/1?ns", "docker.io manifest library/app 1"},
  });
}

TEST(Route, PrefixWinsOverNs) {
  expect_rows({
      {"/v2/ghcr.io/app/manifests/1?ns=quay.io", "ghcr.io manifest app 1"},
      {"/ghcr.io/v2/app/manifests/1?ns=quay.io", "ghcr.io manifest app 1"},
      {"/ghcr.io/v2/app/manifests/1?ns=ghcr.io", "ghcr.io manifest app 1 ns"},
      {"/docker.io/v2/nginx/manifests/1?ns=registry-1.docker.io", "docker.io manifest library/nginx 1 ns"},
      {"/ghcr.io/v2/app/manifests/1?ns=evil.io", "ghcr.io manifest app 1"},
      {"/v2/evil.io/app/manifests/1?ns=ghcr.io", "404 NAME_UNKNOWN"},
  });
}

TEST(Route, HostNamesTheRegistryUnlessThePathOrNsDoes) {
  EXPECT_EQ(routed("/v2/app/manifests/1", "quay.mirror.lan"), "quay.io manifest app 1");
  EXPECT_EQ(routed("/v2/app/manifests/1", "quay.mirror.lan:5000"), "quay.io manifest app 1");
  EXPECT_EQ(routed("/v2/app/manifests/1", "QUAY.Mirror.lan"), "quay.io manifest app 1");
  EXPECT_EQ(routed("/v2/", "quay.mirror.lan"), "quay.io ping");
  EXPECT_EQ(routed("/v2/nginx/manifests/1", "hub.mirror.lan:5000"), "docker.io manifest library/nginx 1");
  EXPECT_EQ(routed("/v2/nginx/manifests/1", "hub.mirror.lan"), "docker.io manifest library/nginx 1");
  EXPECT_EQ(routed("/v2/ghcr.io/app/manifests/1", "quay.mirror.lan"), "ghcr.io manifest app 1");
  EXPECT_EQ(routed("/v2/app/manifests/1?ns=ghcr.io", "quay.mirror.lan"), "ghcr.io manifest app 1 ns");
  EXPECT_EQ(routed("/v2/app/manifests/1", "stray.lan"), "404 NAME_UNKNOWN");
  EXPECT_EQ(routed("/v2/app/manifests/1", "ghcr.io"), "docker.io manifest library/app 1");  // not mapped: no proxy
  for (const char* host : {"", "[::1]:5000", "[::1]", ":", "x:y:z", "other.lan"}) {
    EXPECT_EQ(routed("/v2/app/manifests/1", host), "docker.io manifest library/app 1") << host;
  }
}

TEST(Route, PatternsAllowOneOrMoreLabels) {
  expect_rows({
      {"/v2/a.example.com/app/manifests/1", "a.example.com manifest app 1"},
      {"/v2/a.b.example.com/app/manifests/1", "a.b.example.com manifest app 1"},
      {"/v2/a.eu.example.com/app/manifests/1", "a.eu.example.com manifest library/app 1"},
      {"/v2/eu.example.com/app/manifests/1", "eu.example.com manifest app 1"},
      {"/v2/r.lan:5000/app/manifests/1", "r.lan:5000 manifest app 1"},
      {"/v2/app/manifests/1?ns=a.example.com", "a.example.com manifest app 1 ns"},
      {"/v2/example.com/app/manifests/1", "404 NAME_UNKNOWN"},
      {"/v2/aexample.com/app/manifests/1", "404 NAME_UNKNOWN"},
      {"/v2/a.example.com:5000/app/manifests/1", "404 NAME_UNKNOWN"},
      {"/v2/a.example.com.evil.io/app/manifests/1", "404 NAME_UNKNOWN"},
      {"/v2/r.lan/app/manifests/1", "404 NAME_UNKNOWN"},
      {"/v2/app/manifests/1?ns=.example.com", "400 NAME_INVALID"},
  });
}

TEST(Route, RegistriesThatAreNotConfiguredNeverReachTheDefault) {
  expect_rows({
      {"/v2/gcr.io/app/manifests/1", "404 NAME_UNKNOWN"},
      {"/v2/localhost/app/manifests/1", "404 NAME_UNKNOWN"},
      {"/v2/localhost:5001/app/manifests/1", "404 NAME_UNKNOWN"},
      {"/v2/169.254.169.254/latest/manifests/1", "404 NAME_UNKNOWN"},
      {"/v2/my.project/app/manifests/1", "404 NAME_UNKNOWN"},
      {"/v2/gcr.io/", "404 NAME_UNKNOWN"},
  });
  const auto answer = route(table(), "/v2/gcr.io/app/manifests/1", "");
  EXPECT_EQ(std::get<RouteRefusal>(answer).message,
            "registry \"gcr.io\" is not configured here; add it under \"upstreams\" to mirror it");
}

TEST(Route, PathTricksAreRefused) {
  expect_rows({
      {"/v2/a%2fb/manifests/1", "400 NAME_INVALID"},
      {"/v2/a%2Fb/manifests/1", "400 NAME_INVALID"},
      {"/v2/a%252fb/manifests/1", "400 NAME_INVALID"},
      {"/v2/../etc/manifests/1", "400 NAME_INVALID"},
      {"/v2/a/%2e%2e/b/manifests/1", "400 NAME_INVALID"},
      {"/v2/./a/manifests/1", "400 NAME_INVALID"},
      {"/v2//a/manifests/1", "400 NAME_INVALID"},
      {"//v2/a/manifests/1", "400 NAME_INVALID"},
      {"/v2/a//manifests/1", "400 NAME_INVALID"},
      {"/v2/a\\b/manifests/1", "400 NAME_INVALID"},
      {"/v2/a%00/manifests/1", "400 NAME_INVALID"},
      {"/v2/a%zz/manifests/1", "400 NAME_INVALID"},
      {"/v2/Library/nginx/manifests/1", "400 NAME_INVALID"},
      {"/v2/GHCR.io/owner/app/manifests/1", "400 NAME_INVALID"},
      {"/v2/ghcr.io/Owner/app/manifests/1", "400 NAME_INVALID"},
      {"/v2/ghcr.io/manifests/1", "docker.io manifest library/ghcr.io 1"},
      {"/v2/localhost:5000/manifests/1", "400 NAME_INVALID"},
      {"/v2/a@b/manifests/1", "400 NAME_INVALID"},
      {"/v2/" + std::string(255, 'a') + "/manifests/1", "docker.io manifest library/" + std::string(255, 'a') + " 1"},
      {"/v2/" + std::string(256, 'a') + "/manifests/1", "400 NAME_INVALID"},
      {"/v2/ghcr.io/" + std::string(256, 'a') + "/manifests/1", "400 NAME_INVALID"},
      {"/v2/a/b/" + std::string(5000, 'a') + "/manifests/1", "400 NAME_INVALID"},
      {"/v2/a/manifests/.INVALID_MANIFEST_NAME", "404 MANIFEST_UNKNOWN"},
      {"/v2/a/manifests/sha256:totallywrong", "400 DIGEST_INVALID"},
      {"/v2/a/blobs/latest", "400 DIGEST_INVALID"},
      {"/v2/a", "404 NAME_UNKNOWN"},
      {"/v2/a/", "404 NAME_UNKNOWN"},
      {"/v2x/a/manifests/1", "404 NAME_UNKNOWN"},
      {"/v1/a/manifests/1", "404 NAME_UNKNOWN"},
      {"/", "404 NAME_UNKNOWN"},
      {"", "404 NAME_UNKNOWN"},
      {"*", "404 NAME_UNKNOWN"},
      {"v2/a/manifests/1", "404 NAME_UNKNOWN"},
      {"?ns=ghcr.io", "404 NAME_UNKNOWN"},
      {"/v2/a#b/manifests/1", "400 NAME_INVALID"},
  });
}

TEST(Route, AnswerCarriesCanonicalNameQueryAndNs) {
  const auto answer = route(table(), "/v2/nginx/tags/list?n=2&ns=Registry-1.docker.io&last=a%2Bb", "");
  const auto& out = std::get<Routed>(answer);
  EXPECT_EQ(out.canonical, "docker.io/library/nginx");
  EXPECT_EQ(out.query, "n=2&ns=Registry-1.docker.io&last=a%2Bb");
  EXPECT_EQ(out.ns, "Registry-1.docker.io");
  EXPECT_EQ(std::get<Routed>(route(table(), "/v2/", "")).canonical, "");
  EXPECT_EQ(std::get<Routed>(route(table(), "/v2/ghcr.io/a/manifests/1?ns=quay.io", "")).ns, "");
}

TEST(Route, WithoutADefaultTheRegistryMustBeNamed) {
  auto routes = table();
  routes.default_upstream.clear();
  EXPECT_EQ(show(route(routes, "/v2/", "")), " ping");
  EXPECT_EQ(show(route(routes, "/v2/nginx/manifests/1", "")), "404 NAME_UNKNOWN");
  EXPECT_EQ(show(route(routes, "/v2/ghcr.io/a/manifests/1", "")), "ghcr.io manifest a 1");
  EXPECT_EQ(show(route(routes, "/v2/a/manifests/1?ns=ghcr.io", "")), "ghcr.io manifest a 1 ns");
}

TEST(Route, AnEmptyTableReachesNothing) {
  const RouteTable none;
  EXPECT_EQ(show(route(none, "/v2/", "")), " ping");
  EXPECT_EQ(show(route(none, "/v2/docker.io/library/nginx/manifests/1", "docker.io")), "404 NAME_UNKNOWN");
  EXPECT_EQ(show(route(none, "/v2/a/manifests/1?ns=docker.io", "docker.io")), "404 NAME_UNKNOWN");
}

TEST(FindRegistry, KnowsTheNamesOfDockerHub) {
  EXPECT_EQ(find_registry(table(), "registry-1.docker.io"), "docker.io");
  EXPECT_EQ(find_registry(table(), "index.docker.io"), "docker.io");
  EXPECT_EQ(find_registry(table(), "auth.docker.io"), std::nullopt);
  auto own = table();
  own.upstreams.insert("registry-1.docker.io");
  EXPECT_EQ(find_registry(own, "registry-1.docker.io"), "registry-1.docker.io");
  RouteTable other;
  other.upstreams = {"ghcr.io"};
  EXPECT_EQ(find_registry(other, "index.docker.io"), std::nullopt);
}

TEST(Route, HostedNamesComeAfterPrefixNsAndHostAndBeforeTheDefault) {
  auto with = table();
  with.hosted = {"team/**", "nginx", "my.org/*"};
  struct Case {
    std::string target, host, canonical;
    bool hosted;
  };
  for (const auto& c : std::vector<Case>{{"/v2/team/app/tags/list", "", "team/app", true},
                                         {"/v2/nginx/manifests/1", "", "nginx", true},
                                         {"/v2/my.org/app/tags/list", "", "my.org/app", true},
                                         {"/v2/other/app/tags/list", "", "docker.io/other/app", false},
                                         {"/v2/redis/tags/list", "", "docker.io/library/redis", false},
                                         {"/v2/ghcr.io/team/app/tags/list", "", "ghcr.io/team/app", false},
                                         {"/v2/team/app/tags/list?ns=ghcr.io", "", "ghcr.io/team/app", false},
                                         {"/v2/team/app/tags/list", "quay.mirror.lan", "quay.io/team/app", false}}) {
    const auto answer = route(with, c.target, c.host);
    const auto* routed = std::get_if<Routed>(&answer);
    ASSERT_NE(routed, nullptr) << c.target;
    EXPECT_EQ(routed->canonical, c.canonical);
    EXPECT_EQ(routed->hosted, c.hosted) << c.target;
    EXPECT_EQ(routed->registry.empty(), c.hosted);
  }
  EXPECT_EQ(std::get<RouteRefusal>(route(with, "/v2/team/app/tags/list?ns=gone.io", "")).status, 404);
  RouteTable alone;
  alone.hosts_everything = true;
  EXPECT_EQ(std::get<Routed>(route(alone, "/v2/nginx/manifests/1", "")).canonical, "nginx");
  EXPECT_EQ(std::get<Routed>(route(alone, "/v2/docker.io/library/nginx/manifests/1", "")).canonical,
            "docker.io/library/nginx");
}

}  // namespace
}  // namespace shoal::serve
