// Referrers kept under tags: their names, lists put together, pages, filters.
#include "shoal/registry/referrers.h"

#include <gtest/gtest.h>

#include "shoal/base/format.h"

namespace shoal::registry {
namespace {

std::string descriptor(const std::string& of, const std::string& type) {
  return base::format(R"({{"artifactType":"{}","digest":"{}","size":1}})", type, base::digest_of(of).to_string());
}

TEST(ReferrerTags, AreNamedAsClientsNameThem) {
  const auto subject = base::digest_of("x");
  EXPECT_EQ(fallback_tag(subject), "sha256-" + subject.hex());
  EXPECT_EQ(cosign_tags(subject),
            (std::vector<std::string>{"sha256-" + subject.hex() + ".sig", "sha256-" + subject.hex() + ".att",
                                      "sha256-" + subject.hex() + ".sbom"}));
  const auto longer = base::digest_of("x", base::HashAlgorithm::sha512);
  EXPECT_EQ(fallback_tag(longer), "sha512-" + longer.hex().substr(0, 64));
  EXPECT_TRUE(cosign_tags(longer).empty()) << "longer than a tag may be";
}

TEST(ReferrerDescriptors, AreTakenOnceAndWithoutWhatIsNoDescriptor) {
  Descriptors all;
  const auto index = R"({"manifests":[)" + descriptor("a", "t/1") + ",7,{},{\"digest\":\"sha256:x\"}," +
                     descriptor("b", "t/2") + "," + descriptor("a", "t/other") + "]}";
  EXPECT_TRUE(add_descriptors(index, all));
  ASSERT_EQ(all.size(), 2U);
  EXPECT_EQ(all.at(base::digest_of("a")), descriptor("a", "t/1")) << "the first wins";
  for (const char* bad : {"", "[]", "{}", R"({"manifests":{}})", "<html>"})
    EXPECT_FALSE(add_descriptors(bad, all)) << bad;
  EXPECT_EQ(all.size(), 2U);
}

TEST(ReferrerPages, WalkThroughEachDescriptorOnce) {
  Descriptors all;
  for (int i = 0; i < 50; ++i) {
    const auto name = std::to_string(i);
    all.emplace(base::digest_of(name), descriptor(name, i % 2 == 0 ? "even" : "odd"));
  }
  for (const auto& type : {std::optional<std::string>(), std::optional<std::string>("odd")}) {
    Descriptors seen;
    std::optional<base::Digest> last;
    int pages = 0;
    do {
      const auto page = page_of(all, last, type, 1000);
      const auto before = seen.size();
      ASSERT_TRUE(add_descriptors(page.body, seen));
      EXPECT_GT(seen.size(), before);
      EXPECT_TRUE(!page.last || *page.last == seen.rbegin()->first);
      last = page.last;
      ++pages;
    } while (last && pages < 100);
    EXPECT_EQ(seen.size(), type ? 25U : 50U);
    EXPECT_GT(pages, 3);
  }
  EXPECT_FALSE(page_of(all, {}, {}, 1).body.empty()) << "one at least, whatever its size";
  EXPECT_TRUE(page_of(all, {}, {}, 1).last.has_value());
  EXPECT_EQ(page_of({}, {}, {}, 1000).body,
            R"({"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]})");
}

TEST(ReferrerFilter, KeepsTheTypeAndAllElse) {
  const auto index = R"({"annotations":{"k":"v"},"manifests":[)" + descriptor("a", "t/1") + "," +
                     descriptor("b", "t/2") + R"(,"x"],"schemaVersion":2})";
  EXPECT_EQ(filter_referrers(index, "t/2"),
            R"({"annotations":{"k":"v"},"manifests":[)" + descriptor("b", "t/2") + R"(],"schemaVersion":2})");
  EXPECT_EQ(filter_referrers(R"({"manifests":[]})", "t/2"), R"({"manifests":[]})");
  EXPECT_EQ(filter_referrers("<html>", "t/2"), std::nullopt);
  EXPECT_EQ(filter_referrers("{}", "t/2"), std::nullopt);
}

TEST(ReferrerQuery, SurvivesTheWayToTheClientAndBack) {
  const auto digest = base::digest_of("x");
  const std::string type = "application/vnd.x+json; a=\"b&c\"";
  const auto query = referrers_query(digest, type);
  EXPECT_EQ(wanted_artifact_type(query), type);
  EXPECT_NE(query.find("last=" + digest.to_string()), std::string::npos);
  EXPECT_EQ(wanted_artifact_type("artifactType="), std::nullopt);
  EXPECT_EQ(wanted_artifact_type("n=3"), std::nullopt);
}

}  // namespace
}  // namespace shoal::registry
