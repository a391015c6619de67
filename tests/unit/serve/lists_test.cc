// Tag lists, the catalog and referrers of hosted repositories.
#include "hosted_fixture.h"
#include "shoal/base/format.h"
#include "shoal/registry/push.h"
#include "shoal/registry/referrers.h"
#include "shoal/registry/wire.h"

namespace shoal::serve {
namespace {

using http::Method;

const std::string kIndexType = "application/vnd.oci.image.index.v1+json";

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

// 3,500 tags, in the order of the list.
std::vector<std::string> push_many_tags(HostedNode& node) {
  const auto json = HostedNode::image(base::digest_of("{}"));
  store::ManifestPush push{.repository = "team/app",
                           .digest = base::digest_of(json),
                           .media_type = "application/vnd.oci.image.manifest.v1+json",
                           .bytes = std::make_shared<const std::string>(json),
                           .tags = {},
                           .needed = {},
                           .subject = {},
                           .descriptor = {},
                           .fixed_tags = {}};
  for (int i = 0; i < 3500; ++i) push.tags.push_back(base::format("tag-{:04}", i));
  auto tags = push.tags;
  node.world.store.hosted().put_manifest(std::move(push), node.world.loops[0], nullptr);
  node.world.run();
  return tags;
}

TEST(HostedTagStream, WithoutNAllComeInOneAnswerThatIsNeverWholeInMemory) {
  HostedNode node;
  const auto tags = push_many_tags(node);
  auto& hosted = static_cast<test::MemoryHosted&>(node.world.store.hosted());
  auto& answer = node.get("/v2/team/app/tags/list");
  EXPECT_EQ(answer.status(), 200);
  EXPECT_FALSE(answer.response.content_length);
  EXPECT_FALSE(answer.response.headers.has("Link"));
  EXPECT_EQ(hosted.reads(), 1U);
  test::Body body(std::move(answer.response.source));
  body.drain(1000);
  node.world.run();
  EXPECT_EQ(hosted.reads(), 1U) << "nobody took the first piece: no other is read";
  body.follow();
  node.world.run();
  EXPECT_TRUE(body.ended);
  EXPECT_EQ(hosted.reads(), 4U);
  const auto list = registry::parse_tag_list(body.bytes);
  ASSERT_TRUE(list.ok()) << list.error().message();
  EXPECT_EQ(list->name, "team/app");
  EXPECT_EQ(list->tags, tags);
  auto& rest = node.get("/v2/team/app/tags/list?last=tag-0999");
  const auto after = registry::parse_tag_list(node.text(rest));
  ASSERT_TRUE(after.ok());
  EXPECT_EQ(after->tags, std::vector<std::string>(tags.begin() + 1000, tags.end()));
  EXPECT_EQ(registry::parse_tag_list(node.text(node.get("/v2/team/app/tags/list?n=2")))->tags.size(), 2U);
}

TEST(HostedTagStream, WhatCannotBeReadIsNeverAShortList) {
  HostedNode node;
  (void)push_many_tags(node);
  auto& hosted = static_cast<test::MemoryHosted&>(node.world.store.hosted());
  hosted.fail_reads_after(2);
  test::Body body(std::move(node.get("/v2/team/app/tags/list").response.source));
  body.follow();
  node.world.run();
  EXPECT_TRUE(body.error) << "the connection is cut";
  EXPECT_FALSE(body.ended);
  for (const char* path : {"/v2/team/app/tags/list", "/v2/team/app/tags/list?n=5", "/v2/_catalog"}) {
    hosted.fail_reads_after(0);
    EXPECT_EQ(node.get(path).status(), 503) << path;
  }
}

TEST(HostedTagStream, ClientOrHandlerThatGoesMidWayLeavesNothingBehind) {
  HostedNode node;
  (void)push_many_tags(node);
  {
    test::Body body(std::move(node.get("/v2/team/app/tags/list").response.source));
    body.follow();  // a slice is being read
    body.leave();
    node.world.run();
  }
  test::Body body(std::move(node.get("/v2/team/app/tags/list").response.source));
  body.follow();
  node.operations.clear();
  node.handler.reset();
  node.world.run();
  EXPECT_FALSE(body.ended);
}

TEST(HostedCatalogStream, AllRepositoriesComeWithoutN) {
  HostedNode node;
  for (int i = 0; i < 2100; ++i) {
    node.world.store.hosted().put_manifest({.repository = base::format("team/app-{:04}", i),
                                            .digest = base::digest_of("x"),
                                            .media_type = "a/b",
                                            .bytes = std::make_shared<const std::string>("x"),
                                            .tags = {},
                                            .needed = {},
                                            .subject = {},
                                            .descriptor = {},
                                            .fixed_tags = {}},
                                           node.world.loops[0], nullptr);
  }
  node.world.run();
  const auto text = node.text(node.get("/v2/_catalog"));
  EXPECT_EQ(std::count(text.begin(), text.end(), ','), 2099);
  EXPECT_TRUE(text.starts_with(R"({"repositories":["team/app-0000","team/app-0001",)")) << text.substr(0, 100);
  EXPECT_TRUE(text.ends_with(R"(,"team/app-2099"]})"));
  auto& page = node.get("/v2/_catalog?n=2&last=team/app-2096");
  EXPECT_EQ(node.text(page), R"({"repositories":["team/app-2097","team/app-2098"]})");
  EXPECT_TRUE(page.response.headers.has("Link"));
  EXPECT_FALSE(node.get("/v2/_catalog?n=2&last=team/app-2097").response.headers.has("Link"));
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

TEST(HostedReferrers, WhatTheFallbackTagListsIsListed) {
  HostedNode node;
  const auto config = node.push_blob("team/app", "{}");
  const auto subject = base::digest_of("subject");
  const auto naming = [&](const base::Digest& other, const std::string& more) {
    return HostedNode::image(
        config, R"(,"subject":{"mediaType":"x/y","digest":")" + other.to_string() + R"(","size":1})" + more);
  };
  const auto by_tag = HostedNode::image(config, R"(,"artifactType":"a/sbom","annotations":{"k":"v"})");
  const auto by_both = naming(subject, R"(,"artifactType":"a/sig")");
  const auto by_subject = naming(subject, R"(,"artifactType":"a/att")");
  const auto of_another = naming(base::digest_of("another"), R"(,"artifactType":"a/other")");
  for (const auto& bytes : {by_tag, by_both, by_subject, of_another}) {
    EXPECT_EQ(node.put_manifest("team/app", base::digest_of(bytes).to_string(), bytes).status(), 201);
  }
  std::vector<std::string> named;
  for (const auto& bytes : {by_tag, by_both, of_another, std::string("never pushed")}) {
    named.push_back(R"({"mediaType":"application/vnd.oci.image.manifest.v1+json","artifactType":"lies","digest":")" +
                    base::digest_of(bytes).to_string() + R"(","size":1})");
  }
  node.edit([](HostedOptions& options) { options.sparse_indexes = true; });
  EXPECT_EQ(node.put_manifest("team/app", registry::fallback_tag(subject), registry::referrers_body(named), kIndexType)
                .status(),
            201);
  const auto path = "/v2/team/app/referrers/" + subject.to_string();
  const auto list = [&](const std::string& query) {
    registry::Descriptors out;
    EXPECT_TRUE(registry::add_descriptors(node.text(node.get(path + query)), out));
    return out;
  };
  const auto all = list("");
  EXPECT_EQ(all.size(), 3U);
  for (const auto& bytes : {by_tag, by_both, by_subject}) EXPECT_TRUE(all.contains(base::digest_of(bytes)));
  EXPECT_NE(all.at(base::digest_of(by_tag)).find(R"("annotations":{"k":"v"},"artifactType":"a/sbom")"),
            std::string::npos)
      << "as the manifest has it";
  EXPECT_EQ(list("?artifactType=a/sbom").size(), 1U);
  for (const auto& [digest, descriptor] : all) {  // a walk may go on anywhere
    EXPECT_EQ(list("?last=" + digest.to_string()).size(),
              static_cast<std::size_t>(std::distance(all.upper_bound(digest), all.end())));
  }
  EXPECT_EQ(node.ask(Method::del, "/v2/team/app/manifests/" + base::digest_of(by_tag).to_string()).status(), 202);
  EXPECT_EQ(list("").size(), 2U);
  EXPECT_EQ(node.ask(Method::del, "/v2/team/app/manifests/" + registry::fallback_tag(subject)).status(), 202);
  EXPECT_EQ(list("").size(), 2U) << "those that name the subject";
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
