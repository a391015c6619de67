#include "shoal/registry/manifest.h"

#include <gtest/gtest.h>

#include "shoal/base/format.h"

namespace shoal::registry {
namespace {

std::string digest_text(char c) { return "sha256:" + std::string(64, c); }

std::string descriptor(char c, std::string_view type, std::string_view more = "") {
  return base::format(R"({{"mediaType":"{}","digest":"{}","size":{}{}}})", type, digest_text(c), 100, more);
}

std::string image(std::string_view head = "") {
  return base::format(R"({{"schemaVersion":2,{}"config":{},"layers":[{},{}]}})", head,
                      descriptor('a', "application/vnd.oci.image.config.v1+json"),
                      descriptor('b', "application/vnd.oci.image.layer.v1.tar+gzip"),
                      descriptor('c', "application/vnd.oci.image.layer.nondistributable.v1.tar",
                                 R"(,"urls":["https://example.com/x"])"));
}

std::string index(std::string_view head = "") {
  return base::format(
      R"({{"schemaVersion":2,{}"manifests":[{},{}]}})", head,
      descriptor('a', kOciManifest, R"(,"platform":{"os":"linux","architecture":"arm64","variant":"v8"})"),
      descriptor('b', kOciManifest, R"(,"platform":{"os":"unknown","architecture":"unknown"})"));
}

ManifestView parse(std::string_view bytes) {
  auto view = parse_manifest(bytes);
  EXPECT_TRUE(view.ok()) << bytes << ": " << view.error().message();
  return view.ok() ? *view : ManifestView{};
}

void expect_corrupt(std::string_view bytes) {
  const auto view = parse_manifest(bytes);
  ASSERT_FALSE(view.ok()) << bytes.substr(0, 200);
  EXPECT_EQ(view.error().kind(), base::ErrorKind::corrupt);
}

TEST(Manifest, AnImageHasConfigFirstThenLayers) {
  const auto view = parse(image(R"("mediaType":"application/vnd.docker.distribution.manifest.v2+json",)"));
  EXPECT_EQ(view.media_type, kDockerManifest);
  ASSERT_EQ(view.children.size(), 3u);
  EXPECT_EQ(view.children[0].digest.to_string(), digest_text('a'));
  EXPECT_EQ(view.children[1].size, 100u);
  EXPECT_EQ(view.children[1].media_type, "application/vnd.oci.image.layer.v1.tar+gzip");
  EXPECT_FALSE(view.children[1].is_manifest);
  EXPECT_FALSE(view.children[1].foreign);
  EXPECT_TRUE(view.children[2].foreign);
  EXPECT_FALSE(view.subject.has_value());
}

TEST(Manifest, AnIndexHasManifestsWithPlatforms) {
  const auto view = parse(index());
  EXPECT_EQ(view.media_type, kOciIndex);
  ASSERT_EQ(view.children.size(), 2u);
  EXPECT_EQ(view.children[0].platform, "linux/arm64/v8");
  EXPECT_EQ(view.children[1].platform, "unknown/unknown");
  EXPECT_TRUE(view.children[0].is_manifest);
}

TEST(Manifest, ABuildCacheIndexHasLayersNotManifests) {
  const auto view = parse(base::format(R"({{"schemaVersion":2,"manifests":[{},{},{}]}})",
                                       descriptor('a', "application/vnd.oci.image.layer.v1.tar+gzip"),
                                       descriptor('b', "application/vnd.docker.image.rootfs.diff.tar.gzip"),
                                       descriptor('c', "application/vnd.buildkit.cacheconfig.v0")));
  ASSERT_EQ(view.children.size(), 3u);
  for (const auto& child : view.children) EXPECT_FALSE(child.is_manifest) << child.media_type;
}

TEST(Manifest, ShapeTellsTheMediaTypeWhenTheBodyDoesNot) {
  EXPECT_EQ(parse(image()).media_type, kOciManifest);
  EXPECT_EQ(parse(index()).media_type, kOciIndex);
  EXPECT_EQ(parse(R"({"schemaVersion":2,"layers":[]})").media_type, kOciManifest);
  EXPECT_EQ(parse(R"({"schemaVersion":2,"manifests":[]})").media_type, kOciIndex);
  EXPECT_EQ(parse(R"({"schemaVersion":2})").media_type, "");
}

TEST(Manifest, Schema1HasNoChildren) {
  const auto plain = parse(R"({"schemaVersion":1,"name":"a","fsLayers":[{"blobSum":"sha256:00"}]})");
  EXPECT_EQ(plain.media_type, kDockerSchema1);
  EXPECT_TRUE(plain.children.empty());
  EXPECT_EQ(parse(R"({"schemaVersion":1,"fsLayers":[],"signatures":[{}]})").media_type, kDockerSchema1Signed);
}

TEST(Manifest, ArtifactsKeepTypeAndSubject) {
  const auto view =
      parse(base::format(R"({{"schemaVersion":2,"artifactType":"application/x","subject":{},"config":{},)"
                         R"("layers":[]}})",
                         descriptor('d', kOciManifest), descriptor('e', "application/vnd.oci.empty.v1+json")));
  EXPECT_EQ(view.artifact_type, "application/x");
  ASSERT_TRUE(view.subject.has_value());
  EXPECT_EQ(view.subject->digest.to_string(), digest_text('d'));
  EXPECT_TRUE(view.subject->is_manifest);
}

TEST(Manifest, TheWithdrawnArtifactManifestIsReadByItsBlobs) {
  const auto view = parse(base::format(
      R"({{"mediaType":"application/vnd.oci.artifact.manifest.v1+json","blobs":[{}]}})", descriptor('f', "text/x")));
  EXPECT_EQ(view.media_type, "application/vnd.oci.artifact.manifest.v1+json");
  ASSERT_EQ(view.children.size(), 1u);
}

TEST(Manifest, UnreadableDescriptorsAreLeftOut) {
  const std::string bad[] = {
      R"({})",
      R"("x")",
      R"(null)",
      R"([])",
      R"({"digest":"sha256:00","size":1})",
      base::format(R"({{"digest":"{}"}})", digest_text('a')),
      base::format(R"({{"digest":"{}","size":-1}})", digest_text('a')),
      base::format(R"({{"digest":"{}","size":1.5}})", digest_text('a')),
      base::format(R"({{"digest":"{}","size":"1"}})", digest_text('a')),
      base::format(R"({{"digest":"{}","size":18446744073709551615}})", digest_text('a')),
      base::format(R"({{"digest":"{}","size":1}})", "sha384:" + std::string(96, 'a')),
  };
  for (const auto& entry : bad) {
    const auto view = parse(base::format(R"({{"schemaVersion":2,"layers":[{},{}]}})", entry, descriptor('b', "x/y")));
    EXPECT_EQ(view.children.size(), 1u) << entry;
  }
}

TEST(Manifest, ForeignShapesAreCorrupt) {
  for (const char* bad : {"", " ", "null", "[]", "1", "\"x\"", "{", "{}", "{}x", R"({"errors":[{"code":"DENIED"}]})",
                          "<html><body>Sign in</body></html>", R"({"schemaVersion":2,"layers":[)", R"({"a":"\xff"})",
                          "{\"a\":1e999999}"}) {
    expect_corrupt(bad);
  }
}

TEST(Manifest, ImageAndIndexAtOnceIsCorrupt) {
  const std::string layers = R"("layers":[)" + descriptor('a', "x/y") + "]";
  const std::string manifests = R"("manifests":[)" + descriptor('b', kOciManifest) + "]";
  expect_corrupt("{\"schemaVersion\":2," + layers + "," + manifests + "}");
  expect_corrupt("{\"schemaVersion\":2,\"mediaType\":\"" + std::string(kOciIndex) + "\"," + layers + "}");
  expect_corrupt("{\"schemaVersion\":2,\"mediaType\":\"" + std::string(kDockerManifest) + "\"," + manifests + "}");
}

TEST(Manifest, DepthIsBounded) {
  const auto nested = [](int depth) {
    return R"({"schemaVersion":2,"layers":[],"x":)" + std::string(depth, '[') + std::string(depth, ']') + "}";
  };
  EXPECT_TRUE(parse_manifest(nested(63)).ok());
  expect_corrupt(nested(64));
  expect_corrupt(std::string(1'000'000, '['));
  EXPECT_TRUE(parse_manifest(R"({"schemaVersion":2,"layers":[],"x":")" + std::string(1000, '[') + "\\\"[\"}").ok());
}

TEST(Manifest, NumberOfValuesIsBounded) {
  std::string many = R"({"schemaVersion":2,"layers":[],"x":[0)";
  for (int i = 0; i < 600'000; ++i) many += ",0";
  expect_corrupt(many + "]}");
}

TEST(Manifest, ABodyCannotWriteHeaderLines) {
  const auto view = parse(R"({"schemaVersion":2,"layers":[],"mediaType":"a/b\r\nX-Evil: 1","artifactType":"a b"})");
  EXPECT_EQ(view.media_type, kOciManifest);
  EXPECT_EQ(view.artifact_type, "");
  EXPECT_EQ(parse(R"({"schemaVersion":2,"layers":[],"mediaType":")" + std::string(256, 'a') + "\"}").media_type,
            kOciManifest);
}

TEST(Manifest, EveryPrefixOfAGoodOneIsCorrupt) {
  const std::string whole = index(R"("mediaType":"application/vnd.oci.image.index.v1+json",)");
  for (std::size_t i = 0; i < whole.size(); ++i) EXPECT_FALSE(parse_manifest(whole.substr(0, i)).ok()) << i;
  EXPECT_TRUE(parse_manifest(whole + "\n").ok());
}

TEST(ManifestMediaType, UpstreamsWordCountsUnlessItIsGeneric) {
  ManifestView docker;
  docker.media_type = kDockerList;
  const std::pair<std::string_view, std::string_view> rows[] = {
      {kOciIndex, kOciIndex},
      {"application/vnd.oci.image.index.v1+json; charset=utf-8", kOciIndex},
      {" application/vnd.custom+json ;q", "application/vnd.custom+json"},
      {"", kDockerList},
      {";", kDockerList},
      {"application/json", kDockerList},
      {"Application/JSON; charset=utf-8", kDockerList},
      {"text/plain", kDockerList},
      {"text/html", kDockerList},
      {"application/octet-stream", kDockerList},
      {"binary/octet-stream", kDockerList},
      {"nonsense", kDockerList},
      {"a/b\r\nX: y", kDockerList},
  };
  for (const auto& [type, expected] : rows) EXPECT_EQ(manifest_media_type(type, docker), expected) << type;
}

TEST(ManifestMediaType, IsToldByShapeWhenNobodySays) {
  ManifestView view;
  EXPECT_EQ(manifest_media_type("application/json", view), kOciManifest);
  view.children.push_back({base::digest_of("x"), 1, "", "", /*is_manifest=*/true, false});
  EXPECT_EQ(manifest_media_type("", view), kOciIndex);
}

TEST(ManifestAccept, ListsEveryTypeAndTheWildcard) {
  for (const auto type : {kOciIndex, kOciManifest, kDockerList, kDockerManifest, kDockerSchema1, kDockerSchema1Signed,
                          std::string_view("*/*")}) {
    EXPECT_NE(manifest_accept().find(type), std::string::npos) << type;
  }
}

}  // namespace
}  // namespace shoal::registry
