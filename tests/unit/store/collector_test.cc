// Garbage collection of hosted repositories: what goes, what stays, and that pushes beside it lose nothing.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <thread>

#include "open_store.h"
#include "support/hosted_rig.h"

namespace shoal::store {
namespace {

using base::ErrorKind;
const std::string kApp = "team/app", kOther = "team/other";

class Collecting : public ::testing::Test {
 protected:
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
  base::Digest index(const std::string& repository, const std::vector<base::Digest>& manifests,
                     std::vector<std::string> tags = {}) {
    const auto json = test::index_of(manifests);
    EXPECT_TRUE(rig.push_manifest(repository, json, manifests, std::move(tags)).ok());
    return base::digest_of(json);
  }
  void expect_same(const GcReport& a, const GcReport& b) {
    EXPECT_EQ(a.repositories, b.repositories);
    EXPECT_EQ(a.manifests_removed, b.manifests_removed);
    EXPECT_EQ(a.links_removed, b.links_removed);
    EXPECT_EQ(a.blobs_removed, b.blobs_removed);
    EXPECT_EQ(a.bytes_freed, b.bytes_freed);
    EXPECT_EQ(a.uploads_removed, b.uploads_removed);
  }
  test::HostedRig rig;
};

TEST_F(Collecting, UntaggedManifestsStayUnlessAskedFor) {
  rig.start();
  const auto layer = blob(kApp, "layer"), other = blob(kApp, "other layer");
  const auto untagged = image(kApp, {layer}), tagged = image(kApp, {other}, {"v1"});
  auto report = rig.collect_now();
  ASSERT_TRUE(report.ok());
  EXPECT_EQ(report->manifests_removed, 0U);
  EXPECT_TRUE(rig.shows(kApp, untagged));
  const auto dry = rig.collect_now(/*untagged=*/true, /*dry_run=*/true);
  EXPECT_TRUE(rig.shows(kApp, untagged));
  report = rig.collect_now(/*untagged=*/true);
  ASSERT_TRUE(report.ok());
  expect_same(*dry, *report);
  auto told = rig.events.take_texts();  // not by the dry run
  std::sort(told.begin(), told.end());
  EXPECT_EQ(told, (std::vector<std::string>{"delete blob team/app (gc)", "delete manifest team/app (gc)"}));
  EXPECT_EQ(report->manifests_removed, 1U);
  EXPECT_EQ(report->links_removed, 1U);
  EXPECT_FALSE(rig.shows(kApp, untagged));
  EXPECT_FALSE(rig.shows(kApp, layer));
  EXPECT_FALSE(rig.store->find_manifest(untagged));
  EXPECT_TRUE(rig.shows(kApp, tagged));
  EXPECT_TRUE(rig.shows(kApp, other));
}

TEST_F(Collecting, WhatATagLeadsToThroughIndexesAndReferrersStays) {
  rig.start();
  const auto layer = blob(kApp, "layer"), signature = blob(kApp, "signature"), report_of = blob(kApp, "report");
  const auto child = image(kApp, {layer});
  const auto inner = index(kApp, {child});
  const auto outer = index(kApp, {inner}, {"v1"});
  const auto signed_by = image(kApp, {signature}, {}, child);
  const auto scanned_by = image(kApp, {report_of}, {}, signed_by);
  const auto gone = base::digest_of("a subject that is not there");
  const auto lost = image(kApp, {blob(kApp, "of a lost one")}, {}, gone);
  const auto report = rig.collect_now(/*untagged=*/true);
  ASSERT_TRUE(report.ok());
  for (const auto& digest : {layer, signature, report_of, child, inner, outer, signed_by, scanned_by}) {
    EXPECT_TRUE(rig.shows(kApp, digest)) << digest.to_string();
  }
  EXPECT_FALSE(rig.shows(kApp, lost));
  EXPECT_TRUE(rig.hosted().list_referrers(kApp, gone, {}, 1000).empty());
  EXPECT_EQ(rig.hosted().list_referrers(kApp, child, {}, 1000).size(), 1U);
}

TEST_F(Collecting, ManifestThatRetentionReleasedGoesWithWhatOnlyItLeadsTo) {
  rig.start();
  const auto layer = blob(kApp, "layer"), signature = blob(kApp, "signature"), shared = blob(kApp, "shared");
  const auto child = image(kApp, {layer}), second = image(kApp, {shared});
  const auto old = index(kApp, {child, second}, {"old"});
  const auto kept = index(kApp, {second}, {"new"});
  const auto signed_by = image(kApp, {signature}, {}, child);
  const auto by_digest = image(kApp, {blob(kApp, "used by digest")});  // untagged, and nobody let it go
  const auto release = [&](const std::string& tag, const base::Digest& digest) {
    return rig.wait<void>([&](auto done) { rig.hosted().release_tag(kApp, tag, digest, rig.loop, std::move(done)); });
  };
  ASSERT_TRUE(release("old", old).ok());
  ASSERT_TRUE(rig.collect({.grace = std::chrono::hours(1)}).ok());
  EXPECT_TRUE(rig.shows(kApp, old)) << "young";
  const auto dry = rig.collect_now(false, /*dry_run=*/true);
  const auto report = rig.collect_now();
  ASSERT_TRUE(report.ok());
  expect_same(*dry, *report);
  EXPECT_EQ(report->manifests_removed, 3U);
  EXPECT_EQ(report->links_removed, 2U);
  for (const auto& digest : {old, child, layer, signed_by, signature}) EXPECT_FALSE(rig.shows(kApp, digest));
  for (const auto& digest : {kept, second, shared, by_digest}) EXPECT_TRUE(rig.shows(kApp, digest));
}

TEST_F(Collecting, ReleasedManifestStaysWhileSomethingNeedsIt) {
  rig.start();
  const auto release = [&](const std::string& tag, const base::Digest& digest) {
    return rig.wait<void>([&](auto done) { rig.hosted().release_tag(kApp, tag, digest, rig.loop, std::move(done)); });
  };
  const auto fixed = image(kApp, {blob(kApp, "a")}, {"old", "v1"});  // another tag stays
  const auto again = image(kApp, {blob(kApp, "b")}, {"again"});
  const auto pinned = image(kApp, {blob(kApp, "c")}, {"pinned"});
  const auto moved = image(kApp, {blob(kApp, "d")}, {"moved"});
  ASSERT_TRUE(rig.commit({PinBlob{pinned, true}}).ok());
  for (const auto& [tag, digest] : {std::pair{"old", fixed}, {"again", again}, {"pinned", pinned}}) {
    ASSERT_TRUE(release(tag, digest).ok());
  }
  ASSERT_TRUE(release("moved", fixed).ok());  // leads elsewhere meanwhile: nothing happens
  EXPECT_TRUE(rig.store->find_tag(kApp, "moved"));
  ASSERT_TRUE(rig.push_manifest(kApp, test::image_of({base::digest_of("b")}), {}, {}).ok());  // pushed again, by digest
  EXPECT_EQ(rig.collect_now()->manifests_removed, 0U);
  for (const auto& digest : {fixed, again, pinned, moved}) EXPECT_TRUE(rig.shows(kApp, digest));
  ASSERT_TRUE(rig.remove_tag(kApp, "v1").ok());  // by hand: but retention let it go before
  EXPECT_EQ(rig.collect_now()->manifests_removed, 1U);
  EXPECT_FALSE(rig.shows(kApp, fixed));
}

TEST_F(Collecting, SubjectWithVeryManyReferrersIsLookedIntoInPieces) {
  rig.start();
  constexpr std::size_t kMany = 3000;  // beyond what one transaction looks at
  const auto subject = image(kApp, {blob(kApp, "layer")}, {"v1"});
  std::vector<base::Digest> referrers;
  for (std::size_t i = 0; i < kMany; ++i) {
    const auto json = test::image_of({base::digest_of("layer")}, subject, std::to_string(i));
    ManifestPush push{kApp,
                      base::digest_of(json),
                      "application/vnd.oci.image.manifest.v1+json",
                      test::shared(json),
                      {},
                      {},
                      subject,
                      "{}",
                      {}};
    referrers.push_back(push.digest);
    rig.hosted().put_manifest(std::move(push), rig.loop, nullptr);
  }
  const auto report = rig.collect_now(/*untagged=*/true);  // waits for the writes before it
  ASSERT_TRUE(report.ok());
  EXPECT_EQ(report->manifests_removed, 0U);
  for (const auto& digest : referrers) ASSERT_TRUE(rig.shows(kApp, digest));
}

TEST_F(Collecting, GraceKeepsYoungLinksAndWhatYoungManifestsName) {
  rig.start();
  const auto old_layer = blob(kApp, "old layer"), old_garbage = blob(kApp, "old garbage");
  rig.clock.advance(std::chrono::hours(30));
  const auto young = blob(kApp, "young");
  const auto untagged = image(kApp, {old_layer});
  const auto report = rig.collect({.untagged = true});
  ASSERT_TRUE(report.ok());
  EXPECT_EQ(report->links_removed, 1U);
  EXPECT_FALSE(rig.shows(kApp, old_garbage));
  for (const auto& digest : {old_layer, young, untagged}) EXPECT_TRUE(rig.shows(kApp, digest));
}

TEST_F(Collecting, LinkThatAPusherWasToldOfBeginsItsGraceAnew) {
  rig.start();
  const auto told = blob(kApp, "told"), forgotten = blob(kApp, "forgotten");
  rig.clock.advance(std::chrono::hours(30));
  rig.hosted().touch_link(kApp, told);
  rig.hosted().touch_link(kApp, base::digest_of("nothing"));
  rig.hosted().touch_link("", told);
  ASSERT_TRUE(rig.collect({}).ok());
  EXPECT_TRUE(rig.shows(kApp, told));
  EXPECT_EQ(rig.store->find_link(kApp, told)->size, 4U);
  EXPECT_FALSE(rig.shows(kApp, forgotten));
  rig.clock.advance(std::chrono::hours(30));
  ASSERT_TRUE(rig.collect({}).ok());
  EXPECT_FALSE(rig.shows(kApp, told));
}

TEST_F(Collecting, SharedBlobGoesWithItsLastLinkAndADryRunCountsItOnce) {
  rig.start();
  const auto shared = blob(kApp, "shared"), kept = blob(kApp, "kept");
  ASSERT_TRUE(rig.mount(kOther, shared, kApp).ok());
  ASSERT_TRUE(rig.mount("team/third", shared, kApp).ok());
  ASSERT_TRUE(rig.mount(kOther, kept, kApp).ok());
  (void)image(kOther, {kept});
  const auto dry = rig.collect_now(false, /*dry_run=*/true);
  const auto report = rig.collect_now();
  ASSERT_TRUE(report.ok());
  expect_same(*dry, *report);
  EXPECT_EQ(report->repositories, 3U);
  EXPECT_EQ(report->links_removed, 4U);
  EXPECT_EQ(report->blobs_removed, 1U);
  EXPECT_EQ(report->bytes_freed, 6U);
  EXPECT_TRUE(rig.store->open_blob(kept).ok());
}

TEST_F(Collecting, BlobThatWasInUseWhenItsLastLinkWentGoesWithTheNextRound) {
  rig.start();
  const auto digest = blob(kApp, "in use");
  {
    const auto reader = rig.store->open_blob(digest);
    ASSERT_TRUE(reader.ok());
    ASSERT_TRUE(rig.remove_content(kApp, digest).ok());
    EXPECT_EQ(rig.collect_now()->blobs_removed, 0U);
    EXPECT_TRUE(rig.store->find_blob(digest));
  }
  const auto dry = rig.collect_now(false, /*dry_run=*/true);
  const auto report = rig.collect_now();
  ASSERT_TRUE(report.ok());
  expect_same(*dry, *report);
  EXPECT_EQ(report->blobs_removed, 1U);
  EXPECT_EQ(report->bytes_freed, 6U);
  rig.loop.run_all();
  EXPECT_FALSE(rig.store->open_blob(digest).ok());
}

TEST_F(Collecting, PinnedContentStays) {
  rig.start();
  const auto layer = blob(kApp, "layer"), pinned_blob = blob(kApp, "pinned");
  const auto pinned = image(kApp, {layer});
  ASSERT_TRUE(rig.commit({PinBlob{pinned, true}, PinBlob{pinned_blob, true}}).ok());
  const auto report = rig.collect_now(/*untagged=*/true);
  ASSERT_TRUE(report.ok());
  EXPECT_TRUE(rig.shows(kApp, pinned));
  EXPECT_TRUE(rig.shows(kApp, layer));
  EXPECT_TRUE(rig.store->open_blob(pinned_blob).ok());
  EXPECT_EQ(report->blobs_removed, 0U);
}

TEST_F(Collecting, AbandonedUploadsGoToo) {
  rig.start();
  auto upload = rig.begin_upload(kApp);
  ASSERT_TRUE(rig.add(*upload, "12345").ok());
  const auto id = upload->id();
  upload.reset();
  rig.clock.advance(std::chrono::hours(25));
  // Collecting does not drive the hourly sweep; so it is the one that finds it.
  const auto dry = rig.collect({.dry_run = true});
  ASSERT_TRUE(dry.ok());
  EXPECT_EQ(dry->uploads_removed, 1U);
  EXPECT_EQ(dry->bytes_freed, 5U);
  EXPECT_NE(rig.resume_upload(kApp, id), nullptr);  // which is a sign of life
  EXPECT_EQ(rig.collect({})->uploads_removed, 0U);
  rig.clock.advance(std::chrono::hours(25));
  const auto report = rig.collect({});
  ASSERT_TRUE(report.ok());
  EXPECT_EQ(report->uploads_removed, 1U);
  EXPECT_EQ(report->bytes_freed, 5U);
  rig.loop.run_all();
  EXPECT_EQ(rig.resume_upload(kApp, id), nullptr);
}

TEST_F(Collecting, OneAtATime) {
  rig.start();
  (void)blob(kApp, "x");
  int done = 0, busy = 0;
  for (int i = 0; i < 2; ++i) {
    rig.hosted().collect_garbage({}, rig.loop, [&](base::Result<GcReport> report) {
      ++done;
      busy += !report.ok() && report.error().kind() == ErrorKind::busy ? 1 : 0;
    });
  }
  ASSERT_TRUE(rig.loop.run_until([&] { return done == 2; }));
  EXPECT_EQ(busy, 1);
  EXPECT_TRUE(rig.collect({}).ok());
}

TEST_F(Collecting, MirroredRepositoriesAreLeftAlone) {
  rig.start();
  ASSERT_TRUE(rig.StoreRig::put("mirrored").ok());
  const auto report = rig.collect_now(/*untagged=*/true);
  ASSERT_TRUE(report.ok());
  EXPECT_EQ(report->repositories, 0U);
  EXPECT_TRUE(rig.store->open_blob(base::digest_of("mirrored")).ok());
}

TEST_F(Collecting, ManyLinksGoInManySmallSteps) {
  rig.options.index_size = 256ULL << 20;
  rig.start();
  constexpr unsigned kBlobs = 3000;
  std::vector<std::unique_ptr<Upload>> uploads;
  unsigned done = 0;
  for (unsigned i = 0; i < kBlobs; ++i) {
    uploads.push_back(rig.begin_upload(kApp));
    const auto bytes = std::to_string(i);
    uploads.back()->append(test::shared(bytes), [](base::Result<std::uint64_t>) {});
    uploads.back()->finish(base::digest_of(bytes), [&done](base::Result<void> r) { done += r.ok() ? 1U : 0U; });
  }
  ASSERT_TRUE(rig.loop.run_until([&] { return done == kBlobs; }));
  const auto kept = base::digest_of("7");
  (void)image(kApp, {kept});
  const auto report = rig.collect_now();
  ASSERT_TRUE(report.ok()) << report.error().message();
  EXPECT_EQ(report->links_removed, kBlobs - 1);
  EXPECT_EQ(report->blobs_removed, kBlobs - 1);
  EXPECT_TRUE(rig.shows(kApp, kept));
  EXPECT_EQ(rig.store->usage().blobs, 1U);
}

// --- pushes, deletes, mounts and collections from several threads ---

// A pusher of one thread: waits for each answer. Knows what it was told.
class Pusher {
 public:
  Pusher(Store& store, unsigned seed) : store_(store), random_(seed), seed_(seed) {}
  void run(int rounds) {
    for (int i = 0; i < rounds; ++i) round();
  }
  struct Told {
    std::string repository;
    std::vector<base::Digest> needed;
  };
  std::map<std::pair<std::string, base::Digest>, Told> acknowledged;  // and not removed
  int refused = 0, failed = 0;

 private:
  template <class T, class F>
  base::Result<T> wait(F start) {
    std::optional<base::Result<T>> answer;
    start([&answer](base::Result<T> result) { answer.emplace(std::move(result)); });
    if (!loop_.run_until([&answer] { return answer.has_value(); })) {
      return base::Error(ErrorKind::timeout, "no answer");
    }
    return std::move(*answer);
  }
  Hosted& hosted() { return store_.hosted(); }
  std::string repository() { return "team/r" + std::to_string(random_() % 3); }
  // Few different ones, so that pushers meet.
  std::string content() { return "blob " + std::to_string(random_() % 12); }

  bool have_blob(const std::string& repo, const std::string& bytes) {
    const auto digest = base::digest_of(bytes);
    const auto link = store_.find_link(repo, digest);
    if (random_() % 2 == 0 && link && link->hosted) return true;  // as a client that was told it exists
    if (random_() % 2 == 0) {
      return wait<void>([&](auto done) { hosted().mount(repo, digest, "", loop_, std::move(done)); }).ok() ||
             push_blob(repo, bytes);
    }
    return push_blob(repo, bytes);
  }
  bool push_blob(const std::string& repo, const std::string& bytes) {
    auto upload = hosted().begin_upload(repo, loop_);
    if (!upload.ok()) return false;
    (void)wait<std::uint64_t>([&](auto done) { (*upload)->append(test::shared(bytes), std::move(done)); });
    const auto pushed = wait<void>([&](auto done) { (*upload)->finish(base::digest_of(bytes), std::move(done)); });
    if (!pushed.ok()) ++failed;
    return pushed.ok();
  }
  void put(const std::string& repo, const std::string& json, std::vector<base::Digest> needed, std::string tag) {
    const auto digest = base::digest_of(json);
    ManifestPush push{repo, digest, "application/vnd.oci.image.manifest.v1+json", test::shared(json), {}, needed, {},
                      "",   {}};
    if (!tag.empty()) push.tags.push_back(tag);
    const auto result = wait<void>([&](auto done) { hosted().put_manifest(std::move(push), loop_, std::move(done)); });
    if (result.ok()) {
      acknowledged[{repo, digest}] = {repo, std::move(needed)};
    } else {
      EXPECT_EQ(result.error().kind(), ErrorKind::not_found) << result.error().message();
      ++refused;
    }
  }
  void round() {
    const auto repo = repository();
    const auto tag = "t" + std::to_string(seed_) + "-" + std::to_string(random_() % 4);
    if (random_() % 5 == 0 && !acknowledged.empty()) {
      auto it = acknowledged.begin();
      std::advance(it, static_cast<long>(random_() % acknowledged.size()));
      const auto [in, digest] = it->first;
      acknowledged.erase(it);
      const auto removed = wait<void>([&, where = in, what = digest](auto done) {
        hosted().remove_content(where, what, {}, loop_, std::move(done));
      });
      if (!removed.ok()) {
        EXPECT_NE(removed.error().kind(), ErrorKind::gone);
      }
      return;
    }
    if (random_() % 8 == 0) {  // refused while a manifest needs it
      const auto removed = wait<void>([&, what = base::digest_of(content())](auto done) {
        hosted().remove_content(repo, what, {}, loop_, std::move(done));
      });
      if (!removed.ok() && removed.error().kind() != ErrorKind::busy) {
        EXPECT_EQ(removed.error().kind(), ErrorKind::not_found);
      }
      return;
    }
    std::vector<base::Digest> needed;
    for (int i = 0; i < 3; ++i) {
      const auto bytes = content();
      if (have_blob(repo, bytes)) needed.push_back(base::digest_of(bytes));
    }
    if (needed.empty()) return;
    // Its own note: no other pusher removes it.
    put(repo, test::image_of(needed, {}, std::to_string(seed_) + "." + std::to_string(++count_)), needed, tag);
  }

  Store& store_;
  test::QueueLoop loop_;
  std::mt19937 random_;
  const unsigned seed_;
  int count_ = 0;
};

class CollectingBesidePushes : public ::testing::TestWithParam<unsigned> {};

TEST_P(CollectingBesidePushes, LosesNothingThatWasAcknowledged) {
  const bool untagged = GetParam() % 2 == 1;
  SCOPED_TRACE("seed " + std::to_string(GetParam()));
  test::TempDir dir;
  base::SystemClock clock;
  test::TestPool pool(3);
  StoreOptions options;
  options.path = dir.file("store");
  options.min_free = 0;
  options.index_size = 64ULL << 20;
  auto opened = Store::open(options, pool, clock);
  ASSERT_TRUE(opened.ok());
  auto store = std::move(opened).value();

  std::vector<std::unique_ptr<Pusher>> pushers;
  for (unsigned i = 0; i < 4; ++i) pushers.push_back(std::make_unique<Pusher>(*store, GetParam() * 10 + i));
  std::atomic<unsigned> running{4};
  std::vector<std::thread> threads;
  for (auto& pusher : pushers) {
    threads.emplace_back([&, p = pusher.get()] {
      p->run(150);
      --running;
    });
  }
  test::QueueLoop loop;
  std::uint64_t rounds = 0, removed = 0;
  while (running > 0) {
    std::optional<base::Result<GcReport>> report;
    store->hosted().collect_garbage({false, untagged, std::chrono::seconds(0)}, loop,
                                    [&report](base::Result<GcReport> r) { report.emplace(std::move(r)); });
    ASSERT_TRUE(loop.run_until([&report] { return report.has_value(); }));
    ASSERT_TRUE(report->ok()) << report->error().message();
    ++rounds;
    removed += (*report)->links_removed + (*report)->manifests_removed;
  }
  for (auto& thread : threads) thread.join();
  EXPECT_GT(rounds, 2U);
  EXPECT_GT(removed, 0U);

  std::size_t manifests = 0;
  for (const auto& pusher : pushers) {
    EXPECT_EQ(pusher->failed, 0);
    for (const auto& [key, told] : pusher->acknowledged) {
      const auto& [repository, digest] = key;
      const auto link = store->find_link(repository, digest);
      if (untagged && !link) continue;  // its tag moved on, and it was collected
      ++manifests;
      ASSERT_TRUE(link && link->hosted) << digest.to_string();
      ASSERT_TRUE(store->find_manifest(digest));
      for (const auto& needed : told.needed) {
        const auto held = store->find_link(repository, needed);
        ASSERT_TRUE(held && held->hosted) << repository << " lost " << needed.to_string();
        const auto open = store->open_blob(needed);
        ASSERT_TRUE(open.ok()) << open.error().message();
        EXPECT_EQ(base::digest_of(test::read_all(*open)), needed);
      }
    }
  }
  EXPECT_GT(manifests, 0U);
  // What a tag leads to is there in any case.
  for (const auto& repository : store->hosted().list_hosted("", 100)) {
    for (const auto& [tag, record] : store->list_tags(repository, "", 1000)) {
      EXPECT_TRUE(store->find_link(repository, record.digest)) << repository << ":" << tag;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, CollectingBesidePushes, ::testing::Range(0U, 6U));

}  // namespace
}  // namespace shoal::store
