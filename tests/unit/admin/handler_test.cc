// The admin handlers; hosted repositories: hosted_test.cc.
#include <gtest/gtest.h>

#include "handlers_fixture.h"

namespace shoal::admin {
namespace {

constexpr const char* kLayer = "sha256:1111111111111111111111111111111111111111111111111111111111111111";

class WithImage : public Handlers {
 protected:
  void SetUp() override {
    const std::string manifest =
        R"({"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":)"
        R"("application/vnd.oci.image.config.v1+json","digest":"sha256:)" +
        std::string(64, '2') +
        R"(","size":10},"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar+gzip",)"
        R"("digest":")" +
        kLayer + R"(","size":100}]})";
    digest_ = base::digest_of(manifest).to_string();
    const auto digest = base::digest_of(manifest);
    const auto now = clock_.wall_now();
    const auto bytes = std::make_shared<const std::string>(manifest);
    commit({store::PutManifest{"docker.io/library/nginx", digest, "application/vnd.oci.image.manifest.v1+json", bytes,
                               now},
            store::PutTag{"docker.io/library/nginx", "1", {digest, now, now}},
            store::PutTag{"docker.io/library/nginx", "2", {digest, now, now}},
            store::PutManifest{"docker.io/library/redis", digest, "application/vnd.oci.image.manifest.v1+json", bytes,
                               now},
            store::PutTag{"docker.io/library/redis", "7", {digest, now, now}}});
  }
  std::string digest_;
};

TEST_F(Handlers, HealthIsOkWhileLoopsTurn) {
  EXPECT_EQ(get("/healthz").text, "ok\n");
  node_.stuck = "event loop 1 has not turned for 12 s";
  EXPECT_EQ(get("/healthz").status, 503);
}

TEST_F(Handlers, ReadinessTellsItsReasons) {
  EXPECT_EQ(json::parse(get("/readyz").text)["ready"], true);
  node_.is_draining = true;
  const auto response = get("/readyz");
  EXPECT_EQ(response.status, 503);
  EXPECT_NE(response.text.find("draining"), std::string::npos);
}

TEST_F(Handlers, SwarmsTellWhatIsSharedAndHowFarItIs) {
  EXPECT_EQ(get("/api/v1/swarms").status, 404);  // no site
  node_.site_status.emplace();
  EXPECT_EQ(get_json("/api/v1/swarms"), json({{"swarms", json::array()}}));
  node_.swarm_status = {
      {kLayer, 10'000'000, 1 << 20, 10, 4, "follower", 2, {"http://10.0.0.1:5000", "http://10.0.0.2:5000"}, 3'000'000}};
  EXPECT_EQ(get_json("/api/v1/swarms")["swarms"], json::parse(R"([{"digest": ")" + std::string(kLayer) + R"(",
    "size": 10000000, "piece_length": 1048576, "pieces": 10, "pieces_here": 4, "role": "follower", "followers": 2,
    "authors": ["http://10.0.0.1:5000", "http://10.0.0.2:5000"], "bytes_from_peers": 3000000}])"));
}

TEST_F(Handlers, MainListenerHasHealthAndMetricsOnlyAsConfigured) {
  metrics_.counter("shoal_x_total", "X.").add();
  HealthHandler with(parts(), true), without(parts(), false);
  const auto metrics = ask(with, http::Method::get, "/metrics");
  EXPECT_EQ(metrics.status, 200);
  EXPECT_NE(metrics.text.find("shoal_x_total 1"), std::string::npos);
  EXPECT_EQ(metrics.headers.get("Content-Type"), "text/plain; version=0.0.4; charset=utf-8");
  EXPECT_EQ(ask(without, http::Method::get, "/metrics").status, 404);
  EXPECT_EQ(ask(with, http::Method::get, "/api/v1/status").status, 404);
  EXPECT_EQ(ask(with, http::Method::post, "/healthz").status, 405);
}

TEST_F(Handlers, StatusTellsVersionStoreAndUpstreams) {
  upstream::UpstreamOptions options;
  options.name = "docker.io";
  options.urls = {"https://registry-1.docker.io"};
  node_.states.push_back(upstream::make_state(options, clock_));
  const auto status = get_json("/api/v1/status");
  EXPECT_EQ(status["version"], "1.2.3");
  EXPECT_EQ(status["ready"], true);
  EXPECT_EQ(status["store"]["read_only"], false);
  EXPECT_EQ(status["upstreams"][0]["name"], "docker.io");
  const auto upstreams = get_json("/api/v1/upstreams");
  EXPECT_EQ(upstreams["upstreams"][0]["urls"][0]["url"], "https://registry-1.docker.io");
}

TEST_F(Handlers, ConfigurationIsText) { EXPECT_EQ(get("/api/v1/config").text, "server:\n  loops: 0\n"); }

TEST_F(Handlers, ReloadReportsAndFailsWith422) {
  node_.report.applied = {"log.level"};
  node_.report.needs_restart = {"server.loops"};
  auto response = ask(*handler_, http::Method::post, "/api/v1/reload");
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(json::parse(response.text)["needs_restart"][0], "server.loops");
  node_.report.errors = {"shoal.yml:1: x: unknown key"};
  EXPECT_EQ(ask(*handler_, http::Method::post, "/api/v1/reload").status, 422);
}

TEST_F(Handlers, ChangesWithoutTheHeaderAreRefused) {
  EXPECT_EQ(ask(*handler_, http::Method::post, "/api/v1/reload", /*header=*/false).status, 403);
  EXPECT_EQ(ask(*handler_, http::Method::del, "/api/v1/images/docker.io/x", /*header=*/false).status, 403);
}

TEST_F(WithImage, ListingHasRepositoriesWithTagsInPages) {
  const auto first = get_json("/api/v1/images?n=1");
  EXPECT_EQ(first["repositories"].size(), 1U);
  EXPECT_EQ(first["repositories"][0]["name"], "docker.io/library/nginx");
  EXPECT_EQ(first["repositories"][0]["tags"], (json{"1", "2"}));
  const auto second = get_json("/api/v1/images?n=1&last=" + first["next"].get<std::string>());
  EXPECT_EQ(second["repositories"][0]["name"], "docker.io/library/redis");
  const auto third = get_json("/api/v1/images?n=1&last=" + second["next"].get<std::string>());
  EXPECT_TRUE(third["repositories"].empty());
  EXPECT_EQ(third["next"], "");
}

TEST_F(WithImage, RepositoryListsItsTags) {
  const auto tags = get_json("/api/v1/images?repository=docker.io/library/nginx");
  EXPECT_EQ(tags["tags"].size(), 2U);
  EXPECT_EQ(tags["tags"][0]["digest"], digest_);
  EXPECT_EQ(get_json("/api/v1/images/docker.io/library/nginx")["tags"].size(), 2U);
  EXPECT_EQ(get("/api/v1/images/docker.io/library/ngin").status, 404);
}

TEST_F(WithImage, ShowTellsWhatIsHeld) {
  for (const auto& reference : {std::string("tag=1"), "digest=" + digest_}) {
    const auto image = get_json("/api/v1/images/docker.io/library/nginx?" + reference);
    EXPECT_EQ(image["digest"], digest_);
    ASSERT_EQ(image["children"].size(), 2U);
    EXPECT_EQ(image["children"][1]["digest"], kLayer);
    EXPECT_EQ(image["children"][1]["held"], false);
    EXPECT_EQ(image["named_bytes"], 110);
    EXPECT_EQ(image["held_bytes"], 0);
    EXPECT_EQ(image["manifest"]["schemaVersion"], 2);
  }
  EXPECT_EQ(get("/api/v1/images/docker.io/library/nginx?tag=3").status, 404);
  EXPECT_EQ(get("/api/v1/images/docker.io/library/redis?tag=1").status, 404);
  EXPECT_EQ(get("/api/v1/images/docker.io/library/nginx?digest=nonsense").status, 400);
}

TEST_F(WithImage, RemovesATagOrARepositoryAndNothingByMistake) {
  const auto remove = [this](const char* what) {
    return ask(*handler_, http::Method::del, std::string("/api/v1/images/docker.io/library/nginx") + what).status;
  };
  for (const char* mistake : {"?tg=1", "?digest=sha256:00", "?tag=", "?tag=1&x=y"}) EXPECT_EQ(remove(mistake), 400);
  EXPECT_EQ(remove("?tag=9"), 404);
  EXPECT_EQ(remove("?tag=1"), 200);
  EXPECT_EQ(get_json("/api/v1/images/docker.io/library/nginx")["tags"].size(), 1U);
  EXPECT_EQ(remove(""), 200);
  EXPECT_EQ(remove(""), 404);
  EXPECT_EQ(get_json("/api/v1/images")["repositories"].size(), 1U);
}

TEST_F(WithImage, ABlobThatIsNotHeldIs404) {
  EXPECT_EQ(get(std::string("/api/v1/blobs/") + kLayer).status, 404);
  EXPECT_EQ(get("/api/v1/blobs/nonsense").status, 400);
}

TEST_F(WithImage, RemovingABlobThatIsNotHeldIs404) {
  const auto remove = [this](std::string digest) {
    return ask(*handler_, http::Method::del, "/api/v1/blobs/" + digest).status;
  };
  EXPECT_EQ(remove(kLayer), 404);
  EXPECT_EQ(remove("nonsense"), 400);
}

TEST_F(Handlers, UnknownPathsAndMethodsAreRefused) {
  EXPECT_EQ(get("/api/v1/nothing").status, 404);
  EXPECT_EQ(get("/").status, 404);
  EXPECT_EQ(get("/api/v1/images?n=0").status, 400);
  EXPECT_EQ(get("/api/v1/images?n=-1").status, 400);
  EXPECT_EQ(ask(*handler_, http::Method::patch, "/api/v1/status").status, 405);
  EXPECT_EQ(ask(*handler_, http::Method::put, "/api/v1/status").status, 404);
  EXPECT_EQ(ask(*handler_, http::Method::post, "/api/v1/status").status, 404);
}

TEST_F(Handlers, AJobStillQueuedWhenTheHandlerGoesDoesNothing) {
  http::Request request;
  request.target = "/api/v1/status";
  request.host = "localhost";
  const auto catcher = std::make_shared<Catcher>();
  const auto operation = handler_->handle(request, http::Responder(catcher, 1));
  handler_.reset();
  pool_.run_all();
  loop_.post_here();
  EXPECT_FALSE(catcher->answer);
}

}  // namespace
}  // namespace shoal::admin
