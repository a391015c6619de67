// Manifests, lists and removals of hosted repositories, as a client sees them.
#include "hosted_fixture.h"
#include "shoal/registry/wire.h"

namespace shoal::serve {
namespace {

using http::Method;
using test::some_bytes;

const std::string kIndexType = "application/vnd.oci.image.index.v1+json";

TEST(HostedManifest, PushedBytesComeBackExactly) {
  HostedNode node;
  const auto config = node.push_blob("team/app", "{}");
  const auto bytes = HostedNode::image(config, ",\n \"x\" : [1,\"\xc3\xa4\"], \"x\":2");
  const auto digest = base::digest_of(bytes);
  auto& put = node.put_manifest("team/app", "v1", bytes, "application/vnd.oci.image.manifest.v1+json; charset=utf-8");
  EXPECT_EQ(put.status(), 201) << put.response.text;
  EXPECT_EQ(put.header("Location"), "/v2/team/app/manifests/v1");
  EXPECT_EQ(put.header("Docker-Content-Digest"), digest.to_string());
  EXPECT_FALSE(put.response.headers.has("OCI-Subject"));
  for (const auto& reference : {std::string("v1"), digest.to_string()}) {
    auto& get = node.get("/v2/team/app/manifests/" + reference);
    EXPECT_EQ(get.status(), 200);
    EXPECT_EQ(get.header("Content-Type"), "application/vnd.oci.image.manifest.v1+json");
    EXPECT_EQ(get.header("Cache-Status"), "shoal; hit");
    EXPECT_EQ(node.text(get), bytes);
    EXPECT_EQ(node.ask(Method::head, "/v2/team/app/manifests/" + reference).status(), 200);
    EXPECT_EQ(
        node.get("/v2/team/app/manifests/" + reference, {{"If-None-Match", "\"" + digest.to_string() + "\""}}).status(),
        304);
  }
  EXPECT_EQ(node.get("/v2/team/app/manifests/v2").status(), 404);
  EXPECT_EQ(node.get("/v2/team/other/manifests/" + digest.to_string()).status(), 404);
  EXPECT_EQ(node.get("/v2/team/app/blobs/" + digest.to_string()).status(), 404) << "a manifest is no blob";
  EXPECT_EQ(node.get("/v2/team/app/manifests/" + config.to_string()).status(), 404) << "and the other way";
}

TEST(HostedManifest, WhatIsNotOneIsRefused) {
  HostedNode node;
  const auto config = node.push_blob("team/app", "{}");
  const auto good = HostedNode::image(config);
  const std::string image = "application/vnd.oci.image.manifest.v1+json";
  struct Case {
    std::string bytes, type, code;
    int status;
  };
  const auto missing = base::digest_of("missing");
  for (const auto& c :
       std::vector<Case>{{"<html>", image, "MANIFEST_INVALID", 400},
                         {"", image, "MANIFEST_INVALID", 400},
                         {good, kIndexType, "MANIFEST_INVALID", 400},
                         {R"({"schemaVersion":2,"manifests":[]})", image, "MANIFEST_INVALID", 400},
                         {R"({"schemaVersion":1,"name":"x","tag":"1","fsLayers":[],"history":[],"signatures":[]})",
                          "application/vnd.docker.distribution.manifest.v1+prettyjws", "MANIFEST_INVALID", 400},
                         {HostedNode::image(missing), image, "MANIFEST_BLOB_UNKNOWN", 400}}) {
    auto& answer = node.put_manifest("team/app", "v1", c.bytes, c.type);
    EXPECT_EQ(answer.status(), c.status) << c.bytes;
    EXPECT_NE(answer.response.text.find(c.code), std::string::npos) << answer.response.text;
  }
  EXPECT_NE(node.put_manifest("team/app", "v1", HostedNode::image(missing)).response.text.find(missing.to_string()),
            std::string::npos);
  auto& wrong = node.put_manifest("team/app", missing.to_string(), good);
  EXPECT_EQ(wrong.status(), 400);
  EXPECT_NE(wrong.response.text.find("DIGEST_INVALID"), std::string::npos);
  EXPECT_EQ(node.put_manifest("team/app", "sha256:bad", good).status(), 400);
  EXPECT_EQ(node.put_manifest("team/app", "v1", good, "").status(), 201) << "mediaType tells";
  EXPECT_EQ(node.put_manifest("team/app", "v1", good, "application/json").status(), 201);
}

TEST(HostedManifest, LimitHoldsWithAndWithoutALength) {
  HostedNode node;
  const auto config = node.push_blob("team/app", "{}");
  const auto large = HostedNode::image(config, ",\"annotations\":{\"a\":\"" + std::string(200'000, 'x') + "\"}");
  EXPECT_EQ(node.put_manifest("team/app", "v1", large).status(), 201) << "checked on the pool";
  node.edit([&](HostedOptions& options) { options.max_manifest_bytes = large.size() - 1; });
  auto& told = node.put_manifest("team/app", "v1", large);
  EXPECT_EQ(told.status(), 413);
  EXPECT_NE(told.response.text.find("SIZE_INVALID"), std::string::npos);
  auto body = node.body();
  body->give(large.substr(0, 1000));
  body->give(large.substr(1000));
  body->end();
  EXPECT_EQ(node.answered(node.begin(Method::put, "/v2/team/app/manifests/v1", body)).status(), 413);
}

TEST(HostedManifest, ForeignLayersSubjectsAndUnknownTypesNeedNothing) {
  HostedNode node;
  const auto subject = base::digest_of("never pushed");
  const auto bytes = R"({"schemaVersion":2,"mediaType":"application/vnd.example.thing+json","layers":[{"mediaType":)"
                     R"("application/vnd.oci.image.layer.nondistributable.v1.tar+gzip","digest":")" +
                     base::digest_of("a").to_string() +
                     R"(","size":1},{"mediaType":"x/y","urls":["https://example.com/b"],"digest":")" +
                     base::digest_of("b").to_string() + R"(","size":1}],"subject":{"mediaType":"x/y","digest":")" +
                     subject.to_string() + R"(","size":1}})";
  auto& answer = node.put_manifest("team/app", "v1", bytes, "application/vnd.example.thing+json");
  EXPECT_EQ(answer.status(), 201) << answer.response.text;
  EXPECT_EQ(answer.header("OCI-Subject"), subject.to_string());
}

TEST(HostedManifest, IndexNeedsItsChildrenUnlessSparse) {
  HostedNode node;
  const auto index = R"({"schemaVersion":2,"manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json",)"
                     R"("digest":")" +
                     base::digest_of("child").to_string() + R"(","size":5}]})";
  EXPECT_EQ(node.put_manifest("team/app", "v1", index, kIndexType).status(), 400);
  node.edit([&](HostedOptions& options) { options.sparse_indexes = true; });
  EXPECT_EQ(node.put_manifest("team/app", "v1", index, kIndexType).status(), 201);
}

TEST(HostedManifest, TagParametersNameMoreTags) {
  HostedNode node;
  const auto config = node.push_blob("team/app", "{}");
  const auto bytes = HostedNode::image(config);
  const auto path = base::digest_of(bytes).to_string();
  auto& answer = node.put_manifest("team/app", path + "?tag=a&tag=b", bytes);
  EXPECT_EQ(answer.status(), 201);
  EXPECT_EQ(answer.response.headers.count("OCI-Tag"), 2U);
  EXPECT_EQ(node.get("/v2/team/app/manifests/b").status(), 200);
  std::string many;
  for (int i = 0; i < 11; ++i) many += "&tag=t" + std::to_string(i);
  EXPECT_EQ(node.put_manifest("team/app", path + "?" + many, bytes).status(), 414);
  EXPECT_EQ(node.put_manifest("team/app", path + "?tag=.bad", bytes).status(), 400);
}

TEST(HostedManifest, ImmutableTagsStay) {
  HostedNode node;
  node.edit([&](HostedOptions& options) { options.fixed_tags = {{"team/*", "v*"}}; });
  const auto config = node.push_blob("team/app", "{}");
  const auto one = HostedNode::image(config), two = HostedNode::image(config, ",\"x\":2");
  EXPECT_EQ(node.put_manifest("team/app", "v1", one).status(), 201);
  EXPECT_EQ(node.put_manifest("team/app", "v1", one).status(), 201) << "the same again";
  auto& moved = node.put_manifest("team/app", "v1", two);
  EXPECT_EQ(moved.status(), 409);
  EXPECT_NE(moved.response.text.find("team/*:v*"), std::string::npos) << moved.response.text;
  EXPECT_EQ(node.put_manifest("team/app", "latest", two).status(), 201);
  EXPECT_EQ(node.ask(Method::del, "/v2/team/app/manifests/v1").status(), 409);
  EXPECT_EQ(node.ask(Method::del, "/v2/team/app/manifests/" + base::digest_of(one).to_string()).status(), 409);
  EXPECT_EQ(node.ask(Method::del, "/v2/team/app/manifests/latest").status(), 202);
}

TEST(HostedRemove, TagsManifestsAndBlobsGo) {
  HostedNode node;
  const auto config = node.push_blob("team/app", "{}");
  const auto bytes = HostedNode::image(config);
  const auto manifest = "/v2/team/app/manifests/" + base::digest_of(bytes).to_string();
  for (const char* tag : {"a", "b", "c"}) EXPECT_EQ(node.put_manifest("team/app", tag, bytes).status(), 201);
  EXPECT_EQ(node.ask(Method::del, "/v2/team/app/blobs/" + config.to_string()).status(), 409) << "still needed";
  EXPECT_EQ(node.ask(Method::del, "/v2/team/app/manifests/a").status(), 202);
  EXPECT_EQ(node.ask(Method::del, "/v2/team/app/manifests/a").status(), 404);
  EXPECT_EQ(node.get(manifest).status(), 200);
  EXPECT_EQ(node.ask(Method::del, manifest).status(), 202);
  EXPECT_EQ(node.ask(Method::del, manifest).status(), 404);
  EXPECT_EQ(node.get(manifest).status(), 404);
  EXPECT_EQ(node.get("/v2/team/app/manifests/b").status(), 404);
  EXPECT_EQ(node.ask(Method::del, "/v2/team/app/manifests/" + config.to_string()).status(), 404) << "a blob";
  EXPECT_EQ(node.ask(Method::del, "/v2/team/app/blobs/" + config.to_string()).status(), 202);
  EXPECT_EQ(node.get("/v2/team/app/blobs/" + config.to_string()).status(), 404);
  node.edit([&](HostedOptions& options) { options.remove = false; });
  EXPECT_EQ(node.ask(Method::del, "/v2/team/app/manifests/b").status(), 405);
}

TEST(HostedQuota, RefusesWithNumbersAndCountsWhatIsThere) {
  HostedNode node;
  node.edit([&](HostedOptions& options) { options.quotas = {{"team/small/*", 1000}, {"team/**", 100'000}}; });
  (void)node.push_blob("team/small/a", some_bytes(600));
  const auto second = some_bytes(600, 2);
  const auto query = "?digest=" + base::digest_of(second).to_string();
  auto& refused = node.ask(Method::post, "/v2/team/small/b/blobs/uploads/" + query, second);
  EXPECT_EQ(refused.status(), 413);
  for (const char* number : {"1000", "600", "team/small/*"}) {
    EXPECT_NE(refused.response.text.find(number), std::string::npos) << refused.response.text;
  }
  EXPECT_EQ(node.ask(Method::post, "/v2/team/large/blobs/uploads/" + query, second).status(), 201);
  node.world.advance(std::chrono::seconds(11));
  EXPECT_EQ(node.ask(Method::post, "/v2/team/small/b/blobs/uploads/" + query, second).status(), 413) << "measured";
  (void)node.push_blob("team/small/b", some_bytes(300, 3));
}

TEST(HostedRead, DamagedBlobIs503WithAReason) {
  HostedNode node;
  const auto digest = node.push_blob("team/app", "precious");
  node.world.store.damage_blob(digest, "prexious");
  auto& answer = node.get("/v2/team/app/blobs/" + digest.to_string());
  EXPECT_EQ(answer.status(), 503);
  EXPECT_NE(answer.response.text.find("damaged"), std::string::npos);
}

TEST(HostedRead, RangesAreHonoured) {
  HostedNode node;
  const auto bytes = some_bytes(1000);
  const auto digest = node.push_blob("team/app", bytes);
  auto& part = node.get("/v2/team/app/blobs/" + digest.to_string(), {{"Range", "bytes=10-19"}});
  EXPECT_EQ(part.status(), 206);
  EXPECT_EQ(node.text(part), bytes.substr(10, 10));
  EXPECT_EQ(node.get("/v2/team/app/blobs/" + digest.to_string(), {{"Range", "bytes=1000-"}}).status(), 416);
}

class HostedTagList : public ::testing::Test {
 protected:
  HostedTagList() {
    const auto config = node.push_blob("team/app", "{}");
    for (const char* tag : {"b", "a", "C", "_x", "10", "9"}) {
      EXPECT_EQ(node.put_manifest("team/app", tag, HostedNode::image(config)).status(), 201);
    }
  }
  HostedAnswer& list(const std::string& query) { return node.get("/v2/team/app/tags/list" + query); }
  HostedNode node;
};

TEST_F(HostedTagList, IsSortedByBytesAndPaged) {
  auto& all = list("");
  EXPECT_EQ(node.text(all), R"({"name":"team/app","tags":["10","9","C","_x","a","b"]})");
  EXPECT_FALSE(all.response.headers.has("Link"));
  std::vector<std::string> seen;
  std::string query = "?n=2";
  for (int pages = 0; !query.empty() && pages < 9; ++pages) {
    auto& page = list(query);
    EXPECT_EQ(page.status(), 200);
    const auto parsed = registry::parse_tag_list(node.text(page));
    ASSERT_TRUE(parsed.ok());
    EXPECT_EQ(parsed->tags.size(), 2U);
    seen.insert(seen.end(), parsed->tags.begin(), parsed->tags.end());
    const auto next = registry::next_query(page.header("Link"));
    query = next.empty() ? "" : "?" + next;
  }
  EXPECT_EQ(seen, (std::vector<std::string>{"10", "9", "C", "_x", "a", "b"}));
}

TEST_F(HostedTagList, EdgesOfNAndLast) {
  auto& none = list("?n=0");
  EXPECT_EQ(node.text(none), R"({"name":"team/app","tags":[]})");
  EXPECT_FALSE(none.response.headers.has("Link"));
  EXPECT_EQ(node.text(list("?last=Zebra&n=1")), R"({"name":"team/app","tags":["_x"]})");
  EXPECT_EQ(node.text(list("?last=z")), R"({"name":"team/app","tags":[]})");
  EXPECT_EQ(node.text(list("?n=99999999999999999999&last=a")), R"({"name":"team/app","tags":["b"]})");
  EXPECT_EQ(list("?last=" + std::string(4000, 'x')).status(), 200);
  for (const char* bad : {"?n=", "?n=-1", "?n=x", "?n=1.5"}) EXPECT_EQ(list(bad).status(), 400) << bad;
  auto& unknown = node.get("/v2/team/unknown/tags/list");
  EXPECT_EQ(unknown.status(), 404);
  EXPECT_NE(unknown.response.text.find("NAME_UNKNOWN"), std::string::npos);
}

TEST_F(HostedTagList, CatalogListsWhatIsHosted) {
  (void)node.push_blob("team/zoo", "z");
  auto& all = node.get("/v2/_catalog");
  EXPECT_EQ(node.text(all), R"({"repositories":["team/app","team/zoo"]})");
  auto& page = node.get("/v2/_catalog?n=1");
  EXPECT_EQ(node.text(page), R"({"repositories":["team/app"]})");
  EXPECT_EQ(page.header("Link"), "</v2/_catalog?n=1&last=team/app>; rel=\"next\"");
  EXPECT_EQ(node.text(node.get("/v2/_catalog?n=1&last=team/app")), R"({"repositories":["team/zoo"]})");
}

TEST(HostedReferrers, ListsFiltersAndForgets) {
  HostedNode node;
  const auto config = node.push_blob("team/app", "{}");
  const auto subject = base::digest_of("subject");
  const auto with = [&](const std::string& more) {
    return HostedNode::image(
        config, R"(,"subject":{"mediaType":"x/y","digest":")" + subject.to_string() + R"(","size":1})" + more);
  };
  const auto path = "/v2/team/app/referrers/" + subject.to_string();
  const std::string empty =
      R"({"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]})";
  auto& before = node.get(path);
  EXPECT_EQ(before.status(), 200);
  EXPECT_EQ(before.header("Content-Type"), kIndexType);
  EXPECT_EQ(node.text(before), empty);
  const auto signature = with(R"(,"artifactType":"a/sig","annotations":{"k":"v"})");
  EXPECT_EQ(node.put_manifest("team/app", "s", signature).header("OCI-Subject"), subject.to_string());
  EXPECT_EQ(node.put_manifest("team/app", "t", with("")).status(), 201);
  const auto all = node.text(node.get(path));
  EXPECT_NE(all.find(R"("annotations":{"k":"v"})"), std::string::npos) << all;
  EXPECT_NE(all.find(R"("artifactType":"application/vnd.oci.image.config.v1+json")"), std::string::npos) << all;
  auto& filtered = node.get(path + "?artifactType=a%2Fsig");
  EXPECT_EQ(filtered.header("OCI-Filters-Applied"), "artifactType");
  const auto some = node.text(filtered);
  EXPECT_NE(some.find("a/sig"), std::string::npos);
  EXPECT_EQ(some.find("image.config"), std::string::npos);
  EXPECT_EQ(node.get("/v2/team/app/referrers/sha256:bad").status(), 400);
  EXPECT_EQ(node.ask(Method::del, "/v2/team/app/manifests/" + base::digest_of(signature).to_string()).status(), 202);
  EXPECT_EQ(node.text(node.get(path)).find("a/sig"), std::string::npos);
}

TEST(HostedReferrers, LongListsComeInPagesBelowFourMebibytes) {
  HostedNode node;
  const auto config = node.push_blob("team/app", "{}");
  const auto subject = base::digest_of("subject");
  for (int i = 0; i < 12; ++i) {
    const auto bytes = HostedNode::image(config, R"(,"subject":{"mediaType":"x/y","digest":")" + subject.to_string() +
                                                     R"(","size":1},"annotations":{"k":")" +
                                                     std::string(500'000, static_cast<char>('a' + i)) + "\"}");
    ASSERT_EQ(node.put_manifest("team/app", "t" + std::to_string(i), bytes).status(), 201);
  }
  std::size_t found = 0;
  int pages = 0;
  std::string query;
  do {
    auto& page = node.get("/v2/team/app/referrers/" + subject.to_string() + query);
    const auto text = node.text(page);
    EXPECT_LT(text.size(), 4U << 20);
    for (std::size_t at = 0; (at = text.find("\"annotations\"", at)) != std::string::npos; ++at) ++found;
    const auto next = registry::next_query(page.header("Link"));
    query = next.empty() ? "" : "?" + next;
  } while (!query.empty() && ++pages < 10);
  EXPECT_EQ(found, 12U);
  EXPECT_GE(pages, 1);
}

}  // namespace
}  // namespace shoal::serve
