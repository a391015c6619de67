// The admin API's view of notifications, over a real hub whose receiver is not there.
#include <gtest/gtest.h>

#include "handlers_fixture.h"
#include "support/loop_thread.h"
#include "support/scripted_server.h"

namespace shoal::admin {
namespace {

class Notifications : public Handlers {
 protected:
  Notifications() {
    notify::Options options{"edge-7", {}};
    auto& endpoint = options.endpoints.emplace_back();
    endpoint.name = "ci";
    endpoint.url = "http://127.0.0.1:" + std::to_string(test::closed_port()) + "/hook?key=s3cret";
    endpoint.kinds.fill(true);
    hub_.start(
        dir_.file("events"), loop_thread_.loop(),
        [this] { return notify::make_sender(loop_thread_.loop(), "shoal/test"); }, std::move(options));
    auto with_hub = parts();
    with_hub.notifications = &hub_;
    handler_ = std::make_unique<AdminHandler>(with_hub, std::vector<std::string>{});
  }
  ~Notifications() override {
    handler_.reset();
    hub_.close();
  }

  test::LoopThread loop_thread_;
  base::SystemClock wall_;
  notify::Hub hub_{disk_, wall_, metrics_};
};

TEST_F(Notifications, EndpointsAreShownWithoutTheirSecrets) {
  const auto response = get("/api/v1/notifications");
  const auto endpoints = json::parse(response.text)["endpoints"];
  ASSERT_EQ(endpoints.size(), 1U);
  EXPECT_EQ(endpoints[0]["name"], "ci");
  EXPECT_EQ(endpoints[0]["format"], "distribution");
  EXPECT_EQ(endpoints[0]["pending"], 0);
  EXPECT_EQ(endpoints[0]["url"].get<std::string>().substr(0, 17), "http://127.0.0.1:");
  EXPECT_EQ(response.text.find("s3cret"), std::string::npos);
  EXPECT_EQ(response.text.find("hook"), std::string::npos);
  EXPECT_EQ(get_json("/api/v1/status")["notifications"].size(), 1U);
}

TEST_F(Notifications, DeadLettersAreAskedForByName) {
  EXPECT_EQ(get_json("/api/v1/notifications/ci/dead")["dead_letters"], json::array());
  EXPECT_EQ(get("/api/v1/notifications/nobody/dead").status, 404);
  EXPECT_EQ(get("/api/v1/notifications/ci/dead?n=0").status, 400);
  EXPECT_EQ(get("/api/v1/notifications/ci").status, 404);
  EXPECT_EQ(json::parse(ask(*handler_, http::Method::post, "/api/v1/notifications/ci/retry").text)["queued"], 0);
  EXPECT_EQ(ask(*handler_, http::Method::post, "/api/v1/notifications/nobody/retry").status, 404);
  EXPECT_EQ(ask(*handler_, http::Method::post, "/api/v1/notifications/ci/retry", /*header=*/false).status, 403);
}

TEST_F(Handlers, WithoutAHubThereAreNoEndpoints) {
  EXPECT_EQ(get_json("/api/v1/notifications")["endpoints"], json::array());
  EXPECT_EQ(get("/api/v1/notifications/ci/dead").status, 404);
}

}  // namespace
}  // namespace shoal::admin
