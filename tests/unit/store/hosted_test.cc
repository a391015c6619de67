// What is hosted stays: whatever evicts, trims or removes beside it.
#include <gtest/gtest.h>

#include <filesystem>

#include "format.h"
#include "lmdb_index.h"
#include "open_store.h"
#include "support/hosted_rig.h"
#include "support/test_file_ops.h"

namespace shoal::store {
namespace {

using base::ErrorKind;
const std::string kApp = "team/app", kOther = "team/other";

class HostedContent : public ::testing::Test {
 protected:
  // An image of `n` layers, all of it pushed.
  base::Digest push_image(const std::string& repository, unsigned seed, unsigned n,
                          std::vector<std::string> tags = {}) {
    std::vector<base::Digest> blobs;
    for (unsigned i = 0; i < n; ++i) {
      const auto bytes = test::some_bytes(1000, seed * 100 + i);
      EXPECT_TRUE(rig.push_blob(repository, bytes).ok());
      blobs.push_back(base::digest_of(bytes));
    }
    const auto json = test::image_of(blobs);
    EXPECT_TRUE(rig.push_manifest(repository, json, blobs, std::move(tags)).ok());
    return base::digest_of(json);
  }
  test::HostedRig rig;
};

TEST_F(HostedContent, IsNeverEvicted) {
  rig.options.max_size = 1'000'000;
  rig.start();
  std::vector<std::string> pushed;
  for (unsigned i = 0; i < 5; ++i) {
    pushed.push_back(test::some_bytes(100'000, i));
    ASSERT_TRUE(rig.push_blob(kApp, pushed.back()).ok());
  }
  for (unsigned i = 0; i < 30; ++i) {
    ASSERT_TRUE(rig.put(test::some_bytes(100'000, 1000 + i)).ok()) << i;
    rig.loop.run_all();
    rig.clock.advance(std::chrono::minutes(10));
  }
  for (const auto& bytes : pushed) EXPECT_TRUE(rig.store->open_blob(base::digest_of(bytes)).ok());
  EXPECT_GT(rig.store->usage().evicted_blobs, 20U);
  EXPECT_EQ(rig.store->admit(600'000), Admission::pass_through);  // only 500,000 can ever be free
  EXPECT_EQ(rig.store->admit(400'000), Admission::keep);
}

TEST_F(HostedContent, TagThatComesWhileItsManifestIsBeingRemovedKeepsIt) {
  rig.start();
  const auto digest = push_image(kApp, 1, 2, {"latest"});
  (void)push_image(kApp, 2, 2, {"v0"});  // so that there is more to look at than tags
  std::optional<base::Result<void>> answer;
  const Removal removal{.manifest = true, .is_fixed = [](std::string_view tag) { return tag.starts_with("v"); }};
  rig.hosted().remove_content(kApp, digest, removal, rig.loop, [&](auto result) { answer = std::move(result); });
  ASSERT_TRUE(rig.loop.run_one());  // it has looked at the tags, and found none that keeps it
  ASSERT_FALSE(answer);
  test::QueueLoop pusher;
  bool pushed = false;
  const auto manifest = rig.store->find_manifest(digest);
  rig.hosted().put_manifest({.repository = kApp,
                             .digest = digest,
                             .media_type = manifest->media_type,
                             .bytes = manifest->bytes,
                             .tags = {"v1"},
                             .needed = {},
                             .subject = {},
                             .descriptor = {},
                             .fixed_tags = {}},
                            pusher, [&](const base::Result<void>& result) { pushed = result.ok(); });
  ASSERT_TRUE(pusher.run_until([&] { return pushed; }));
  ASSERT_TRUE(rig.loop.run_until([&] { return answer.has_value(); }));
  ASSERT_FALSE(answer->ok());
  EXPECT_EQ(answer->error().kind(), ErrorKind::denied);
  EXPECT_EQ(answer->error().message(), "v1");
  EXPECT_TRUE(rig.shows(kApp, digest));
  EXPECT_TRUE(rig.store->find_tag(kApp, "latest"));
}

TEST_F(HostedContent, GoesBackToTheCacheWhenOnlyAMirroredRepositoryShowsIt) {
  rig.start();
  const auto bytes = test::some_bytes(1000, 1);
  const auto digest = base::digest_of(bytes);
  ASSERT_TRUE(rig.put(bytes).ok());
  EXPECT_FALSE(rig.store->find_blob(digest)->hosted);
  ASSERT_TRUE(rig.mount(kApp, digest, "docker.io/library/a").ok());
  ASSERT_TRUE(rig.mount(kOther, digest, kApp).ok());
  EXPECT_TRUE(rig.store->find_blob(digest)->hosted);
  EXPECT_EQ(rig.store->remove_blob(digest).error().kind(), ErrorKind::busy);
  ASSERT_TRUE(rig.remove_content(kApp, digest).ok());
  EXPECT_TRUE(rig.store->find_blob(digest)->hosted);
  ASSERT_TRUE(rig.remove_content(kOther, digest).ok());
  EXPECT_FALSE(rig.store->find_blob(digest)->hosted);
  EXPECT_TRUE(rig.store->open_blob(digest).ok());
  EXPECT_TRUE(rig.store->remove_blob(digest).ok());
}

TEST_F(HostedContent, StaysWhenItsRepositoryIsRemovedFromTheCache) {
  rig.start();
  const auto digest = push_image(kApp, 1, 2, {"v1"});
  ASSERT_TRUE(rig.commit({RemoveRepository{kApp}}).ok());
  rig.loop.run_all();
  EXPECT_TRUE(rig.shows(kApp, digest));
  EXPECT_TRUE(rig.store->find_tag(kApp, "v1"));
  EXPECT_TRUE(rig.store->find_manifest(digest));
  EXPECT_TRUE(rig.store->open_blob(base::digest_of(test::some_bytes(1000, 100))).ok());
}

TEST_F(HostedContent, SharedWithAMirroredRepositoryStaysWhenThatOneGoes) {
  rig.start();
  const auto bytes = test::some_bytes(1000, 2);
  ASSERT_TRUE(rig.put(bytes).ok());
  ASSERT_TRUE(rig.push_blob(kApp, bytes).ok());
  ASSERT_TRUE(rig.commit({RemoveRepository{"docker.io/library/a"}}).ok());
  rig.loop.run_all();
  EXPECT_TRUE(rig.store->open_blob(base::digest_of(bytes)).ok());
}

TEST_F(HostedContent, IsNotTrimmedFromAFullIndex) {
  rig.options.index_size = 2ULL << 20;
  rig.start();
  const auto digest = push_image(kApp, 3, 2, {"v1"});
  for (unsigned i = 0; i < 600; ++i) {
    const auto json =
        test::shared(test::image_of({base::digest_of("l")}, {}, test::some_bytes(1, i) + std::string(6000, 'x')));
    (void)rig.commit({PutManifest{"docker.io/library/m" + std::to_string(i), base::digest_of(*json + std::to_string(i)),
                                  "application/x", json, rig.clock.wall_now()}});
  }
  EXPECT_LT(rig.store->usage().manifests, 400U);  // it did trim
  EXPECT_TRUE(rig.store->find_manifest(digest));
  EXPECT_TRUE(rig.shows(kApp, digest));
  EXPECT_TRUE(rig.store->find_tag(kApp, "v1"));
}

TEST_F(HostedContent, OlderIndexOpensAndTakesPushes) {
  rig.start();
  ASSERT_TRUE(rig.put("cached").ok());
  rig.close();
  {
    // As the first version left it: no hosted tables to speak of, links of version 1.
    auto index = LmdbIndex::open(rig.options.path + "/index", rig.options.index_size);
    ASSERT_TRUE(index.ok());
    auto txn = (*index)->write();
    const auto key = format::link_key("docker.io/library/a", base::digest_of("cached"));
    std::string link(*txn.get(Table::links, key));
    link[0] = 1;
    txn.put(Table::links, key, link);
    ASSERT_TRUE(txn.commit().ok());
  }
  rig.start();
  EXPECT_TRUE(rig.store->find_link("docker.io/library/a", base::digest_of("cached"))->proven);
  EXPECT_FALSE(rig.store->find_link("docker.io/library/a", base::digest_of("cached"))->hosted);
  ASSERT_TRUE(rig.mount(kApp, base::digest_of("cached"), "docker.io/library/a").ok());
  EXPECT_TRUE(rig.shows(kApp, base::digest_of("cached")));
}

TEST_F(HostedContent, HundredThousandReferrersComeInPagesOfBoundedSize) {
  rig.start();
  const auto subject = push_image(kApp, 1, 1, {"v1"});
  rig.close();
  constexpr std::size_t kMany = 100'000, kPage = 64 << 10;
  const auto descriptor = format::encode_descriptor("{\"annotations\":{\"k\":\"" + std::string(100, 'v') + "\"}}");
  {
    auto index = LmdbIndex::open(rig.options.path + "/index", rig.options.index_size);
    ASSERT_TRUE(index.ok());
    auto txn = (*index)->write();
    for (std::size_t i = 0; i < kMany; ++i) {
      txn.put(Table::referrers, format::referrer_key(kApp, subject, base::digest_of(std::to_string(i))), descriptor);
    }
    ASSERT_TRUE(txn.commit().ok());
  }
  rig.start();
  std::size_t seen = 0, pages = 0;
  std::optional<base::Digest> last;
  for (;;) {
    const auto page = rig.hosted().list_referrers(kApp, subject, last, kPage);
    if (page.empty()) break;
    std::size_t bytes = 0;
    for (const auto& referrer : page) {
      EXPECT_TRUE(!last || format::digest_key(*last) < format::digest_key(referrer.digest));
      last = referrer.digest;
      bytes += referrer.descriptor.size();
    }
    ASSERT_LE(bytes, kPage);
    seen += page.size();
    ++pages;
  }
  EXPECT_EQ(seen, kMany);
  EXPECT_GT(pages, kMany * 100 / kPage);
  rig.clock.advance(std::chrono::hours(1));
  EXPECT_TRUE(rig.collect({.untagged = true, .grace = std::chrono::seconds(0)}).ok());  // walks them all, too
}

TEST_F(HostedContent, SurvivesAReopenWithItsTagsAndReferrers) {
  rig.start();
  const auto subject = push_image(kApp, 4, 1, {"v1"});
  const auto json = test::image_of({base::digest_of("l")}, subject);
  ASSERT_TRUE(rig.push_manifest(kApp, json, {}, {}, subject).ok());
  rig.restart();
  EXPECT_TRUE(rig.shows(kApp, subject));
  EXPECT_EQ(rig.store->find_tag(kApp, "v1")->digest, subject);
  ASSERT_EQ(rig.hosted().list_referrers(kApp, subject, {}, 1000).size(), 1U);
  EXPECT_EQ(rig.hosted().list_hosted("", 10), std::vector<std::string>{kApp});
  EXPECT_TRUE(rig.store->find_blob(base::digest_of(test::some_bytes(1000, 400)))->hosted);
}

TEST_F(HostedContent, RefusedPushInAGroupLeavesItsNeighboursAlone) {
  rig.start();
  int done = 0, good = 0;
  const auto missing = base::digest_of("missing");
  for (int i = 0; i < 40; ++i) {
    const auto json = test::image_of({missing}, {}, std::to_string(i));
    ManifestPush push{
        kApp, base::digest_of(json), "application/x", test::shared(json), {"t" + std::to_string(i)}, {}, {}, "", {}};
    if (i % 2 == 1) push.needed.push_back(missing);
    rig.hosted().put_manifest(std::move(push), rig.loop, [&](base::Result<void> result) {
      ++done;
      good += result.ok() ? 1 : 0;
    });
  }
  ASSERT_TRUE(rig.loop.run_until([&] { return done == 40; }));
  EXPECT_EQ(good, 20);
  EXPECT_EQ(rig.store->usage().tags, 20U);
  EXPECT_EQ(rig.store->usage().manifests, 20U);
  EXPECT_FALSE(rig.store->find_tag(kApp, "t1"));
  EXPECT_TRUE(rig.store->find_tag(kApp, "t2"));
}

TEST_F(HostedContent, PushOfWhatTheIndexCannotHoldIsRefused) {
  rig.start();
  const auto json = test::shared("{}");
  const auto push = [&](std::string repository, std::vector<std::string> tags, std::string descriptor) {
    return rig.put_manifest({std::move(repository),
                             base::digest_of("{}"),
                             "application/x",
                             json,
                             std::move(tags),
                             {},
                             {},
                             std::move(descriptor),
                             {}});
  };
  EXPECT_EQ(push(std::string(321, 'a'), {}, "").error().kind(), ErrorKind::invalid);
  EXPECT_EQ(push(kApp, {std::string(129, 'a')}, "").error().kind(), ErrorKind::invalid);
  EXPECT_EQ(push(kApp, {}, std::string((1 << 20) + 1, 'a')).error().kind(), ErrorKind::invalid);
  EXPECT_TRUE(push(std::string(320, 'a'), {std::string(128, 'a')}, "").ok());
}

TEST_F(HostedContent, ManifestPushedAgainKeepsItsOtherTagsAndReferrers) {
  rig.start();
  const auto digest = push_image(kApp, 5, 1, {"v1"});
  const auto referrer = test::image_of({base::digest_of("l")}, digest);
  ASSERT_TRUE(rig.push_manifest(kApp, referrer, {}, {}, digest).ok());
  const auto first = rig.store->find_tag(kApp, "v1")->fetched;
  rig.clock.advance(std::chrono::hours(1));
  EXPECT_EQ(push_image(kApp, 5, 1, {"v1", "v2"}), digest);
  EXPECT_EQ(rig.store->find_tag(kApp, "v1")->fetched, first);
  EXPECT_GT(rig.store->find_tag(kApp, "v1")->checked, first);
  EXPECT_TRUE(rig.store->find_tag(kApp, "v2"));
  EXPECT_EQ(rig.hosted().list_referrers(kApp, digest, {}, 1000).size(), 1U);
  EXPECT_EQ(rig.store->usage().manifests, 2U);
}

TEST_F(HostedContent, OtherRepositoryDoesNotChangeTheMediaTypeOfAManifest) {
  rig.start();
  const auto json = test::shared(test::image_of({base::digest_of("l")}));
  const auto digest = base::digest_of(*json);
  const auto push = [&](const std::string& repository, const std::string& type) {
    return rig.put_manifest({repository, digest, type, json, {}, {}, {}, "", {}}).ok();
  };
  ASSERT_TRUE(push(kApp, "application/one"));
  ASSERT_TRUE(push(kApp, "application/one-and-only"));  // its own it may
  ASSERT_TRUE(push(kApp, "application/one"));
  for (int i = 0; i < 2; ++i) ASSERT_TRUE(push(kOther, "application/two"));  // the second has a link already
  ASSERT_TRUE(rig.commit({PutManifest{"docker.io/library/a", digest, "application/three", json, {}}}).ok());
  EXPECT_EQ(rig.store->find_manifest(digest)->media_type, "application/one");
}

TEST_F(HostedContent, LostFileIsHealedByAPushAndStaysHosted) {
  rig.start();
  const auto bytes = test::some_bytes(1000, 6);
  const auto digest = base::digest_of(bytes);
  ASSERT_TRUE(rig.push_blob(kApp, bytes).ok());
  std::filesystem::remove(rig.blob_path(digest));
  EXPECT_FALSE(rig.store->open_blob(digest).ok());
  ASSERT_TRUE(rig.push_blob(kOther, bytes).ok());
  EXPECT_TRUE(rig.store->open_blob(digest).ok());
  EXPECT_TRUE(rig.store->find_blob(digest)->hosted);
  ASSERT_TRUE(rig.remove_content(kOther, digest).ok());
  EXPECT_TRUE(rig.store->find_blob(digest)->hosted);  // the first one shows it too
}

}  // namespace
}  // namespace shoal::store
