// Dry runs of the garbage collector: they say what the one in earnest does, also of what is only taken for done; and
// what goes of repositories that nothing is left in.
#include <gtest/gtest.h>

#include "support/hosted_rig.h"

namespace shoal::store {
namespace {

using base::ErrorKind;
const std::string kApp = "team/app", kOther = "team/other";

class DryCollecting : public ::testing::Test {
 protected:
  void SetUp() override { rig.start(); }

  base::Digest blob(const std::string& repository, const std::string& bytes) {
    EXPECT_TRUE(rig.push_blob(repository, bytes).ok());
    return base::digest_of(bytes);
  }
  base::Digest image(const std::string& repository, const std::vector<base::Digest>& blobs,
                     std::vector<std::string> tags = {}, std::optional<base::Digest> subject = {}) {
    const auto json = test::image_of(blobs, subject);
    EXPECT_TRUE(rig.push_manifest(repository, json, blobs, std::move(tags), subject).ok());
    return base::digest_of(json);
  }
  // As they would be a second later without grace, if `gone` had gone.
  GcReport foresee(const std::string& only, Supposed gone, bool untagged = false) {
    rig.clock.advance(std::chrono::seconds(1));
    return foresee_with({.dry_run = true, .untagged = untagged, .grace = std::chrono::seconds(0), .only = only},
                        std::move(gone));
  }
  GcReport foresee_with(GcOptions options, Supposed gone) {
    options.suppose = [gone](const std::string& repository) -> base::Result<Supposed> {
      return repository == kApp ? gone : Supposed{};
    };
    const auto report = rig.collect(options);
    EXPECT_TRUE(report.ok());
    return report.ok() ? *report : GcReport{};
  }
  void release(const std::string& tag, const base::Digest& digest) {
    EXPECT_TRUE(
        rig.wait<void>([&](auto done) { rig.hosted().release_tag(kApp, tag, digest, rig.loop, std::move(done)); })
            .ok());
  }
  std::vector<std::string> hosted() { return rig.hosted().list_hosted("", 10); }

  test::HostedRig rig;
};

TEST_F(DryCollecting, TagsThatAreTakenForGoneCountAsIfRetentionHadTakenThem) {
  const auto only_old = blob(kApp, "only old"), both = blob(kApp, "both of them"), lent = blob(kApp, "lent");
  const auto old = image(kApp, {only_old, both, lent}, {"v1"});
  (void)image(kApp, {both}, {"v2"});
  ASSERT_TRUE(rig.mount(kOther, lent, kApp).ok());
  (void)image(kOther, {lent}, {"v1"});
  const auto dry = foresee("", {.tags = {{"v1", old}}});
  EXPECT_EQ(dry.manifests_removed, 1U);
  EXPECT_EQ(dry.manifests, std::vector<std::string>{kApp + "@" + old.to_string()});
  EXPECT_EQ(dry.links_removed, 2U);
  EXPECT_EQ(dry.blobs_removed, 1U);
  EXPECT_EQ(dry.bytes_freed, 8U);
  EXPECT_EQ(dry.blobs_shared, 1U);
  EXPECT_EQ(dry.bytes_shared, 4U);
  EXPECT_TRUE(rig.shows(kApp, old));
  EXPECT_TRUE(rig.store->find_tag(kApp, "v1"));
  release("v1", old);
  const auto real = rig.collect_now();
  ASSERT_TRUE(real.ok());
  EXPECT_EQ(real->manifests_removed, dry.manifests_removed);
  EXPECT_EQ(real->links_removed, dry.links_removed);
  EXPECT_EQ(real->blobs_removed, dry.blobs_removed);
  EXPECT_EQ(real->bytes_freed, dry.bytes_freed);
}

TEST_F(DryCollecting, ATagThatMovedIsNotTakenForGone) {
  const auto old = image(kApp, {blob(kApp, "old")}, {"v1"});
  const auto moved = image(kApp, {blob(kApp, "new")}, {"v1"});
  EXPECT_EQ(foresee("", {.tags = {{"v1", old}}}).manifests_removed, 1U);  // old: released, and untagged it is
  EXPECT_EQ(foresee("", {.tags = {{"v1", moved}}}).manifests_removed, 1U);
  EXPECT_EQ(foresee("", {}).manifests_removed, 0U);
}

TEST_F(DryCollecting, BlobsOfTwoImagesThatGoTogetherCountOnce) {
  const auto shared = blob(kApp, "shared");
  const auto one = image(kApp, {shared, blob(kApp, "1")}, {"v1"}), two = image(kApp, {shared, blob(kApp, "2")}, {"v2"});
  const auto dry = foresee("", {.tags = {{"v1", one}, {"v2", two}}});
  EXPECT_EQ(dry.manifests_removed, 2U);
  EXPECT_EQ(dry.blobs_removed, 3U);
  EXPECT_EQ(dry.bytes_freed, 8U);
  EXPECT_EQ(foresee("", {.tags = {{"v1", one}}}).bytes_freed, 1U);
  EXPECT_EQ(dry.repositories_removed, 1U);
}

TEST_F(DryCollecting, OfOneRepositoryOnlyWhatTheSupposedLedToCounts) {
  const auto old = image(kApp, {blob(kApp, "old")}, {"v1"});
  (void)image(kApp, {blob(kApp, "untagged before")});
  (void)blob(kApp, "garbage before");
  (void)blob(kOther, "garbage elsewhere");
  const auto dry = foresee(kApp, {.tags = {{"v1", old}}}, /*untagged=*/true);
  EXPECT_EQ(dry.repositories, 1U);
  EXPECT_EQ(dry.manifests_removed, 1U);
  EXPECT_EQ(dry.blobs_removed, 1U);
  EXPECT_EQ(dry.bytes_freed, 3U);
  EXPECT_EQ(foresee(kApp, {.tags = {{"v1", old}}}).manifests_removed, 1U);  // as released
  EXPECT_EQ(foresee(kApp, {}).bytes_freed, 0U);
  EXPECT_EQ(foresee("no/such", {}).repositories, 0U);
}

TEST_F(DryCollecting, RemovedManifestsFreeTheirBlobsButNotWhatAReferrerNeeds) {
  const auto layer = blob(kApp, "layer"), signature = blob(kApp, "signature"), both = blob(kApp, "both");
  const auto app = image(kApp, {layer, both}, {"v1"});
  const auto signed_by = image(kApp, {signature, both}, {}, app);
  const auto dry = foresee(kApp, {.tags = {{"v1", app}}, .manifests = {app}});
  EXPECT_EQ(dry.manifests_removed, 0U);  // it is gone already
  EXPECT_EQ(dry.bytes_freed, 5U);
  EXPECT_EQ(dry.repositories_removed, 0U);
  EXPECT_EQ(foresee(kApp, {.tags = {{"v1", app}}, .manifests = {app}}, /*untagged=*/true).manifests_removed, 1U);
  ASSERT_TRUE(rig.remove_content(kApp, app).ok());
  EXPECT_EQ(rig.collect_now()->bytes_freed, 5U);
  EXPECT_TRUE(rig.shows(kApp, signed_by));
  EXPECT_TRUE(rig.shows(kApp, both));
}

TEST_F(DryCollecting, GraceKeepsBlobsButNotManifestsThatAreGone) {
  const auto app = image(kApp, {blob(kApp, "layer")}, {"v1"});
  const Supposed gone{.tags = {{"v1", app}}, .manifests = {app}};
  const auto young = foresee_with({.dry_run = true, .grace = std::chrono::hours(1), .only = kApp}, gone);
  EXPECT_EQ(young.bytes_freed, 0U);
  rig.clock.advance(std::chrono::hours(2));
  const auto later = foresee_with({.dry_run = true, .grace = std::chrono::hours(1), .only = kApp}, gone);
  EXPECT_EQ(later.bytes_freed, 5U);
  EXPECT_EQ(later.repositories_removed, 1U);
}

TEST_F(DryCollecting, PinnedBlobsStay) {
  const auto layer = blob(kApp, "layer");
  const auto app = image(kApp, {layer}, {"v1"});
  ASSERT_TRUE(rig.commit({PinBlob{layer, true}}).ok());
  const auto dry = foresee(kApp, {.tags = {{"v1", app}}});
  EXPECT_EQ(dry.bytes_freed, 0U);
  EXPECT_EQ(dry.blobs_shared, 1U);
  EXPECT_EQ(dry.bytes_shared, 5U);
}

TEST_F(DryCollecting, AnErrorOfWhoIsAskedEndsIt) {
  (void)blob(kApp, "x");
  GcOptions options{.dry_run = true};
  options.suppose = [](const std::string&) -> base::Result<Supposed> {
    return base::Error(ErrorKind::gone, "cannot tell");
  };
  EXPECT_EQ(rig.collect(options).error().message(), "cannot tell");
  EXPECT_TRUE(rig.collect({.dry_run = true}).ok());
  EXPECT_TRUE(rig.collect({}).ok());
}

TEST_F(DryCollecting, SomeRunBesideOneInEarnestAndMoreAreRefused) {
  (void)blob(kApp, "x");
  int done = 0, busy = 0;
  const auto count = [&](const base::Result<GcReport>& report) {
    ++done;
    busy += !report.ok() && report.error().kind() == ErrorKind::busy ? 1 : 0;
  };
  rig.hosted().collect_garbage({}, rig.loop, count);
  for (int i = 0; i < 5; ++i) rig.hosted().collect_garbage({.dry_run = true}, rig.loop, count);
  ASSERT_TRUE(rig.loop.run_until([&] { return done == 6; }));
  EXPECT_EQ(busy, 1);
  EXPECT_TRUE(rig.collect({.dry_run = true}).ok());
}

TEST_F(DryCollecting, ARepositoryThatNothingIsLeftInIsNoLongerListed) {
  const auto app = image(kApp, {blob(kApp, "layer")}, {"v1"});
  (void)image(kOther, {blob(kOther, "stays")}, {"v1"});
  ASSERT_TRUE(rig.remove_content(kApp, app).ok());
  EXPECT_EQ(rig.collect({.grace = std::chrono::hours(1)})->repositories_removed, 0U);  // its blob is young
  EXPECT_EQ(hosted(), (std::vector<std::string>{kApp, kOther}));
  EXPECT_EQ(foresee("", {}).repositories_removed, 1U);
  EXPECT_EQ(hosted(), (std::vector<std::string>{kApp, kOther}));
  const auto real = rig.collect_now();
  ASSERT_TRUE(real.ok());
  EXPECT_EQ(real->repositories, 2U);
  EXPECT_EQ(real->repositories_removed, 1U);
  EXPECT_EQ(hosted(), std::vector<std::string>{kOther});
  EXPECT_FALSE(rig.hosted().is_hosted(kApp));
  rig.restart();
  EXPECT_EQ(hosted(), std::vector<std::string>{kOther});
  const auto again = image(kApp, {blob(kApp, "layer")}, {"v1"});
  EXPECT_EQ(hosted(), (std::vector<std::string>{kApp, kOther}));
  EXPECT_TRUE(rig.shows(kApp, again));
  EXPECT_EQ(rig.collect_now()->repositories_removed, 0U);
}

}  // namespace
}  // namespace shoal::store
