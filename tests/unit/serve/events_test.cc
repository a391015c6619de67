// What serving tells whoever wants to hear of it.
#include "hosted_fixture.h"

namespace shoal::serve {
namespace {

using http::Method;
using Texts = std::vector<std::string>;

TEST(Events, PushesAreToldWithTagAndRequest) {
  HostedNode node;
  const auto config = node.push_blob("team/app", "{}");
  EXPECT_EQ(node.world.events.take_texts(), Texts{"push blob team/app"});
  const auto bytes = HostedNode::image(config);
  node.put_manifest("team/app", "v1", bytes);
  const auto events = node.world.events.take();
  ASSERT_EQ(events.size(), 1U);
  EXPECT_EQ(events[0].kind, obs::EventKind::push);
  EXPECT_EQ(events[0].tag, "v1");
  EXPECT_EQ(events[0].digest, base::digest_of(bytes).to_string());
  EXPECT_EQ(events[0].size, bytes.size());
  EXPECT_EQ(events[0].media_type, "application/vnd.oci.image.manifest.v1+json");
  EXPECT_EQ(events[0].request.method, "PUT");
  EXPECT_EQ(events[0].request.peer, "127.0.0.1");
}

TEST(Events, EveryTagOfOnePushIsAnEvent) {
  HostedNode node;
  const auto config = node.push_blob("team/app", "{}");
  const auto bytes = HostedNode::image(config);
  (void)node.world.events.take();
  node.put_manifest("team/app", base::digest_of(bytes).to_string() + "?tag=a&tag=b", bytes);
  EXPECT_EQ(node.world.events.take_texts(), (Texts{"push manifest team/app:a", "push manifest team/app:b"}));
  node.put_manifest("team/app", base::digest_of(bytes).to_string(), bytes);
  EXPECT_EQ(node.world.events.take_texts(), Texts{"push manifest team/app"});
}

TEST(Events, WhatIsRefusedIsNotTold) {
  HostedNode node;
  node.put_manifest("team/app", "v1", HostedNode::image(base::digest_of("missing")));
  node.ask(Method::del, "/v2/team/app/manifests/v1");
  node.get("/v2/team/app/manifests/v1");
  EXPECT_EQ(node.world.events.take_texts(), Texts{});
}

TEST(Events, PullsAreToldAndLooksAreNot) {
  HostedNode node;
  const auto config = node.push_blob("team/app", "{}");
  const auto bytes = HostedNode::image(config);
  node.put_manifest("team/app", "v1", bytes);
  (void)node.world.events.take();
  const auto etag = "\"" + base::digest_of(bytes).to_string() + "\"";
  node.ask(Method::head, "/v2/team/app/manifests/v1");
  node.ask(Method::head, "/v2/team/app/blobs/" + config.to_string());
  node.get("/v2/team/app/manifests/v1", {{"If-None-Match", etag}});
  EXPECT_EQ(node.world.events.take_texts(), Texts{});
  node.get("/v2/team/app/manifests/v1");
  const auto pulled = node.world.events.take();
  ASSERT_EQ(pulled.size(), 1U);
  EXPECT_EQ(pulled[0].kind, obs::EventKind::pull);
  EXPECT_EQ(pulled[0].tag, "v1");
  EXPECT_EQ(pulled[0].digest, base::digest_of(bytes).to_string());
  node.get("/v2/team/app/blobs/" + config.to_string());
  EXPECT_EQ(node.world.events.take_texts(), Texts{"pull blob team/app"});
}

TEST(Events, ABlobInRangesIsOnePull) {
  HostedNode node;
  const auto blob = node.push_blob("team/app", "0123456789");
  (void)node.world.events.take();
  const auto path = "/v2/team/app/blobs/" + blob.to_string();
  for (const char* range : {"bytes=0-3", "bytes=4-6", "bytes=7-", "bytes=99-"}) node.get(path, {{"Range", range}});
  EXPECT_EQ(node.world.events.take_texts(), Texts{"pull blob team/app"});
}

TEST(Events, MountsAndRemovals) {
  HostedNode node;
  const auto config = node.push_blob("team/base", "{}");
  (void)node.world.events.take();
  const auto mount = "/v2/team/app/blobs/uploads/?mount=" + config.to_string() + "&from=team/base";
  EXPECT_EQ(node.ask(Method::post, mount).status(), 201);
  const auto mounted = node.world.events.take();
  ASSERT_EQ(mounted.size(), 1U);
  EXPECT_EQ(mounted[0].kind, obs::EventKind::mount);
  EXPECT_EQ(mounted[0].repository, "team/app");
  EXPECT_EQ(mounted[0].from, "team/base");
  EXPECT_EQ(mounted[0].size, 2U);

  const auto bytes = HostedNode::image(config);
  node.put_manifest("team/app", "v1", bytes);
  (void)node.world.events.take();
  node.ask(Method::del, "/v2/team/app/manifests/v1");
  node.ask(Method::del, "/v2/team/app/manifests/" + base::digest_of(bytes).to_string());
  node.ask(Method::del, "/v2/team/app/blobs/" + config.to_string());
  EXPECT_EQ(node.world.events.take_texts(),
            (Texts{"delete tag team/app:v1", "delete manifest team/app", "delete blob team/app"}));
}

TEST(Events, APushIsToldEvenIfTheClientLeftBeforeItsAnswer) {
  HostedNode node;
  const auto config = node.push_blob("team/app", "{}");
  (void)node.world.events.take();
  const auto bytes = HostedNode::image(config);
  auto body = node.body(bytes.size());
  body->give(bytes);
  body->end();
  const auto id = node.begin(Method::put, "/v2/team/app/manifests/v1", body,
                             {{"Content-Type", "application/vnd.oci.image.manifest.v1+json"}});
  // Its bytes are read and on their way to the store when the client goes.
  while (!node.world.store.find_tag("team/app", "v1")) {
    ASSERT_TRUE(node.world.loops[0].run_one() || node.world.disk.run_one());
  }
  node.operations.erase(id);
  node.world.run();
  EXPECT_EQ(node.world.events.take_texts(), Texts{"push manifest team/app:v1"});
}

}  // namespace
}  // namespace shoal::serve
