// Dry runs of removals: what would go and how much, with the refusals of the real thing, and nothing changed.
#include "handlers_fixture.h"

namespace shoal::admin {
namespace {

class DryRemoval : public Handlers {
 protected:
  std::string image(const std::string& layer, std::size_t size) {
    return R"({"schemaVersion":2,"mediaType":")" + std::string(kImage) +
           R"(","config":{"mediaType":"application/octet-stream","digest":")" + base::digest_of(layer).to_string() +
           R"(","size":)" + std::to_string(size) + R"(},"layers":[]})";
  }
  base::Digest push_image(const std::string& repository, const std::string& layer, std::vector<std::string> tags) {
    return push(repository, kImage, image(layer, layer.size()), std::move(tags));
  }
  base::Digest mirror(const std::string& repository, const std::string& layer, const std::vector<std::string>& tags) {
    const auto bytes = image(layer, layer.size());
    const auto digest = base::digest_of(bytes);
    commit({store::PutManifest{repository, digest, kImage, std::make_shared<const std::string>(bytes), {}}});
    for (const auto& tag : tags) commit({store::PutTag{repository, tag, {digest, {}, {}}}});
    return digest;
  }
  http::Response remove(const std::string& what) { return ask(*handler_, http::Method::del, "/api/v1/" + what); }
  json foresee(const std::string& what) {
    const auto response = remove(what);
    EXPECT_EQ(response.status, 200) << response.text;
    return json::parse(response.text);
  }
};

TEST_F(DryRemoval, OfAMirroredTagSaysWhatStaysInTheCache) {
  const auto digest = mirror("docker.io/library/nginx", "layer", {"1", "latest"});
  const auto reply = foresee("images/docker.io/library/nginx?tag=1&dry_run=1");
  EXPECT_EQ(reply["dry_run"], true);
  EXPECT_EQ(reply["removed"], "docker.io/library/nginx:1");
  EXPECT_EQ(reply["hosted"], false);
  EXPECT_EQ(reply["digest"], digest.to_string());
  EXPECT_EQ(reply["other_tags"], json::array({"latest"}));
  EXPECT_EQ(reply["tags"], 1);
  EXPECT_EQ(reply["bytes_freed"], 0);
  EXPECT_EQ(reply["cached"]["manifests"], 1);
  EXPECT_TRUE(store_->find_tag("docker.io/library/nginx", "1"));
  EXPECT_TRUE(events_.take_texts().empty());
}

TEST_F(DryRemoval, OfAMirroredRepositoryCountsAndChangesNothing) {
  mirror("docker.io/library/nginx", "layer", {"1", "latest"});
  const auto reply = foresee("images/docker.io/library/nginx?dry_run=1");
  EXPECT_EQ(reply["tags"], 2);
  EXPECT_EQ(reply["manifests"], 1);
  EXPECT_EQ(reply["blobs"], 0);
  EXPECT_EQ(reply["bytes_freed"], 0);
  EXPECT_EQ(store_->list_tags("docker.io/library/nginx", "", 10).size(), 2U);
}

TEST_F(DryRemoval, OfAHostedTagAsksWhatCollectionsWouldTake) {
  const auto digest = push_image("team/app", "layer", {"1", "latest"});
  node_.forecast = GcForecast{.now = {.manifests_removed = 1, .blobs_removed = 1, .bytes_freed = 10},
                              .in_time = {.manifests_removed = 3, .blobs_removed = 2, .bytes_freed = 110},
                              .grace = std::chrono::hours(24)};
  const auto reply = foresee("images/team/app?tag=1&dry_run=1");
  EXPECT_EQ(node_.foreseen.repository, "team/app");
  EXPECT_TRUE(node_.foreseen.untagged);
  ASSERT_EQ(node_.foreseen.gone.tags.size(), 1U);
  EXPECT_EQ(node_.foreseen.gone.tags.at("1"), digest);
  EXPECT_TRUE(node_.foreseen.gone.manifests.empty());
  EXPECT_EQ(reply["hosted"], true);
  EXPECT_EQ(reply["tags"], 1);
  EXPECT_EQ(reply["manifests"], 0);
  EXPECT_EQ(reply["other_tags"], json::array({"latest"}));
  const auto& collection = reply["collection"];
  EXPECT_EQ(collection["needs_untagged"], true);
  EXPECT_EQ(collection["bytes"], 10);
  EXPECT_EQ(collection["kept_by_grace"], (json{{"manifests", 2}, {"blobs", 1}, {"bytes", 100}}));
  EXPECT_EQ(collection["grace_seconds"], 86400);
  node_.forecast->untagged = true;  // the node's own collections would do it
  EXPECT_EQ(foresee("images/team/app?tag=1&dry_run=1")["collection"]["needs_untagged"], false);
  EXPECT_TRUE(store_->find_tag("team/app", "1"));
}

TEST_F(DryRemoval, OfAHostedRepositoryNamesAllItsManifests) {
  const auto one = push_image("team/app", "layer", {"1", "latest"}), two = push_image("team/app", "other", {"2"});
  const auto reply = foresee("images/team/app?dry_run=1");
  EXPECT_EQ(reply["tags"], 3);
  EXPECT_EQ(reply["manifests"], 2);
  EXPECT_EQ(reply["collection"]["needs_untagged"], false);
  EXPECT_FALSE(node_.foreseen.untagged);
  EXPECT_EQ(node_.foreseen.gone.manifests, (std::set<base::Digest>{one, two}));
  const auto real = json::parse(remove("images/team/app").text);
  EXPECT_EQ(real["tags"], reply["tags"]);
  EXPECT_EQ(real["manifests"], reply["manifests"]);
}

TEST_F(DryRemoval, IsRefusedAsTheRemovalIs) {
  push_image("team/app", "layer", {"1"});
  mirror("docker.io/library/nginx", "layer", {"1"});
  const auto layer = base::digest_of("not here").to_string();
  for (const std::string what : {"images/team/app?tag=9", "images/docker.io/library/nginx?tag=9", "images/no/such?",
                                 "blobs/nonsense?", "blobs/sha256:12?"}) {
    const auto dry = remove(what + (what.ends_with('?') ? "" : "&") + "dry_run=1");
    const auto real = remove(what.ends_with('?') ? what.substr(0, what.size() - 1) : what);
    EXPECT_EQ(dry.status, real.status) << what;
    EXPECT_EQ(dry.text, real.text) << what;
    EXPECT_GE(dry.status, 400);
  }
  EXPECT_EQ(remove("blobs/" + layer + "?dry_run=1").text, remove("blobs/" + layer).text);
  node_.forecast = base::Error(base::ErrorKind::busy, "too many dry runs at once");
  EXPECT_EQ(remove("images/team/app?dry_run=1").status, 409);
}

// In memory, where a store can be made read-only.
TEST_F(DryRemoval, OfAReadOnlyStoreIsRefusedAsTheRemovalIs) {
  test::MemoryStore memory(pool_, clock_);
  AdminHandler handler(Parts{loop_, pool_, memory, metrics_, node_}, std::vector<std::string>{});
  const auto digest = base::digest_of(image("layer", 5));
  put_mirrored_and_hosted(memory, image("layer", 5));
  memory.turn_read_only("sync: I/O error");
  const auto answer = [&](http::Method method, const std::string& what) {
    return ask(handler, method, "/api/v1/" + what);
  };
  for (const std::string what : {"images/docker.io/library/nginx?tag=1&", "images/docker.io/library/nginx?",
                                 "images/team/app?tag=1&", "images/team/app?"}) {
    const auto dry = answer(http::Method::del, what + "dry_run=1"),
               real = answer(http::Method::del, what + "dry_run=0");
    EXPECT_EQ(dry.status, 500) << what;
    EXPECT_EQ(dry.text, real.text) << what;
  }
  const auto pin = "pins/" + digest.to_string() + "?dry_run=";
  EXPECT_EQ(answer(http::Method::put, pin + "1").status, 500);
  EXPECT_EQ(answer(http::Method::put, pin + "1").text, answer(http::Method::put, pin + "0").text);
}

TEST_F(DryRemoval, NoMisspeltOneIsInEarnest) {
  push_image("team/app", "layer", {"1"});
  for (const std::string mistake : {"?dryrun=1", "?dry_run=yes", "?dry_run", "?dry_run=", "?tag=1&dry-run=1",
                                    "?dry_run=1&dry_run=0", "?tag=1&tag=2", "?tag=&dry_run=1", "?tag=1&&dry_run=1"}) {
    EXPECT_EQ(remove("images/team/app" + mistake).status, 400) << mistake;
  }
  EXPECT_EQ(remove("blobs/sha256:12?dryrun=1").status, 400);
  EXPECT_TRUE(store_->find_tag("team/app", "1"));
  EXPECT_EQ(remove("images/team/app?tag=1&dry_run=0").status, 200);
  EXPECT_FALSE(store_->find_tag("team/app", "1"));
}

}  // namespace
}  // namespace shoal::admin
