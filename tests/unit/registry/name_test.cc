#include "shoal/registry/name.h"

#include <gtest/gtest.h>

namespace shoal::registry {
namespace {

TEST(Repository, FollowsTheGrammarOfTheSpec) {
  for (const char* good : {"a", "0", "nginx", "library/nginx", "a/b/c/d/e", "a.b", "a_b", "a__b", "a-b", "a---b",
                           "a.b_c__d-e/f0", "blobs", "a/blobs/b", "manifests/tags/list", "xn--abc"}) {
    EXPECT_TRUE(valid_repository(good)) << good;
  }
  for (const char* bad :
       {"",     "/",     "a/",   "/a",   "a//b", "A",    "a/B", ".a",  "a.",   "_a",   "a_",     "-a",  "a-",
        "a..b", "a___b", "a._b", "a-_b", "a b",  "a%62", "a:b", "a@b", "a\\b", "../a", "a/../b", "a/.", "\xc3\xa9"}) {
    EXPECT_FALSE(valid_repository(bad)) << bad;
  }
}

TEST(Repository, IsAtMost255Bytes) {
  EXPECT_TRUE(valid_repository(std::string(255, 'a')));
  EXPECT_FALSE(valid_repository(std::string(256, 'a')));
  EXPECT_FALSE(valid_repository(std::string_view("a\0b", 3)));
}

TEST(TagName, FollowsTheGrammarOfTheSpec) {
  for (const std::string& good : {std::string("latest"), std::string("1.25"), std::string("_x"), std::string("A-b_c.D"),
                                  std::string("a.."), std::string(128, 'x'), std::string("sha256-abc.sig")}) {
    EXPECT_TRUE(valid_tag(good)) << good;
  }
  for (const std::string& bad : {std::string(), std::string(".x"), std::string("-x"), std::string("a:b"),
                                 std::string("a/b"), std::string("a+b"), std::string("a b"), std::string(129, 'x')}) {
    EXPECT_FALSE(valid_tag(bad)) << bad;
  }
}

TEST(RegistryHost, NeedsADotAColonOrLocalhost) {
  for (const char* good : {"docker.io", "localhost", "localhost:5000", "127.0.0.1:5001", "127.0.0.1", "registry:5000",
                           "[::1]:5000", "[::1]", "[fe80::1:2]", "a-b.example.com:443", "xn--a.b"}) {
    EXPECT_TRUE(valid_registry_host(good)) << good;
  }
  for (const char* bad : {"",
                          "library",
                          "docker.io:",
                          "docker.io:0",
                          "docker.io:65536",
                          "docker.io:123456",
                          "docker.io:80x",
                          ".io",
                          "docker..io",
                          "docker.io.",
                          "-a.io",
                          "a-.io",
                          "a_b.io",
                          "Docker.io",
                          "docker.io/x",
                          "[::1",
                          "[]",
                          "[1]:5",
                          "[::1]x",
                          "[::1]:",
                          "[::g]",
                          "a:b:5",
                          "user@docker.io",
                          "docker.io:5000:1",
                          ":5000"}) {
    EXPECT_FALSE(valid_registry_host(bad)) << bad;
  }
  EXPECT_FALSE(valid_registry_host(std::string(64, 'a') + ".io"));
  std::string longest;
  while (longest.size() < 254) longest += "abc.";
  EXPECT_FALSE(valid_registry_host(longest + "io"));
}

TEST(ReferenceText, IsTheTagOrTheDigest) {
  EXPECT_EQ(to_string(Reference(Tag("latest"))), "latest");
  EXPECT_EQ(to_string(Reference(base::digest_of(""))),
            "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

}  // namespace
}  // namespace shoal::registry
