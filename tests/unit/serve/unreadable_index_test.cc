// What clients of hosted repositories see while the index cannot be read: 503, not that what they pushed is unknown.
#include "hosted_fixture.h"

namespace shoal::serve {
namespace {

using http::Method;

class UnreadableIndex : public ::testing::Test {
 protected:
  UnreadableIndex() {
    EXPECT_EQ(node.put_manifest("team/app", "v1", manifest).status(), 201);
    node.edit([](HostedOptions& options) {
      options.remove = true;
      options.fixed_tags = {{"team/**", "*"}};
    });
  }
  // Whichever of its reads is the first that fails. How many it takes.
  std::size_t expect_unavailable(Method method, const std::string& path) {
    std::size_t reads = 0;
    for (;; ++reads) {
      node.world.store.fail_reads_after(reads);
      const auto failed = node.world.store.failed_reads();
      auto& answer = node.ask(method, path);
      if (node.world.store.failed_reads() == failed) break;
      EXPECT_EQ(answer.status(), 503) << path << " after " << reads << " reads: " << node.text(answer);
      EXPECT_TRUE(answer.response.headers.has("Retry-After")) << path;
      if (reads > 20) break;
    }
    node.world.store.fail_reads_after(std::nullopt);
    return reads;
  }
  HostedNode node;
  const base::Digest config = node.push_blob("team/app", "{}");
  const std::string manifest = HostedNode::image(config);
  const base::Digest digest = base::digest_of(manifest);
};

TEST_F(UnreadableIndex, IsNoReasonToSayUnknown) {
  for (const auto method : {Method::get, Method::head}) {
    EXPECT_EQ(expect_unavailable(method, "/v2/team/app/manifests/v1"), 3U);
    EXPECT_EQ(expect_unavailable(method, "/v2/team/app/manifests/" + digest.to_string()), 2U);
    EXPECT_EQ(expect_unavailable(method, "/v2/team/app/blobs/" + config.to_string()), 2U);
  }
  EXPECT_GE(expect_unavailable(Method::get, "/v2/team/app/referrers/" + digest.to_string()), 2U);
  EXPECT_EQ(expect_unavailable(Method::get, "/v2/team/none/tags/list"), 2U) << "whether it is hosted, after its tags";
  EXPECT_EQ(expect_unavailable(Method::del, "/v2/team/app/manifests/v1"), 1U) << "whether there is a tag to be fixed";
  EXPECT_EQ(node.get("/v2/team/app/manifests/v1").status(), 200);
  EXPECT_EQ(node.get("/v2/team/app/manifests/v2").status(), 404);
}

}  // namespace
}  // namespace shoal::serve
