#include <gtest/gtest.h>

#include "shoal/base/format.h"
#include "shoal/registry/name.h"

namespace shoal::registry {
namespace {

const std::string kHex(64, 'a');
const std::string kSha256 = "sha256:" + kHex;
const std::string kSha512 = "sha512:" + kHex + kHex;

// One line per kind of path, so that a table can compare.
std::string show(const ApiPath& path) {
  struct Visitor {
    std::string operator()(const Ping&) const { return "ping"; }
    std::string operator()(const Catalog&) const { return "catalog"; }
    std::string operator()(const ManifestPath& p) const {
      return base::format("manifest {} {}", p.repository, to_string(p.reference));
    }
    std::string operator()(const BlobPath& p) const {
      return base::format("blob {} {}", p.repository, p.digest.to_string());
    }
    std::string operator()(const TagsPath& p) const { return "tags " + p.repository; }
    std::string operator()(const ReferrersPath& p) const {
      return base::format("referrers {} {}", p.repository, p.digest.to_string());
    }
    std::string operator()(const UploadPath& p) const {
      return base::format("upload {} [{}]", p.repository, p.session);
    }
    std::string operator()(const BadPath& p) const { return base::format("{} {}", p.status, p.code); }
  };
  return std::visit(Visitor(), path);
}

TEST(ApiPath, KnowsEveryEndpoint) {
  const std::pair<std::string, std::string> rows[] = {
      {"", "ping"},
      {"/", "ping"},
      {"/_catalog", "catalog"},
      {"/nginx/manifests/latest", "manifest nginx latest"},
      {"/library/nginx/manifests/1.25", "manifest library/nginx 1.25"},
      {"/library/nginx/manifests/" + kSha256, "manifest library/nginx " + kSha256},
      {"/library/nginx/manifests/" + kSha512, "manifest library/nginx " + kSha512},
      {"/a/blobs/" + kSha256, "blob a " + kSha256},
      {"/a/b/c/d/e/f/blobs/" + kSha512, "blob a/b/c/d/e/f " + kSha512},
      {"/a/tags/list", "tags a"},
      {"/a/referrers/" + kSha256, "referrers a " + kSha256},
      {"/a/blobs/uploads/", "upload a []"},
      {"/a/blobs/uploads", "upload a []"},
      {"/a/blobs/uploads/0b1c-2d_3.4=", "upload a [0b1c-2d_3.4=]"},
      // a repository may be called like a keyword: the last one splits
      {"/a/blobs/b/manifests/latest", "manifest a/blobs/b latest"},
      {"/manifests/manifests/manifests", "manifest manifests manifests"},
      {"/a/manifests/tags/list", "tags a/manifests"},
      {"/tags/list/tags/list", "tags tags/list"},
      {"/a/blobs/uploads/blobs/" + kSha256, "blob a/blobs/uploads " + kSha256},
      {"/a/blobs/uploads/manifests/x", "manifest a/blobs/uploads x"},
      {"/blobs/blobs/uploads/", "upload blobs []"},
      {"/a/tags/manifests/list", "manifest a/tags list"},
  };
  for (const auto& [path, expected] : rows) EXPECT_EQ(show(parse_api_path(path)), expected) << path;
}

TEST(ApiPath, RefusesWithACodeOfTheSpec) {
  const std::pair<std::string, std::string> rows[] = {
      {"x", "404 NAME_UNKNOWN"},
      {"/x", "404 NAME_UNKNOWN"},
      {"/library/nginx", "404 NAME_UNKNOWN"},
      {"/library/nginx/", "404 NAME_UNKNOWN"},
      {"/a/tags/list/", "404 NAME_UNKNOWN"},
      {"/a/tags/lists", "404 NAME_UNKNOWN"},
      {"/a/uploads/x", "404 NAME_UNKNOWN"},
      {"/uploads/x", "404 NAME_UNKNOWN"},
      {"/manifests/latest", "400 NAME_INVALID"},
      {"/blobs/" + kSha256, "400 NAME_INVALID"},
      {"/tags/list", "400 NAME_INVALID"},
      {"/Library/nginx/manifests/latest", "400 NAME_INVALID"},
      {"/a/../b/manifests/latest", "400 NAME_INVALID"},
      {"/a//manifests/latest", "400 NAME_INVALID"},
      {"//a/manifests/latest", "400 NAME_INVALID"},
      {"/" + std::string(256, 'a') + "/tags/list", "400 NAME_INVALID"},
      {"/a/manifests/", "404 MANIFEST_UNKNOWN"},
      {"/a/manifests/.INVALID_MANIFEST_NAME", "404 MANIFEST_UNKNOWN"},
      {"/a/manifests/" + std::string(129, 'a'), "404 MANIFEST_UNKNOWN"},
      {"/a/manifests/sha256:totallywrong", "400 DIGEST_INVALID"},
      {"/a/manifests/sha256:" + std::string(64, 'A'), "400 DIGEST_INVALID"},
      {"/a/manifests/md5:" + std::string(32, 'a'), "400 DIGEST_INVALID"},
      {"/a/blobs/", "400 DIGEST_INVALID"},
      {"/a/blobs/latest", "400 DIGEST_INVALID"},
      {"/a/blobs/" + kSha256 + "a", "400 DIGEST_INVALID"},
      {"/a/referrers/latest", "400 DIGEST_INVALID"},
      {"/A/blobs/uploads/", "400 NAME_INVALID"},
      {"/a/blobs/uploads/a b", "404 BLOB_UPLOAD_UNKNOWN"},
      {"/a/blobs/uploads/" + std::string(129, 'a'), "404 BLOB_UPLOAD_UNKNOWN"},
  };
  for (const auto& [path, expected] : rows) EXPECT_EQ(show(parse_api_path(path)), expected) << path;
}

TEST(ApiPath, MessagesAreShortAndPrintableWhateverTheClientSent) {
  for (const std::string& path :
       {"/" + std::string(100'000, 'x') + "/tags/list", "/\x01\xff/tags/list" + std::string(),
        "/a/manifests/" + std::string(100'000, ':'), "/a/blobs/" + std::string(100'000, '\xff')}) {
    const auto parsed = parse_api_path(path);
    const auto& bad = std::get<BadPath>(parsed);
    EXPECT_LT(bad.message.size(), 400u);
    for (const char c : bad.message) EXPECT_TRUE(c >= 0x20 && c < 0x7f);
  }
}

TEST(DecodePath, DecodesOnce) {
  EXPECT_EQ(decode_path(""), "");
  EXPECT_EQ(decode_path("/"), "/");
  EXPECT_EQ(decode_path("/v2/"), "/v2/");
  EXPECT_EQ(decode_path("/v2/a/blobs/sha256%3Aab"), "/v2/a/blobs/sha256:ab");
  EXPECT_EQ(decode_path("/%61%5f%2D"), "/a_-");
  EXPECT_EQ(decode_path("/a...b/.c/..d"), "/a...b/.c/..d");
}

TEST(DecodePath, RefusesWhatHasNoHonestUse) {
  for (const char* bad : {"/a%2fb", "/a%2Fb", "/a%5cb",    "/a\\b",    "/a%25b",  "/a%252fb", "/a%00b", "/a%0ab",
                          "/a%7f",  "/a%",    "/a%4",      "/a%4g",    "/a%g4",   "//",       "//a",    "/a//b",
                          "/a//",   "/.",     "/..",       "/a/.",     "/a/..",   "/a/../b",  "/./a",   "..",
                          ".",      "../a",   "/%2e%2e/a", "/a/%2e/b", "/.%2e/a", "/a\tb",    "/a\nb"}) {
    EXPECT_EQ(decode_path(bad), std::nullopt) << bad;
  }
  EXPECT_EQ(decode_path(std::string_view("/a\0b", 4)), std::nullopt);
}

TEST(QueryValue, FindsTheFirstOfAName) {
  EXPECT_EQ(query_value("ns=docker.io", "ns"), "docker.io");
  EXPECT_EQ(query_value("a=1&ns=ghcr.io&ns=other", "ns"), "ghcr.io");
  EXPECT_EQ(query_value("n=10&last=v%2B1", "last"), "v+1");
  EXPECT_EQ(query_value("last=a+b", "last"), "a+b");
  EXPECT_EQ(query_value("last=a=b", "last"), "a=b");
  EXPECT_EQ(query_value("n", "n"), "");
  EXPECT_EQ(query_value("n=", "n"), "");
  EXPECT_EQ(query_value("&&n=1&", "n"), "1");
  EXPECT_EQ(query_value("%6es=x", "ns"), "x");
  EXPECT_EQ(query_value("digest=sha256%3Aab", "digest"), "sha256:ab");
}

TEST(QueryValue, IsAbsentWhenMissingOrBroken) {
  for (const char* query : {"", "&", "=", "nn=1", "N=1", "n=%", "n=%4", "n=%zz", "n=%00", "n=a%0d%0ab", "n=%zz&n=1"}) {
    EXPECT_EQ(query_value(query, "n"), std::nullopt) << query;
  }
}

}  // namespace
}  // namespace shoal::registry
