// Hosted repositories, pins and garbage collection in the admin API.
#include "handlers_fixture.h"
#include "support/memory_store.h"

namespace shoal::admin {
namespace {

class Hosted : public Handlers {
 protected:
  std::string push_image(const std::string& repository, const std::string& name, std::vector<std::string> tags) {
    return push(repository, kImage, image(name), std::move(tags)).to_string();
  }
  static std::string image(const std::string& name) {
    return R"({"schemaVersion":2,"mediaType":")" + std::string(kImage) +
           R"(","config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"sha256:)" +
           std::string(64, '2') + R"(","size":10},"layers":[],"annotations":{"name":")" + name + R"("}})";
  }
  static std::string index_of(const std::vector<std::string>& children) {
    json manifests = json::array();
    for (const auto& child : children) {
      manifests.push_back(
          {{"mediaType", kImage}, {"digest", base::digest_of(child).to_string()}, {"size", child.size()}});
    }
    return json{{"schemaVersion", 2}, {"mediaType", kIndex}, {"manifests", manifests}}.dump();
  }
  http::Response remove(const std::string& what) { return ask(*handler_, http::Method::del, "/api/v1/images/" + what); }
  bool holds(const std::string& repository, const std::string& digest) {
    return get("/api/v1/images/" + repository + "?digest=" + digest).status == 200;
  }
};

TEST_F(Hosted, AreListedWithTheirCountsInPages) {
  push_image("team/app", "one", {"1", "latest"});
  push_image("team/app", "two", {"2"});
  push_image("team/tool", "one", {"1"});
  const auto first = get_json("/api/v1/hosted?n=1");
  ASSERT_EQ(first["repositories"].size(), 1U);
  EXPECT_EQ(first["repositories"][0]["name"], "team/app");
  EXPECT_EQ(first["repositories"][0]["tags"], 3);
  EXPECT_EQ(first["repositories"][0]["manifests"], 2);
  EXPECT_GT(first["repositories"][0]["bytes"], 0);
  const auto second = get_json("/api/v1/hosted?n=5&last=" + first["next"].get<std::string>());
  ASSERT_EQ(second["repositories"].size(), 1U);
  EXPECT_EQ(second["repositories"][0]["name"], "team/tool");
  EXPECT_EQ(get("/api/v1/hosted?n=0").status, 400);
}

TEST_F(Hosted, AreMarkedInTheListingOfImages) {
  push_image("team/app", "one", {"1"});
  const auto images = get_json("/api/v1/images");
  ASSERT_EQ(images["repositories"].size(), 1U);
  EXPECT_EQ(images["repositories"][0]["name"], "team/app");
  EXPECT_EQ(images["repositories"][0]["hosted"], true);
}

TEST_F(Hosted, ATagGoesAloneAndItsManifestStays) {
  const auto digest = push_image("team/app", "one", {"1", "latest"});
  EXPECT_EQ(remove("team/app?tag=1").status, 200);
  EXPECT_EQ(remove("team/app?tag=1").status, 404);
  EXPECT_EQ(events_.take_texts(), std::vector<std::string>{"delete tag team/app:1 (admin)"});
  EXPECT_TRUE(holds("team/app", digest));
  EXPECT_EQ(get_json("/api/v1/images/team/app")["tags"].size(), 1U);
}

TEST_F(Hosted, ARepositoryGoesWithItsManifestsAndThoseOfItsPlatforms) {
  const auto amd = push_image("team/app", "amd", {});
  const auto arm = push_image("team/app", "arm", {});
  const auto index = push("team/app", kIndex, index_of({image("amd"), image("arm")}), {"1", "latest"}).to_string();
  const auto lone = push_image("team/app", "lone", {"2"});
  const auto other = push_image("team/other", "amd", {"1"});
  const auto response = remove("team/app");
  ASSERT_EQ(response.status, 200) << response.text;
  EXPECT_EQ(json::parse(response.text)["tags"], 3);
  EXPECT_EQ(json::parse(response.text)["manifests"], 4);
  for (const auto& digest : {amd, arm, index, lone}) EXPECT_FALSE(holds("team/app", digest));
  EXPECT_TRUE(holds("team/other", other));
}

// A repository of two images, three tags, in memory: there a manifest can be kept busy.
class BusyRepository : public Hosted {
 protected:
  BusyRepository() {
    memory_handler_ =
        std::make_unique<AdminHandler>(Parts{loop_, pool_, memory_, metrics_, node_}, std::vector<std::string>{});
    for (const auto& [name, tags] :
         std::vector<std::pair<std::string, std::vector<std::string>>>{{"one", {"1", "latest"}}, {"two", {"2"}}}) {
      const auto bytes = image(name);
      memory_.hosted().put_manifest({.repository = "team/app",
                                     .digest = base::digest_of(bytes),
                                     .media_type = kImage,
                                     .bytes = std::make_shared<const std::string>(bytes),
                                     .tags = tags,
                                     .needed = {},
                                     .subject = {},
                                     .descriptor = {},
                                     .fixed_tags = {}},
                                    pool_, [](base::Result<void> result) { EXPECT_TRUE(result.ok()); });
    }
    pool_.run_all();
  }
  http::Response remove() { return ask(*memory_handler_, http::Method::del, "/api/v1/images/team/app"); }
  test::MemoryHosted& hosted() { return static_cast<test::MemoryHosted&>(memory_.hosted()); }

  test::MemoryStore memory_{pool_, clock_};
  std::unique_ptr<AdminHandler> memory_handler_;
};

TEST_F(BusyRepository, WhatIsBusyForAMomentGoesAtTheEnd) {
  hosted().keep_busy(base::digest_of(image("one")), 1);
  const auto response = remove();
  ASSERT_EQ(response.status, 200) << response.text;
  EXPECT_EQ(json::parse(response.text)["tags"], 3);
  EXPECT_EQ(json::parse(response.text)["manifests"], 2);
  EXPECT_TRUE(memory_.list_tags("team/app", "", 10).empty());
}

TEST_F(BusyRepository, WhatStaysIsToldWithTheReason) {
  const auto digest = base::digest_of(image("one"));
  hosted().keep_busy(digest, 100);
  const auto response = remove();
  ASSERT_EQ(response.status, 409) << response.text;
  const auto reply = json::parse(response.text);
  EXPECT_EQ(reply["tags"], 1);
  EXPECT_EQ(reply["manifests"], 1);
  ASSERT_EQ(reply["kept"].size(), 1U);
  EXPECT_EQ(reply["kept"][0]["digest"], digest.to_string());
  EXPECT_EQ(reply["kept"][0]["reason"], "the repository keeps changing");
  EXPECT_EQ(reply["errors"][0]["code"], "IN_USE");
  EXPECT_EQ(reply["errors"][0]["message"], "team/app: 1 manifests removed, 1 stayed (" + digest.to_string() +
                                               ": the repository keeps changing); try again");
  EXPECT_EQ(memory_.list_tags("team/app", "", 10).size(), 2U);
}

TEST_F(Hosted, ManyTagsGoInSteps) {
  std::vector<std::string> tags;
  for (int i = 0; i < 250; ++i) tags.push_back("v" + std::to_string(i));
  push_image("team/app", "one", tags);
  push_image("team/app", "two", {"w"});
  const auto response = remove("team/app");
  ASSERT_EQ(response.status, 200) << response.text;
  EXPECT_TRUE(store_->list_tags("team/app", "", 10).empty());
}

TEST_F(Hosted, APinReachesEverythingTheManifestLeadsTo) {
  const auto child = push_image("team/app", "amd", {});
  const auto index = push("team/app", kIndex, index_of({image("amd")}), {"1"}).to_string();
  const auto pin = [this](http::Method method, const std::string& digest) {
    return ask(*handler_, method, "/api/v1/pins/" + digest);
  };
  const auto pinned = pin(http::Method::put, index);
  ASSERT_EQ(pinned.status, 200) << pinned.text;
  EXPECT_EQ(json::parse(pinned.text)["contents"], 2);
  EXPECT_EQ(json::parse(pinned.text)["pinned"], index);
  EXPECT_EQ(json::parse(pin(http::Method::del, index).text)["unpinned"], index);
  EXPECT_EQ(pin(http::Method::put, "sha256:" + std::string(64, '9')).status, 404);
  EXPECT_EQ(pin(http::Method::put, "nonsense").status, 400);
}

TEST_F(Hosted, ScrubReportsItsStep) {
  const auto scrub = [this](const char* query) {
    return ask(*handler_, http::Method::post, std::string("/api/v1/scrub") + query);
  };
  const auto response = scrub("?bytes=1000");
  ASSERT_EQ(response.status, 200) << response.text;
  EXPECT_EQ(json::parse(response.text)["whole"], true);
  EXPECT_EQ(json::parse(response.text)["damaged"], 0);
  EXPECT_EQ(scrub("?restart=1").status, 200);
  using Step = std::pair<std::uint64_t, ScrubFrom>;
  EXPECT_EQ(node_.scrubbed,
            (std::vector<Step>{{1000, ScrubFrom::where_it_was}, {256ULL << 20, ScrubFrom::the_beginning}}));
  for (const char* mistake : {"?bytes=0", "?bytes=-1", "?bytes=lots", "?byte=1", "?restart=x", "?rate=1"}) {
    EXPECT_EQ(scrub(mistake).status, 400) << mistake;
  }
}

TEST_F(Hosted, ADryRunOfAScrubTellsHowLongItTakes) {
  const auto scrub = [this](const char* query) {
    const auto response = ask(*handler_, http::Method::post, std::string("/api/v1/scrub") + query);
    EXPECT_EQ(response.status, 200) << response.text;
    return json::parse(response.text);
  };
  EXPECT_EQ(scrub("?dry_run=1"), (json{{"dry_run", true},
                                       {"blobs", 0},
                                       {"bytes", 0},
                                       {"rate", 0},
                                       {"seconds", nullptr},
                                       {"background_rate", 10},
                                       {"background_seconds", 0}}));
  EXPECT_EQ(scrub("?dry_run=1&rate=5")["seconds"], 0);
  EXPECT_TRUE(node_.scrubbed.empty());
}

TEST_F(Hosted, GarbageCollectionReportsAndNoMisspeltDryRunIsARealOne) {
  const auto gc = [this](const std::string& query) {
    node_.gc.reset();
    return ask(*handler_, http::Method::post, "/api/v1/gc" + query);
  };
  const auto dry = gc("?dry_run=1");
  ASSERT_EQ(dry.status, 200);
  EXPECT_TRUE(node_.gc->dry_run);
  EXPECT_FALSE(node_.gc->untagged);
  EXPECT_EQ(json::parse(dry.text)["dry_run"], true);
  EXPECT_EQ(json::parse(dry.text)["manifests_removed"], 2);
  EXPECT_EQ(json::parse(dry.text)["bytes_freed"], 5);
  EXPECT_EQ(json::parse(dry.text)["kept_by_grace"]["bytes"], 0);
  EXPECT_EQ(gc("?dry_run=0&untagged=1").status, 200);
  EXPECT_FALSE(node_.gc->dry_run);
  EXPECT_TRUE(node_.gc->untagged);
  EXPECT_EQ(gc("").status, 200);
  for (const char* mistake : {"?dryrun=1", "?dry_run=yes", "?dry_run=1&x", "?untaged=1&dry_run=0", "?=1"}) {
    EXPECT_EQ(gc(mistake).status, 400) << mistake;
    EXPECT_FALSE(node_.gc) << mistake;
  }
  node_.gc_answer = base::Error(base::ErrorKind::busy, "garbage is being collected already");
  EXPECT_EQ(gc("").status, 409);
}

}  // namespace
}  // namespace shoal::admin
