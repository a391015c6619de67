// Pins: what they hold, what is missing of them, and their list.
#include "handlers_fixture.h"

namespace shoal::admin {
namespace {

constexpr const char* kRepository = "docker.io/library/nginx";

class Pins : public Handlers {
 protected:
  static std::string descriptor(const std::string& type, const std::string& bytes, std::size_t size,
                                const std::string& more = "") {
    return R"({"mediaType":")" + type + R"(","digest":")" + base::digest_of(bytes).to_string() + R"(","size":)" +
           std::to_string(size) + more + "}";
  }
  static std::string image(const std::string& name) {
    return R"({"schemaVersion":2,"config":)" + descriptor("application/vnd.oci.image.config.v1+json", name, 70) +
           R"(,"layers":[{"mediaType":"application/vnd.docker.image.rootfs.foreign.diff.tar.gzip","digest":")" +
           base::digest_of("foreign").to_string() + R"(","size":9,"urls":["http://x"]}]})";
  }
  // Two platforms, of which only that of amd64 was pulled.
  void SetUp() override {
    index_ = R"({"schemaVersion":2,"mediaType":")" + std::string(kIndex) + R"(","manifests":[)" +
             descriptor(kImage, image("amd"), 300, R"(,"platform":{"os":"linux","architecture":"amd64"})") + "," +
             descriptor(kImage, image("arm"), 310, R"(,"platform":{"os":"linux","architecture":"arm64"})") + "]}";
    put(kIndex, index_);
    put(kImage, image("amd"));
    digest_ = base::digest_of(index_).to_string();
  }
  void put(const char* type, const std::string& bytes) {
    commit({store::PutManifest{
        kRepository, base::digest_of(bytes), type, std::make_shared<const std::string>(bytes), {}}});
  }
  http::Response pin(const std::string& what, http::Method method = http::Method::put) {
    return ask(*handler_, method, "/api/v1/pins/" + what);
  }
  json pinned(const std::string& what) {
    const auto response = pin(what);
    EXPECT_EQ(response.status, 200) << response.text;
    return json::parse(response.text);
  }

  std::string index_, digest_;
};

TEST_F(Pins, ADryRunTellsWhatWouldBeHeldAndWhatIsMissing) {
  const auto dry = pinned(digest_ + "?dry_run=1");
  EXPECT_EQ(dry["dry_run"], true);
  EXPECT_EQ(dry["manifests"], 2);
  EXPECT_EQ(dry["blobs"], 0);
  EXPECT_EQ(dry["bytes"], index_.size() + image("amd").size());
  EXPECT_EQ(dry["objects"].size(), 2U);
  EXPECT_EQ(dry["complete"], false);
  EXPECT_EQ(dry["missing_objects"], 2);  // the other platform and the config; a foreign layer need not be here
  EXPECT_EQ(dry["missing_bytes"], 380);
  json platforms = json::array();
  for (const auto& object : dry["missing"]) platforms.push_back(object.value("platform", ""));
  EXPECT_NE(std::find(platforms.begin(), platforms.end(), "linux/arm64"), platforms.end()) << platforms;
  EXPECT_TRUE(get_json("/api/v1/pins")["pins"].empty());
  const auto real = pinned(digest_ + "?name=docker.io/library/nginx:1");
  EXPECT_EQ(real["dry_run"], false);
  EXPECT_EQ(real["complete"], false);
  EXPECT_EQ(real["missing"], dry["missing"]);
  EXPECT_FALSE(real.contains("objects"));
}

TEST_F(Pins, AreListedUntilTheyAreGivenBack) {
  pinned(digest_ + "?name=docker.io/library/nginx:1");
  const auto child = base::digest_of(image("amd")).to_string();
  pinned(child);
  const auto all = get_json("/api/v1/pins")["pins"];
  ASSERT_EQ(all.size(), 2U);
  const auto& first = all[0]["digest"] == digest_ ? all[0] : all[1];
  EXPECT_EQ(first["name"], "docker.io/library/nginx:1");
  EXPECT_FALSE(first["since"].get<std::string>().empty());
  EXPECT_EQ(first["complete"], false);
  EXPECT_EQ(first["contents"], 2);
  const auto page = get_json("/api/v1/pins?n=1");
  EXPECT_EQ(page["pins"].size(), 1U);
  EXPECT_EQ(get_json("/api/v1/pins?n=1&last=" + page["next"].get<std::string>())["pins"].size(), 1U);
  EXPECT_EQ(pin(digest_ + "?dry_run=1", http::Method::del).status, 200);
  EXPECT_EQ(get_json("/api/v1/pins")["pins"].size(), 2U);
  EXPECT_EQ(pin(digest_, http::Method::del).status, 200);
  EXPECT_EQ(pin(child, http::Method::del).status, 200);
  EXPECT_TRUE(get_json("/api/v1/pins")["pins"].empty());
}

// Also when nothing of it is left: else it could never be taken from the list.
TEST_F(Pins, OfWhatIsGoneSaysSoAndCanBeGivenBack) {
  const auto gone = "sha256:" + std::string(64, '7');
  commit({store::PutState{"pin/" + gone, R"({"name":"x","since":""})"}});
  const auto all = get_json("/api/v1/pins")["pins"];
  ASSERT_EQ(all.size(), 1U);
  EXPECT_EQ(all[0]["contents"], 0);
  EXPECT_EQ(all[0]["complete"], false);
  EXPECT_EQ(pin(gone, http::Method::del).status, 200);
  EXPECT_EQ(pin(gone, http::Method::del).status, 404);
}

TEST_F(Pins, MistakesAreRefused) {
  for (const char* mistake : {"?dryrun=1", "?dry_run=2", "?name=", "?name=a%20b", "?name=a%0ab"}) {
    EXPECT_EQ(pin(digest_ + mistake).status, 400) << mistake;
  }
  EXPECT_EQ(pin(digest_ + "?name=" + std::string(513, 'a')).status, 400);
  EXPECT_EQ(pin("sha256:" + std::string(64, '9') + "?dry_run=1").status, 404);
  EXPECT_TRUE(get_json("/api/v1/pins")["pins"].empty());
}

TEST_F(Pins, ThereIsALimit) {
  std::vector<store::Write> writes;
  for (int i = 0; i < 10'000; ++i) writes.emplace_back(store::PutState{"pin/" + std::to_string(i), "{}"});
  commit(std::move(writes));
  EXPECT_EQ(pin(digest_).status, 507);
  commit({store::PutState{"pin/0", ""}});
  EXPECT_EQ(pin(digest_).status, 200);
  EXPECT_EQ(pin(digest_).status, 200);  // the same once more
}

}  // namespace
}  // namespace shoal::admin
