// Manifests and tags: fresh, stale, moved, gone; one question at a time; upstream in every state.
#include <gtest/gtest.h>

#include "support/mirror_world.h"

namespace shoal::test {
namespace {

using Op = FakeUpstream::Op;
using Kind = upstream::Failure::Kind;
using Source = mirror::Provenance::Kind;
const registry::Tag kTag = "latest";

std::string image(int n) {
  return R"({"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"a","size":)" +
         std::to_string(n) + R"(,"digest":")" + base::digest_of("c" + std::to_string(n)).to_string() +
         R"("},"layers":[]})";
}

mirror::ManifestAnswer got(MirrorWorld& world, const registry::Reference& reference = kTag,
                           const mirror::Target& target = kApp) {
  auto asked = world.manifest(target, reference);
  world.run();
  if (!asked->ok()) {
    ADD_FAILURE() << (asked->refusal() ? asked->refusal()->message : "no answer");
    return {base::digest_of(""), {}, std::make_shared<const std::string>(), {}, {}};
  }
  return asked->value();
}

TEST(Manifest, ManyRequestsCostOneQuestion) {
  MirrorWorld world;
  const auto digest = world.upstream.put_manifest("library/app", kTag, image(1));
  std::vector<AskedPtr<mirror::ManifestAnswer>> asked;
  for (int i = 0; i < 10; ++i) asked.push_back(world.manifest(kApp, kTag));
  world.run();
  for (auto& a : asked) {
    ASSERT_TRUE(a->ok());
    EXPECT_EQ(a->value().digest, digest);
    EXPECT_EQ(*a->value().bytes, image(1));
  }
  EXPECT_EQ(asked[0]->value().provenance.kind, Source::miss);
  EXPECT_EQ(asked[1]->value().provenance.kind, Source::collapsed);
  EXPECT_EQ(world.count(Op::get_manifest), 1U);
  EXPECT_EQ(world.count(Op::head_manifest), 0U);
}

TEST(Manifest, FreshTagAsksNobody) {
  MirrorWorld world;
  (void)world.upstream.put_manifest("library/app", kTag, image(1));
  (void)got(world);
  world.advance(std::chrono::seconds(30));
  const auto answer = got(world);
  EXPECT_EQ(answer.provenance.kind, Source::hit);
  EXPECT_EQ(answer.provenance.age, std::chrono::seconds(30));
  const auto warm = world.mirror->try_manifest(kApp, kTag, world.registries[0]);
  ASSERT_TRUE(warm.has_value());
  EXPECT_EQ(warm->provenance.age, std::chrono::seconds(30));
  EXPECT_EQ(world.count(Op::get_manifest) + world.count(Op::head_manifest), 1U);
}

TEST(Manifest, ByDigestIsFoundRightAfterByTagBeforeTheCommit) {
  MirrorWorld world;
  world.store.hold_commits(true);
  const auto digest = world.upstream.put_manifest("library/app", kTag, image(1));
  (void)got(world);
  EXPECT_TRUE(world.mirror->try_manifest(kApp, digest, world.registries[0]).has_value());
  EXPECT_TRUE(world.mirror->try_manifest(kApp, kTag, world.registries[0]).has_value());
  EXPECT_FALSE(world.mirror->try_manifest(kOther, digest, world.registries[0]).has_value());
  world.store.release_commits();
  world.run();
  EXPECT_TRUE(world.mirror->try_manifest(kApp, digest, world.registries[0]).has_value());
  EXPECT_EQ(world.count(Op::get_manifest), 1U);
}

TEST(Manifest, LargeOneIsInMemoryOnceHoweverManyReadIt) {
  MirrorWorld world;
  std::vector<base::Digest> digests;
  for (int i = 0; i < 600; ++i) {
    const auto large = image(i) + std::string(20'000, ' ');
    digests.push_back(world.upstream.put_manifest("library/app", std::to_string(i), large));
    (void)got(world, registry::Tag(std::to_string(i)));
  }
  const auto first = got(world, digests[0]), second = got(world, digests[0]);
  EXPECT_EQ(first.bytes.get(), second.bytes.get());
  for (const auto& digest : digests) EXPECT_EQ(base::digest_of(*got(world, digest).bytes), digest);
  EXPECT_EQ(got(world, digests[0]).bytes.get(), first.bytes.get());
}

std::string large_image() {
  auto bytes = image(1);
  bytes.insert(bytes.size() - 1, std::string(upstream::kReadOnLoop, ' '));
  return bytes;
}

TEST(Manifest, LargeOneIsReadOnThePoolAndAskedForOnce) {
  MirrorWorld world;
  const auto digest = world.upstream.put_manifest("library/app", kTag, large_image());
  auto first = world.manifest(kApp, kTag);
  for (int i = 0; i < 10; ++i) {
    for (auto& loop : world.loops) loop.run_all();
  }
  EXPECT_FALSE(first->ok()) << "the loops alone do not parse it";
  auto second = world.manifest(kApp, kTag);
  world.run();
  ASSERT_TRUE(first->ok());
  ASSERT_TRUE(second->ok());
  EXPECT_EQ(first->value().digest, digest);
  EXPECT_EQ(*second->value().bytes, large_image());
  EXPECT_EQ(first->value().media_type, "application/vnd.oci.image.manifest.v1+json");
  EXPECT_EQ(world.count(Op::get_manifest), 1U) << "who comes while it is read joins";
  EXPECT_EQ(got(world).provenance.kind, Source::hit);
  const auto link = world.store.find_link("docker.io/library/app", base::digest_of("c1"));
  EXPECT_TRUE(link && link->size) << "its hints came, too";
}

TEST(Manifest, LargeOneThatIsNoneIsRefusedAndNotKept) {
  MirrorWorld world;
  (void)world.upstream.put_manifest("library/app", kTag, "{" + std::string(upstream::kReadOnLoop, ' '));
  auto asked = world.manifest(kApp, kTag);
  world.run();
  ASSERT_NE(asked->refusal(), nullptr);
  EXPECT_NE(asked->refusal()->message.find("not a manifest"), std::string::npos) << asked->refusal()->message;
  EXPECT_FALSE(world.store.find_tag("docker.io/library/app", kTag));
}

TEST(Manifest, StopWhileALargeOneIsReadAnswersOnce) {
  MirrorWorld world;
  (void)world.upstream.put_manifest("library/app", kTag, large_image());
  auto asked = world.manifest(kApp, kTag);
  for (int i = 0; i < 10; ++i) {
    for (auto& loop : world.loops) loop.run_all();
  }
  world.mirror->stop([] {});
  for (auto& loop : world.loops) loop.run_all();
  world.run();
  EXPECT_EQ(asked->answers, 1);
  EXPECT_NE(asked->refusal(), nullptr);
}

TEST(Manifest, ThousandsOfCommitsInFlightAreEachForgottenOnTheirOwn) {
  MirrorWorld world;
  (void)world.upstream.put_manifest("library/app", kTag, image(1));
  (void)got(world);
  world.store.hold_commits(true);
  std::vector<AskedPtr<mirror::ManifestAnswer>> asked;
  for (int i = 0; i < 10'000; ++i) asked.push_back(world.manifest(kApp, registry::Tag("t" + std::to_string(i))));
  world.run();
  const auto moved = world.upstream.put_manifest("library/app", kTag, image(2));
  world.advance(std::chrono::seconds(61));
  EXPECT_EQ(got(world).digest, moved);
  world.store.release_commits();
  world.run();
  EXPECT_EQ(got(world).digest, moved);
  const auto checks = world.count(Op::head_manifest);
  EXPECT_EQ(got(world).digest, moved) << "from the store now";
  EXPECT_EQ(world.count(Op::head_manifest), checks);
}

TEST(Manifest, UnchangedTagIsRevalidatedByHeadOnly) {
  MirrorWorld world;
  (void)world.upstream.put_manifest("library/app", kTag, image(1));
  (void)got(world);
  world.advance(std::chrono::seconds(61));
  EXPECT_FALSE(world.mirror->try_manifest(kApp, kTag, world.registries[0]).has_value());
  std::vector<AskedPtr<mirror::ManifestAnswer>> asked;
  for (int i = 0; i < 5; ++i) asked.push_back(world.manifest(kApp, kTag));
  world.run();
  for (auto& a : asked) {
    ASSERT_TRUE(a->ok());
    EXPECT_EQ(a->value().provenance.kind, Source::revalidated);
  }
  EXPECT_EQ(world.count(Op::head_manifest), 1U);
  EXPECT_EQ(world.count(Op::get_manifest), 1U);
  EXPECT_EQ(got(world).provenance.kind, Source::hit);  // fresh again
}

TEST(Manifest, MovedTagIsFollowed) {
  MirrorWorld world;
  (void)world.upstream.put_manifest("library/app", kTag, image(1));
  (void)got(world);
  const auto moved = world.upstream.put_manifest("library/app", kTag, image(2));
  world.advance(std::chrono::seconds(61));
  EXPECT_EQ(got(world).digest, moved);
  EXPECT_EQ(world.count(Op::head_manifest), 1U);
  EXPECT_EQ(world.count(Op::get_manifest), 2U);
}

TEST(Manifest, TagMovedToAHeldManifestNeedsNoGet) {
  MirrorWorld world;
  const auto second = world.upstream.put_manifest("library/app", "v2", image(2));
  (void)world.upstream.put_manifest("library/app", kTag, image(1));
  (void)got(world);
  (void)got(world, registry::Tag("v2"));
  (void)world.upstream.put_manifest("library/app", kTag, image(2));
  world.advance(std::chrono::seconds(61));
  EXPECT_EQ(got(world).digest, second);
  EXPECT_EQ(world.count(Op::get_manifest), 2U);
}

TEST(Manifest, HeadWithoutDigestOrRefusedFallsBackToGet) {
  for (const bool refuse : {false, true}) {
    MirrorWorld world;
    (void)world.upstream.put_manifest("library/app", kTag, image(1));
    (void)got(world);
    refuse ? world.upstream.refuse_head(true) : world.upstream.hide_digest(true);
    const auto moved = world.upstream.put_manifest("library/app", kTag, image(2));
    world.advance(std::chrono::seconds(61));
    EXPECT_EQ(got(world).digest, moved);
    EXPECT_EQ(world.count(Op::get_manifest), 2U);
  }
}

TEST(Manifest, TagThatMovesBetweenHeadAndGetIsAskedByName) {
  MirrorWorld world;
  (void)world.upstream.put_manifest("library/app", kTag, image(1));
  (void)got(world);
  (void)world.upstream.put_manifest("library/app", kTag, image(2));
  world.upstream.fail_next(Op::get_manifest, failure(Kind::not_found, 404));
  world.advance(std::chrono::seconds(61));
  EXPECT_EQ(*got(world).bytes, image(2));
  EXPECT_EQ(world.count(Op::get_manifest), 3U);
}

TEST(Manifest, TagDeletedUpstreamIsNotFoundAndItsCopyIsDropped) {
  MirrorWorld world;
  (void)world.upstream.put_manifest("library/app", kTag, image(1));
  (void)got(world);
  world.upstream.remove_manifest("library/app", kTag);
  world.advance(std::chrono::seconds(61));
  for (int i = 0; i < 2; ++i) {
    auto asked = world.manifest(kApp, kTag);
    world.run();
    ASSERT_NE(asked->refusal(), nullptr);
    EXPECT_EQ(asked->refusal()->kind, mirror::Refusal::Kind::not_found);
  }
  EXPECT_EQ(world.count(Op::head_manifest), 1U);  // then remembered
  EXPECT_FALSE(world.store.find_tag(kApp.canonical(), kTag).has_value());
}

TEST(Manifest, WrongTagIsToldWithItsUpstreamAndWhereToLook) {
  MirrorWorld world;
  for (const std::string said : {"fake: not found", "it said so less than 10 seconds ago"}) {
    auto asked = world.manifest(kApp, registry::Tag("nope"));
    world.run();
    ASSERT_NE(asked->refusal(), nullptr);
    EXPECT_TRUE(asked->refusal()->message.starts_with("docker.io has no library/app:nope (" + said))
        << asked->refusal()->message;
    EXPECT_TRUE(asked->refusal()->message.ends_with("; its tags: /v2/docker.io/library/app/tags/list of this mirror"))
        << asked->refusal()->message;
  }
}

TEST(Manifest, NotFoundIsRememberedForTheNegativeTtl) {
  MirrorWorld world;
  for (const registry::Reference& reference :
       {registry::Reference(kTag), registry::Reference(base::digest_of("nothing"))}) {
    const auto before = world.count(Op::get_manifest);
    for (int i = 0; i < 3; ++i) {
      auto asked = world.manifest(kApp, reference);
      world.run();
      ASSERT_NE(asked->refusal(), nullptr);
    }
    EXPECT_EQ(world.count(Op::get_manifest), before + 1);
  }
  const auto digest = world.upstream.put_manifest("library/app", kTag, image(1));
  world.advance(std::chrono::seconds(11));
  EXPECT_EQ(got(world).digest, digest);
}

TEST(Manifest, StaleCopyIsServedWithTheReasonWhenUpstreamFails) {
  for (const auto kind : {Kind::unavailable, Kind::timeout, Kind::denied, Kind::rate_limited, Kind::bad_answer}) {
    MirrorWorld world;
    (void)world.upstream.put_manifest("library/app", kTag, image(1));
    (void)got(world);
    world.upstream.fail_everything(failure(kind, 500));
    world.advance(std::chrono::seconds(100));
    auto asked = world.manifest(kApp, kTag);
    world.advance(std::chrono::milliseconds(3'100));
    ASSERT_TRUE(asked->ok());
    EXPECT_EQ(asked->value().provenance.kind, Source::stale);
    EXPECT_FALSE(asked->value().provenance.detail.empty());
    EXPECT_EQ(asked->value().provenance.age, std::chrono::seconds(100));
  }
}

TEST(Manifest, CopyBeyondStaleIfErrorIsNotServed) {
  MirrorWorld world;
  world.edit([](upstream::UpstreamOptions& o) { o.tags.stale_if_error = std::chrono::seconds(100); });
  (void)world.upstream.put_manifest("library/app", kTag, image(1));
  (void)got(world);
  world.upstream.fail_everything(failure(Kind::denied, 401));
  world.clock.advance(std::chrono::seconds(161));
  auto asked = world.manifest(kApp, kTag);
  world.run();
  ASSERT_NE(asked->refusal(), nullptr);
  EXPECT_EQ(asked->refusal()->kind, mirror::Refusal::Kind::unavailable);
}

TEST(Manifest, DawdlingUpstreamGetsTheStaleCopyAfterTheWaitAndAtOnceForLaterOnes) {
  MirrorWorld world;
  (void)world.upstream.put_manifest("library/app", kTag, image(1));
  (void)got(world);
  const auto moved = world.upstream.put_manifest("library/app", kTag, image(2));
  world.clock.advance(std::chrono::seconds(61));
  world.upstream.hold(true);
  auto first = world.manifest(kApp, kTag);
  world.advance(std::chrono::milliseconds(2'900));
  EXPECT_FALSE(first->outcome.has_value());
  world.advance(std::chrono::milliseconds(200));
  ASSERT_TRUE(first->ok());
  EXPECT_EQ(first->value().provenance.kind, Source::stale);
  auto second = world.manifest(kApp, kTag);
  world.run();
  ASSERT_TRUE(second->ok());
  EXPECT_EQ(second->value().provenance.kind, Source::stale);
  world.upstream.hold(false);
  world.run();
  EXPECT_EQ(got(world).digest, moved);  // the question went on
  EXPECT_EQ(world.count(Op::head_manifest), 1U);
}

TEST(Manifest, ColdTagWithASilentUpstreamIsRefusedAlsoForThoseWhoComeLater) {
  MirrorWorld world;
  world.upstream.hold(true);
  auto first = world.manifest(kApp, kTag);
  world.advance(std::chrono::milliseconds(20'100));
  ASSERT_NE(first->refusal(), nullptr);
  auto second = world.manifest(kApp, kTag);
  world.advance(std::chrono::milliseconds(19'900));
  EXPECT_FALSE(second->outcome.has_value());
  world.advance(std::chrono::milliseconds(200));
  ASSERT_NE(second->refusal(), nullptr);
  EXPECT_EQ(world.count(Op::get_manifest), 1U);
}

TEST(Manifest, StaleWhileRevalidateServesAndRefreshesBehind) {
  MirrorWorld world;
  world.edit([](upstream::UpstreamOptions& o) { o.tags.stale_while_revalidate = std::chrono::seconds(60); });
  const auto old = world.upstream.put_manifest("library/app", kTag, image(1));
  (void)got(world);
  const auto moved = world.upstream.put_manifest("library/app", kTag, image(2));
  world.clock.advance(std::chrono::seconds(61));
  const auto stale = got(world);
  EXPECT_EQ(stale.digest, old);
  EXPECT_EQ(stale.provenance.kind, Source::stale);
  EXPECT_EQ(got(world).digest, moved);
  EXPECT_EQ(world.count(Op::head_manifest), 1U);
}

TEST(Manifest, UpstreamKnownToFailGetsTheStaleCopyAtOnce) {
  MirrorWorld world;
  (void)world.upstream.put_manifest("library/app", kTag, image(1));
  (void)got(world);
  upstream::Health health;
  health.open = true;
  world.upstream.set_health(health);
  world.upstream.hold(true);
  world.clock.advance(std::chrono::seconds(61));
  EXPECT_EQ(got(world).provenance.kind, Source::stale);
  EXPECT_EQ(world.count(Op::head_manifest), 1U);  // asked behind: it may be back
}

TEST(Manifest, BurstOfErrorsIsRiddenOut) {
  MirrorWorld world;
  const auto digest = world.upstream.put_manifest("library/app", kTag, image(1));
  for (int i = 0; i < 3; ++i) world.upstream.fail_next(Op::get_manifest, failure(Kind::unavailable, 503));
  auto asked = world.manifest(kApp, kTag);
  world.advance(std::chrono::seconds(5));
  ASSERT_TRUE(asked->ok());
  EXPECT_EQ(asked->value().digest, digest);
}

TEST(Manifest, ChildrenGiveTheSizesOfBlobsButNoRight) {
  MirrorWorld world;
  (void)world.upstream.put_manifest("library/app", kTag, image(7));
  (void)got(world);
  world.run();
  const auto link = world.store.find_link(kApp.canonical(), base::digest_of("c7"));
  ASSERT_TRUE(link.has_value());
  EXPECT_EQ(link->size, 7U);
  EXPECT_FALSE(link->proven);
}

TEST(Manifest, DigestIsNotShownInARepositoryThatUpstreamDoesNotHaveItIn) {
  MirrorWorld world;
  const auto digest = world.upstream.put_manifest("library/app", kTag, image(1));
  (void)got(world);
  auto asked = world.manifest(kOther, digest);
  world.run();
  ASSERT_NE(asked->refusal(), nullptr);
  EXPECT_EQ(asked->refusal()->kind, mirror::Refusal::Kind::not_found);
}

TEST(Manifest, TagWhoseManifestWasRemovedIsFetchedAgain) {
  MirrorWorld world;
  const auto digest = world.upstream.put_manifest("library/app", kTag, image(1));
  (void)got(world);
  world.store.remove_manifest(digest);
  EXPECT_EQ(*got(world).bytes, image(1));
  EXPECT_EQ(world.count(Op::get_manifest), 2U);
}

TEST(Pages, PassThroughAndCollapse) {
  MirrorWorld world;
  world.upstream.put_tags("library/app",
                          {R"({"name":"library/app","tags":["a"]})", "application/json", "n=1&last=a", {}});
  auto a = world.tags(kApp, "n=1");
  auto b = world.tags(kApp, "n=1");
  auto c = world.tags(kApp, "n=2");
  world.run();
  ASSERT_TRUE(a->ok() && b->ok() && c->ok());
  EXPECT_EQ(a->value().next, "n=1&last=a");
  EXPECT_EQ(b->value().provenance.kind, Source::collapsed);
  EXPECT_EQ(world.count(Op::list_tags), 2U);
}

TEST(Pages, HeldTagsAreToldPageByPageWhenUpstreamFails) {
  MirrorWorld world;
  for (const char* tag : {"a", "b", "c"}) {
    (void)world.upstream.put_manifest("library/app", tag, image(1));
    (void)got(world, registry::Tag(tag));
  }
  world.upstream.fail_everything(failure(Kind::denied, 401));
  auto first = world.tags(kApp, "n=2");
  world.run();
  ASSERT_TRUE(first->ok());
  EXPECT_EQ(first->value().body, R"({"name":"library/app","tags":["a","b"]})");
  EXPECT_EQ(first->value().next, "n=2&last=b");
  EXPECT_EQ(first->value().provenance.kind, Source::stale);
  auto second = world.tags(kApp, first->value().next);
  world.run();
  ASSERT_TRUE(second->ok());
  EXPECT_EQ(second->value().body, R"({"name":"library/app","tags":["c"]})");
  EXPECT_EQ(second->value().next, "");
}

TEST(Pages, HeldTagsThatCannotBeReadAreNoShortList) {
  MirrorWorld world;
  (void)world.upstream.put_manifest("library/app", "a", image(1));
  (void)got(world, registry::Tag("a"));
  world.upstream.fail_everything(failure(Kind::denied, 401));
  std::size_t reads = 0;
  for (;; ++reads) {
    world.store.fail_reads_after(reads);
    const auto failed = world.store.failed_reads();
    auto asked = world.tags(kApp, "");
    world.run();
    if (world.store.failed_reads() == failed) {
      EXPECT_TRUE(asked->ok());
      break;
    }
    EXPECT_NE(asked->refusal(), nullptr) << reads;
  }
  EXPECT_GE(reads, 2U) << "whether there are any, and which";
}

TEST(Pages, SilentUpstreamGetsHeldTagsSoonAndARefusalWithoutAny) {
  MirrorWorld world;
  (void)world.upstream.put_manifest("library/app", "a", image(1));
  (void)got(world, registry::Tag("a"));
  world.upstream.hold(true);
  auto held = world.tags(kApp);
  auto none = world.tags(kOther);
  auto none_behind = world.tags(kOther, "last=a");
  world.advance(std::chrono::milliseconds(3'100));
  ASSERT_TRUE(held->ok());
  EXPECT_FALSE(none->outcome.has_value());
  world.advance(std::chrono::seconds(17));
  ASSERT_NE(none->refusal(), nullptr);
  ASSERT_NE(none_behind->refusal(), nullptr) << "not an empty list";
}

TEST(Pages, ReferrersPassThroughAndFailAsTheyAre) {
  MirrorWorld world;
  const auto subject = base::digest_of("subject");
  world.upstream.put_referrers("library/app", subject, {"{}", "application/vnd.oci.image.index.v1+json", "", {}});
  auto asked = world.referrers(kApp, subject);
  world.run();
  ASSERT_TRUE(asked->ok());
  EXPECT_EQ(asked->value().body, "{}");
  world.upstream.fail_always(Op::referrers, failure(Kind::denied, 401));
  auto failed = world.referrers(kApp, subject);
  world.run();
  ASSERT_NE(failed->refusal(), nullptr);
  EXPECT_EQ(failed->refusal()->kind, mirror::Refusal::Kind::unavailable);
}

}  // namespace
}  // namespace shoal::test
