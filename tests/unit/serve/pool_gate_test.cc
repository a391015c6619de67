// What is on the pool when the handler goes: the store goes next.
#include "pool_gate.h"

#include <atomic>
#include <future>
#include <thread>

#include "hosted_fixture.h"

namespace shoal::serve {
namespace {

using http::Method;

TEST(PoolGate, QueuedJobsDoNothingWhenTheHandlerHasGone) {
  for (const std::string path : {"/v2/team/app/tags/list", "/v2/_catalog", "/v2/team/app/referrers/sha256:"}) {
    HostedNode node;
    const auto digest = node.push_blob("team/app", "x");
    const auto id = node.begin(Method::get, path.ends_with(':') ? path + digest.hex() : path, node.body(0));
    node.handler.reset();
    node.world.run();
    EXPECT_EQ(node.target->answers[id].times, 0) << path << ": what made this answer has used the store";
  }
}

TEST(PoolGate, QuotasAreNotMeasuredWhenTheHandlerHasGone) {
  HostedNode node;
  node.edit([&](HostedOptions& options) { options.quotas = {{"team/**", 1}}; });
  const auto path = "/v2/team/app/blobs/uploads/?digest=" + base::digest_of("too much").to_string();
  auto body = node.body(8);
  const auto id = node.begin(Method::post, path, body);
  while (node.world.loops[0].run_one()) {
  }
  node.handler.reset();
  body->give("too much");
  body->end();
  node.world.run();
  EXPECT_EQ(node.target->answers[id].times, 0);
}

TEST(PoolGate, ClosingWaitsForTheJobThatRuns) {
  PoolGate gate;
  std::promise<void> entered, go;
  std::atomic<bool> ended{false};
  std::thread job([&] {
    gate.pass([&] {
      entered.set_value();
      go.get_future().wait();
      ended = true;
    });
  });
  entered.get_future().wait();
  std::thread closer([&] {
    gate.close();
    EXPECT_TRUE(ended);
  });
  go.set_value();
  job.join();
  closer.join();
  gate.pass([] { ADD_FAILURE() << "closed"; });
}

}  // namespace
}  // namespace shoal::serve
