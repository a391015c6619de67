#include "holdings.h"

#include <gtest/gtest.h>

#include <set>

#include "shoal/registry/manifest.h"
#include "support/fake_loop.h"
#include "support/memory_store.h"

namespace shoal::p2p {
namespace {

class HoldingsTest : public ::testing::Test {
 protected:
  base::Digest manifest(const std::string& repository, const std::string& bytes, std::string_view type) {
    const auto digest = base::digest_of(bytes);
    store_.commit(
        {store::PutManifest{repository, digest, std::string(type), std::make_shared<const std::string>(bytes), {}}},
        disk_, {});
    disk_.run_all();
    return digest;
  }
  void tag(const std::string& repository, const std::string& tag, const base::Digest& digest) {
    store_.commit({store::PutTag{repository, tag, {digest, {}, {}}}}, disk_, {});
    disk_.run_all();
  }
  [[nodiscard]] std::set<base::Digest> all(std::size_t most) const {
    Holdings holdings;
    std::set<base::Digest> found;
    while (!holdings.done()) {
      const auto page = holdings.next(store_, most);
      EXPECT_LE(page.size(), most);
      found.insert(page.begin(), page.end());
    }
    EXPECT_TRUE(Holdings(holdings).next(store_, most).empty());
    return found;
  }
  test::FakeClock clock_;
  test::FakeExecutor disk_;
  test::MemoryStore store_{disk_, clock_};
};

TEST_F(HoldingsTest, OfNothingAreNone) { EXPECT_TRUE(all(10).empty()); }

TEST_F(HoldingsTest, AreBlobsAndManifestsWhetherATagNamesThemOrNot) {
  std::set<base::Digest> wanted;
  for (int i = 0; i < 7; ++i) {
    const auto bytes = "blob " + std::to_string(i);
    store_.put_blob(base::digest_of(bytes), bytes);
    wanted.insert(base::digest_of(bytes));
  }
  const auto tagged = manifest("docker.io/a/b", R"({"schemaVersion":2,"n":1})", registry::kOciManifest);
  tag("docker.io/a/b", "1", tagged);
  tag("docker.io/a/b", "2", tagged);
  tag("docker.io/c/d", "y", base::digest_of("a manifest that went"));
  wanted.insert(tagged);
  for (int i = 0; i < 5; ++i) {
    const auto bytes = R"({"schemaVersion":2,"by digest":)" + std::to_string(i) + "}";
    wanted.insert(manifest("docker.io/c/d", bytes, registry::kOciManifest));
  }
  for (const std::size_t most : {1, 2, 3, 100}) EXPECT_EQ(all(most), wanted) << most;
}

}  // namespace
}  // namespace shoal::p2p
