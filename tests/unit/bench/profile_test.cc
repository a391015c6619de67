#include "profile.h"

#include <gtest/gtest.h>

#include <map>

namespace shoal::bench {
namespace {

// An index with one manifest below it, a config and three layers.
Image image() {
  Image made;
  made.repository = "team/app";
  made.reference = "v1";
  made.manifests = {{"sha256:index", "i", 500}, {"sha256:manifest", "m", 700}};
  made.blobs = {{"sha256:config", "c", 100, true},
                {"sha256:one", "l", 1000, false},
                {"sha256:two", "l", 2500, false},
                {"sha256:three", "l", 0, false}};
  return made;
}

std::vector<std::string> lines(const std::vector<Step>& steps) {
  std::vector<std::string> out;
  for (const auto& step : steps) {
    std::string line;
    for (const auto& ask : step.asks) line += (line.empty() ? "" : " | ") + ask.method + " " + ask.path;
    out.push_back(line);
  }
  return out;
}

TEST(BenchProfile, DockerPingsAsksTheTagByHeadAndTakesThreeLayersBesideTheConfig) {
  const auto profile = find_profile("docker", 0, 0);
  const auto steps = plan_pull(*profile, image(), "");
  EXPECT_EQ(lines(steps), (std::vector<std::string>{
                              "GET /v2/", "HEAD /v2/team/app/manifests/v1", "GET /v2/team/app/manifests/sha256:index",
                              "GET /v2/team/app/manifests/sha256:manifest",
                              "GET /v2/team/app/blobs/sha256:config | GET /v2/team/app/blobs/sha256:one | GET "
                              "/v2/team/app/blobs/sha256:two | GET /v2/team/app/blobs/sha256:three"}));
  EXPECT_TRUE(profile->close);
  EXPECT_EQ(steps.back().parallel, 3U);
  EXPECT_TRUE(steps.back().asks[0].beside);
  EXPECT_FALSE(steps.back().asks[1].beside);
}

TEST(BenchProfile, ContainerdTellsTheMirrorTheRegistryAndTakesAllAtOnce) {
  const auto profile = find_profile("containerd", 0, 0);
  const auto steps = plan_pull(*profile, image(), "docker.io");
  ASSERT_EQ(steps.size(), 4U);
  EXPECT_EQ(steps[0].asks[0].method, "HEAD");
  EXPECT_EQ(steps[0].asks[0].path, "/v2/team/app/manifests/v1?ns=docker.io");
  EXPECT_EQ(steps[3].asks.size(), 4U);
  EXPECT_EQ(steps[3].parallel, 0U);
  EXPECT_FALSE(profile->close);
  EXPECT_EQ(steps[1].asks[0].expected, 500U);
  EXPECT_EQ(steps[2].asks[0].expected, 700U);
}

TEST(BenchProfile, PodmanTakesTheTagByGetAndTheConfigBeforeSixLayers) {
  const auto profile = find_profile("podman", 0, 0);
  const auto steps = plan_pull(*profile, image(), "");
  ASSERT_EQ(steps.size(), 5U);
  EXPECT_EQ(lines(steps)[1], "GET /v2/team/app/manifests/v1");
  EXPECT_EQ(lines(steps)[2], "GET /v2/team/app/manifests/sha256:manifest");
  EXPECT_EQ(lines(steps)[3], "GET /v2/team/app/blobs/sha256:config");
  EXPECT_EQ(steps[4].asks.size(), 3U);
  EXPECT_EQ(steps[4].parallel, 6U);
  EXPECT_TRUE(profile->close);
}

TEST(BenchProfile, PiecesCoverEachLayerOnceAndTheEmptyLayerComesWhole) {
  const auto profile = find_profile("ranged", 2, 1000);
  const auto steps = plan_pull(*profile, image(), "");
  std::map<std::size_t, std::uint64_t> bytes;
  std::vector<std::string> ranges;
  for (const auto& ask : steps.back().asks) {
    if (ask.what != What::layer) continue;
    bytes[ask.blob] += *ask.expected;
    if (ask.partial) ranges.push_back(ask.headers);
  }
  EXPECT_EQ(steps.back().parallel, 2U);
  EXPECT_EQ(bytes, (std::map<std::size_t, std::uint64_t>{{1, 1000}, {2, 2500}, {3, 0}}));
  EXPECT_EQ(ranges, (std::vector<std::string>{"Range: bytes=0-999\r\n", "Range: bytes=0-999\r\n",
                                              "Range: bytes=1000-1999\r\n", "Range: bytes=2000-2499\r\n"}));
}

TEST(BenchProfile, AnUnknownOneIsNone) {
  EXPECT_FALSE(find_profile("curl", 0, 0));
  EXPECT_EQ(find_profile("docker", 7, 0)->parallel, 7U);
}

}  // namespace
}  // namespace shoal::bench
