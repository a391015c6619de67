// Manifests, lists and removals of hosted repositories, as a client sees them.
#include "hosted_fixture.h"
#include "shoal/registry/push.h"
#include "shoal/registry/referrers.h"
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
  EXPECT_EQ(node.ask(Method::del, "/v2/team/app/manifests/v9").status(), 404) << "nor one that is not there";

  const auto index = R"({"schemaVersion":2,"mediaType":")" + std::string(kIndexType) +
                     R"(","manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":")" +
                     base::digest_of(two).to_string() + R"(","size":)" + std::to_string(two.size()) + "}]}";
  EXPECT_EQ(node.put_manifest("team/app", "v2", index, std::string(kIndexType)).status(), 201);
  auto& child = node.ask(Method::del, "/v2/team/app/manifests/" + base::digest_of(two).to_string());
  EXPECT_EQ(child.status(), 409) << "an index with an immutable tag leads to it";
  EXPECT_NE(child.response.text.find("tag v2 of team/app is immutable (rule team/*:v*)"), std::string::npos)
      << child.response.text;
}

TEST(HostedRemove, TagsManifestsAndBlobsGo) {
  HostedNode node;
  const auto config = node.push_blob("team/app", "{}");
  const auto bytes = HostedNode::image(config);
  const auto manifest = "/v2/team/app/manifests/" + base::digest_of(bytes).to_string();
  for (const char* tag : {"a", "b", "c"}) EXPECT_EQ(node.put_manifest("team/app", tag, bytes).status(), 201);
  auto& needed = node.ask(Method::del, "/v2/team/app/blobs/" + config.to_string());
  EXPECT_EQ(needed.status(), 405);
  EXPECT_NE(needed.response.text.find("a manifest of team/app needs it"), std::string::npos) << needed.response.text;
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

TEST(HostedRemove, ADigestIsWhatItsRepositoryKnowsItAs) {
  HostedNode node;
  const auto bytes = HostedNode::image(node.push_blob("team/app", "{}"));
  const auto digest = base::digest_of(bytes).to_string();
  EXPECT_EQ(node.put_manifest("team/app", "a", bytes).status(), 201);
  (void)node.push_blob("team/blobs", bytes);
  EXPECT_EQ(node.get("/v2/team/app/manifests/" + digest).status(), 200);
  EXPECT_EQ(node.get("/v2/team/blobs/manifests/" + digest).status(), 404);
  EXPECT_EQ(node.get("/v2/team/blobs/blobs/" + digest).status(), 200);
  EXPECT_EQ(node.ask(Method::del, "/v2/team/app/blobs/" + digest).status(), 404);
  EXPECT_EQ(node.ask(Method::del, "/v2/team/blobs/manifests/" + digest).status(), 404);
  EXPECT_EQ(node.ask(Method::del, "/v2/team/blobs/blobs/" + digest).status(), 202);
  EXPECT_EQ(node.get("/v2/team/blobs/blobs/" + digest).status(), 404);
  EXPECT_EQ(node.get("/v2/team/app/manifests/a").status(), 200);
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

}  // namespace
}  // namespace shoal::serve
