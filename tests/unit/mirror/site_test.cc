// A node among neighbours: whose turn it is to ask upstream, and what may be taken from whom.
#include <gtest/gtest.h>

#include "support/mirror_world.h"

namespace shoal::test {
namespace {

using Op = FakeUpstream::Op;
using std::chrono::milliseconds;

struct SiteWorld : MirrorWorld {
  SiteWorld() : MirrorWorld({}, Neighbours::some) {}
  std::string bytes = some_bytes(300'000);
  base::Digest digest = upstream.put_blob("library/app", bytes);
  FakeSite& near = site(digest);
};

std::string read(SiteWorld& world, const AskedBlob& asked) {
  if (!asked->ok()) return "refused: " + (asked->refusal() ? asked->refusal()->message : "no answer");
  Body body(asked->value()->read_all());
  body.follow();
  world.advance(milliseconds(100));
  return body.ended ? body.bytes : "not ended";
}

TEST(MirrorSite, TheFetcherAsksUpstreamAndRenewsItsLease) {
  SiteWorld world;
  auto asked = world.open(kApp, world.digest);
  world.advance(milliseconds(10));
  EXPECT_TRUE(read(world, asked) == world.bytes);
  EXPECT_EQ(world.count(Op::get_blob), 1U);
  EXPECT_GE(world.near.renewed, 1U);
  EXPECT_EQ(world.near.completed, 1U);
  EXPECT_TRUE(world.near.gets.empty());
}

TEST(MirrorSite, AFollowerTakesItFromTheNeighbourAndProvesItsRightItself) {
  SiteWorld world;
  world.near.advice = {FakeSite::follow('a')};
  world.near.blobs[std::string(32, 'a')] = {.bytes = world.bytes, .proven = true};
  auto asked = world.open(kApp, world.digest);
  world.advance(milliseconds(10));
  EXPECT_TRUE(read(world, asked) == world.bytes);
  EXPECT_EQ(world.count(Op::get_blob), 0U);
  EXPECT_EQ(world.count(Op::head_blob), 1U);  // the neighbour's word is not enough
  EXPECT_EQ(asked->value()->provenance().detail, "neighbour http://node-a:5000");
  EXPECT_EQ(world.near.completed, 1U);
  EXPECT_TRUE(world.store.has_blob(world.digest));
}

TEST(MirrorSite, WhatANeighbourSentIsNotShownBeforeUpstreamSaysThatTheRepositoryHasIt) {
  for (const bool has : {true, false}) {
    SiteWorld world;
    const auto& target = has ? kApp : kOther;
    world.near.advice = {FakeSite::follow('a')};
    world.near.blobs[std::string(32, 'a')] = {.bytes = world.bytes, .proven = true};
    world.upstream.hold(true);
    auto asked = world.open(target, world.digest);
    world.advance(milliseconds(500));
    EXPECT_FALSE(asked->outcome.has_value());
    EXPECT_FALSE(world.store.has_blob(world.digest));
    EXPECT_FALSE(world.mirror->is_proven(target.canonical(), world.digest));
    world.upstream.release();
    world.upstream.hold(false);
    world.advance(milliseconds(2'000));
    EXPECT_EQ(world.mirror->is_proven(target.canonical(), world.digest), has);
    EXPECT_EQ(world.store.has_blob(world.digest), has);
    if (has) {
      EXPECT_TRUE(read(world, asked) == world.bytes);
    } else {
      ASSERT_NE(asked->refusal(), nullptr);
      EXPECT_EQ(asked->refusal()->kind, mirror::Refusal::Kind::not_found);
    }
  }
}

TEST(MirrorSite, InATrustDomainTheNeighboursProofIsEnough) {
  SiteWorld world;
  for (auto& site : world.sites) site.edit_options.trust_domain = true;
  world.upstream.fail_everything(failure(upstream::Failure::Kind::unavailable));
  world.near.advice = {FakeSite::follow('a')};
  world.near.blobs[std::string(32, 'a')] = {.bytes = world.bytes, .proven = true};
  auto asked = world.open(kApp, world.digest);
  world.advance(milliseconds(10));
  EXPECT_TRUE(read(world, asked) == world.bytes);
  EXPECT_EQ(world.count(Op::head_blob) + world.count(Op::get_blob), 0U);
}

TEST(MirrorSite, ANeighbourWithoutProofDoesNotOpenARepository) {
  SiteWorld world;
  for (auto& site : world.sites) site.edit_options.trust_domain = true;
  world.near.advice = {FakeSite::follow('a')};
  world.near.blobs[std::string(32, 'a')] = {.bytes = world.bytes, .proven = false};
  auto asked = world.open(kOther, world.digest);  // upstream does not have it there
  world.advance(milliseconds(2'000));
  ASSERT_NE(asked->refusal(), nullptr);
  EXPECT_EQ(asked->refusal()->kind, mirror::Refusal::Kind::not_found);
}

TEST(MirrorSite, ARepositoryThatIsDeniedTwiceTakesNoOtherWithIt) {
  SiteWorld world;
  world.near.advice = {FakeSite::follow('a'), FakeSite::fetch()};
  world.near.blobs[std::string(32, 'a')] = {.bytes = world.bytes, .cut_after = 100'000};
  world.link(kApp, world.digest, world.bytes.size(), /*proven=*/true);
  world.upstream.hold(true);
  auto denied = world.open(kOther, world.digest);
  world.advance(milliseconds(500));
  EXPECT_EQ(world.count(Op::head_blob), 1U);  // both ask in the name of kOther
  EXPECT_EQ(world.count(Op::get_blob), 1U);
  auto allowed = world.open(kApp, world.digest);
  world.advance(milliseconds(10));
  world.near.answers_after = milliseconds(50);
  world.upstream.release();
  world.upstream.hold(false);
  world.advance(milliseconds(500));
  ASSERT_NE(denied->refusal(), nullptr);
  EXPECT_TRUE(read(world, allowed) == world.bytes);
  EXPECT_EQ(world.store.published(), 1U);
}

TEST(MirrorSite, WhatWasPushedHereIsNoProofThatUpstreamHasIt) {
  SiteWorld world;
  world.store.put_hosted_link(kOther.canonical(), world.digest, world.bytes.size());
  world.link(kApp, world.digest, world.bytes.size(), /*proven=*/true);
  world.advance(milliseconds(10));
  EXPECT_TRUE(world.mirror->is_proven(kApp.canonical(), world.digest));
  EXPECT_FALSE(world.mirror->is_proven(kOther.canonical(), world.digest));
}

TEST(MirrorSite, ANeighbourThatBreaksOffIsLeftAndTheRestComesFromTheNext) {
  SiteWorld world;
  world.near.advice = {FakeSite::follow('a'), FakeSite::follow('b')};
  world.near.blobs[std::string(32, 'a')] = {.bytes = world.bytes, .cut_after = 100'000};
  world.near.blobs[std::string(32, 'b')] = {.bytes = world.bytes};
  auto asked = world.open(kApp, world.digest);
  world.advance(milliseconds(200));
  EXPECT_TRUE(read(world, asked) == world.bytes);
  ASSERT_EQ(world.near.gets.size(), 2U);
  EXPECT_EQ(world.near.gets[1], (std::pair<std::string, std::uint64_t>(std::string(32, 'b'), 100'000)));
  ASSERT_EQ(world.near.asked.size(), 2U);
  EXPECT_EQ(world.near.asked[1], std::vector<std::string>{std::string(32, 'a')});
  EXPECT_EQ(world.count(Op::get_blob), 0U);
}

TEST(MirrorSite, WhenTheFetcherDiesItsSuccessorGoesOnFromWhatItHas) {
  SiteWorld world;
  world.near.advice = {FakeSite::follow_fetcher('a'), FakeSite::fetch()};
  world.near.blobs[std::string(32, 'a')] = {.bytes = world.bytes, .cut_after = 200'000};
  auto asked = world.open(kApp, world.digest);
  world.advance(milliseconds(200));
  EXPECT_TRUE(read(world, asked) == world.bytes);
  ASSERT_EQ(world.upstream.blob_calls(), 1U);
  EXPECT_EQ(world.upstream.blob_call(0)->offset, 200'000U);
}

TEST(MirrorSite, EveryByteIsCountedAsOfWhereItCameFrom) {
  SiteWorld world;
  world.near.advice = {FakeSite::follow_fetcher('a'), FakeSite::fetch()};
  world.near.blobs[std::string(32, 'a')] = {.bytes = world.bytes, .cut_after = 200'000};
  auto asked = world.open(kApp, world.digest);
  world.advance(milliseconds(10));
  EXPECT_TRUE(read(world, asked) == world.bytes);
  const auto origins = asked->value()->origins();
  ASSERT_NE(origins, nullptr);
  EXPECT_EQ(origins->count(), (mirror::BytesFrom{0, 100'000, 200'000, 0}));
  const auto filled = [&](const char* source) { return world.metric("shoal_fill_bytes_total", {{"source", source}}); };
  EXPECT_EQ(filled("upstream"), 100'000);
  EXPECT_EQ(filled("neighbour"), 200'000);
  EXPECT_EQ(filled("swarm") + filled("disk"), 0);
  EXPECT_NEAR(world.copies(), 1.0 / 3, 1e-9);
  auto again = world.open(kApp, world.digest);
  world.advance(milliseconds(10));
  EXPECT_EQ(again->value()->origins(), nullptr);  // all from the store
}

TEST(MirrorSite, WhatUpstreamSendsInVainCountsAmongItsCopies) {
  SiteWorld world;
  world.upstream.manual_blobs(true);
  auto asked = world.open(kApp, world.digest);
  world.advance(milliseconds(10));
  world.upstream.blob_call(0)->start(0, world.bytes.size());
  world.upstream.blob_call(0)->data(std::string(world.bytes.size(), 'x'));
  world.upstream.blob_call(0)->end();
  world.advance(milliseconds(500));
  ASSERT_EQ(world.upstream.blob_calls(), 2U);
  world.upstream.blob_call(1)->start(0, world.bytes.size());
  world.upstream.blob_call(1)->data(world.bytes);
  world.upstream.blob_call(1)->end();
  world.advance(milliseconds(500));
  EXPECT_TRUE(world.store.has_blob(world.digest));
  EXPECT_EQ(world.copies(), 2);
  EXPECT_EQ(world.metric("shoal_fill_bytes_total", {{"source", "upstream"}}), static_cast<double>(world.bytes.size()));
}

TEST(MirrorSite, ASiteThatBringsNothingIsNotWaitedForForLong) {
  SiteWorld world;
  for (auto& site : world.sites) site.edit_options.patience = milliseconds(1'000);
  world.near.advice = {FakeSite::wait(milliseconds(200))};
  auto asked = world.open(kApp, world.digest);
  world.advance(milliseconds(900));
  EXPECT_FALSE(asked->outcome.has_value());
  EXPECT_EQ(world.count(Op::get_blob), 0U);
  world.advance(milliseconds(500));
  EXPECT_TRUE(read(world, asked) == world.bytes);
  EXPECT_EQ(world.count(Op::get_blob), 1U);
  EXPECT_EQ(world.metric("shoal_site_turns_total", {{"role", "fall-back"}}), 1);
}

TEST(MirrorSite, BytesOfANeighbourThatDoNotMatchAreThrownAwayAndAnotherIsAsked) {
  SiteWorld world;
  world.near.advice = {FakeSite::follow('a'), FakeSite::follow('b')};
  world.near.blobs[std::string(32, 'a')] = {.bytes = std::string(world.bytes.size(), 'x')};
  world.near.blobs[std::string(32, 'b')] = {.bytes = world.bytes};
  auto asked = world.open(kApp, world.digest);
  world.advance(milliseconds(500));
  ASSERT_TRUE(asked->ok());
  EXPECT_TRUE(world.store.has_blob(world.digest));
  EXPECT_EQ(world.count(Op::get_blob), 0U);
  ASSERT_EQ(world.near.asked.size(), 2U);
  EXPECT_EQ(world.near.asked[1], std::vector<std::string>{std::string(32, 'a')});
  EXPECT_TRUE(world.upstream.corrupt_reports().empty());
  EXPECT_EQ(world.metric("shoal_site_corrupt_blobs_total"), 1);
}

TEST(MirrorSite, ANeighbourThatTellsAnotherSizeIsLeft) {
  SiteWorld world;
  world.link(kApp, world.digest, world.bytes.size(), /*proven=*/true);
  world.near.advice = {FakeSite::follow('a'), FakeSite::fetch()};
  world.near.blobs[std::string(32, 'a')] = {.bytes = world.bytes, .claim = 17};
  auto asked = world.open(kApp, world.digest);
  world.advance(milliseconds(200));
  EXPECT_TRUE(read(world, asked) == world.bytes);
  EXPECT_EQ(world.count(Op::get_blob), 1U);
}

TEST(MirrorSite, ALostLeaseEndsTheFetchAndTheNewFetcherIsFollowed) {
  SiteWorld world;
  world.upstream.manual_blobs(true);
  world.near.advice = {FakeSite::fetch(), FakeSite::follow_fetcher('b')};
  world.near.blobs[std::string(32, 'b')] = {.bytes = world.bytes};
  auto asked = world.open(kApp, world.digest);
  world.advance(milliseconds(10));
  auto call = world.upstream.blob_call(0);
  ASSERT_NE(call, nullptr);
  call->start(0, world.bytes.size());
  call->data(world.bytes.substr(0, 50'000));
  world.advance(milliseconds(10));
  world.near.lost();
  world.advance(milliseconds(10));
  EXPECT_TRUE(call->dropped());
  EXPECT_TRUE(read(world, asked) == world.bytes);
  EXPECT_EQ(world.near.gets, (std::vector<std::pair<std::string, std::uint64_t>>{{std::string(32, 'b'), 50'000}}));
}

TEST(MirrorSite, AFetchThatStallsIsLeftToTheNodeThatGotTheLease) {
  SiteWorld world;
  for (auto& site : world.sites) site.edit_options.recheck = milliseconds(2'000);
  world.upstream.manual_blobs(true);
  world.near.advice = {FakeSite::fetch(), FakeSite::fetch(), FakeSite::follow_fetcher('b')};
  world.near.blobs[std::string(32, 'b')] = {.bytes = world.bytes};
  auto asked = world.open(kApp, world.digest);
  world.advance(milliseconds(10));
  auto call = world.upstream.blob_call(0);
  call->start(0, world.bytes.size());
  call->data(world.bytes.substr(0, 50'000));
  world.advance(milliseconds(2'900));
  EXPECT_EQ(world.near.asked.size(), 2U);
  EXPECT_FALSE(call->dropped());  // nobody else wanted it
  world.advance(milliseconds(2'900));
  EXPECT_TRUE(call->dropped());
  EXPECT_TRUE(read(world, asked) == world.bytes);
  EXPECT_EQ(world.count(Op::get_blob), 1U);
}

TEST(MirrorSite, TheWatchOverALostLeaseDoesNotAskInBetween) {
  SiteWorld world;
  for (auto& site : world.sites) site.edit_options.recheck = milliseconds(2'000);
  world.upstream.manual_blobs(true);
  auto asked = world.open(kApp, world.digest);
  world.advance(milliseconds(10));
  auto call = world.upstream.blob_call(0);
  call->start(0, world.bytes.size());
  call->data(world.bytes.substr(0, 50'000));
  world.advance(milliseconds(1'500));
  world.near.answers_after = milliseconds(1'000);  // so that the watch would ask before that answer is here
  world.near.lost();
  world.advance(milliseconds(1'500));
  EXPECT_TRUE(call->dropped());
  EXPECT_EQ(world.near.asked.size(), 2U);
  ASSERT_EQ(world.upstream.blob_calls(), 2U);  // and the fill has heard that it is its turn again
  EXPECT_EQ(world.upstream.blob_call(1)->offset, 50'000U);
}

TEST(MirrorSite, ARepositoryWithoutTheRightToAVerifiedBlobDoesNotSpoilItForTheOthers) {
  for (const bool kept : {true, false}) {
    SiteWorld world;
    if (!kept) world.store.admit_up_to(1'000);
    world.near.advice = {FakeSite::follow('a')};
    world.near.blobs[std::string(32, 'a')] = {.bytes = world.bytes, .proven = true};
    world.link(kApp, world.digest, world.bytes.size(), /*proven=*/true);
    world.upstream.hold(true);
    auto denied = world.open(kOther, world.digest);
    world.advance(milliseconds(500));
    auto allowed = world.open(kApp, world.digest);  // every byte is here; kOther waits for upstream's word
    world.advance(milliseconds(10));
    EXPECT_TRUE(allowed->ok());
    world.upstream.release();
    world.upstream.hold(false);
    world.advance(milliseconds(10));
    EXPECT_TRUE(read(world, allowed) == world.bytes);
    world.advance(milliseconds(2'000));
    ASSERT_NE(denied->refusal(), nullptr);
    EXPECT_EQ(world.count(Op::get_blob), 0U);
    EXPECT_EQ(world.store.published(), kept ? 1U : 0U);
    EXPECT_EQ(world.metric("shoal_site_corrupt_blobs_total"), 0);
    EXPECT_FALSE(world.mirror->is_proven(kOther.canonical(), world.digest));
  }
}

TEST(MirrorSite, NeighboursMayHaveWhatIsHereOrComesFromUpstreamButNotWhatFollows) {
  SiteWorld world;
  const auto peek = [&] {
    auto got = std::make_unique<Asked<std::unique_ptr<mirror::Blob>>>();
    got->pending = world.mirror->peek_blob(world.asker(world.digest), world.digest,
                                           [&got = *got](mirror::Outcome<std::unique_ptr<mirror::Blob>> outcome) {
                                             got.outcome.emplace(std::move(outcome));
                                           });
    world.advance(milliseconds(5));
    return got;
  };
  EXPECT_EQ(peek()->refusal()->kind, mirror::Refusal::Kind::not_found);
  world.near.advice = {FakeSite::follow('a')};
  world.near.blobs[std::string(32, 'a')] = {.bytes = world.bytes, .cut_after = 10, .hang = true};
  auto following = world.open(kApp, world.digest);
  world.advance(milliseconds(5));
  EXPECT_EQ(peek()->refusal()->kind, mirror::Refusal::Kind::unavailable);
  EXPECT_EQ(world.count(Op::get_blob), 0U);  // looking starts nothing
  following.reset();

  SiteWorld other;
  other.upstream.manual_blobs(true);
  auto fetching = other.open(kApp, other.digest);
  other.advance(milliseconds(5));
  other.upstream.blob_call(0)->start(0, other.bytes.size());
  other.upstream.blob_call(0)->data(other.bytes.substr(0, 100'000));
  other.advance(milliseconds(5));
  Asked<std::unique_ptr<mirror::Blob>> got;
  got.pending = other.mirror->peek_blob(
      other.asker(other.digest), other.digest,
      [&got](mirror::Outcome<std::unique_ptr<mirror::Blob>> outcome) { got.outcome.emplace(std::move(outcome)); });
  other.advance(milliseconds(5));
  ASSERT_TRUE(got.ok());
  Body body(got.value()->read_all());
  EXPECT_EQ(body.drain().bytes, other.bytes.substr(0, 100'000));
}

TEST(MirrorSite, AManifestThatHeadProvedComesFromTheNeighbour) {
  SiteWorld world;
  const std::string text = R"({"schemaVersion":2,"layers":[]})";
  const auto digest = world.upstream.put_manifest("library/app", "v1", text);
  auto& near = world.site(kApp);
  near.advice = {FakeSite::follow('a')};
  near.manifests[std::string(32, 'a')] = {"application/vnd.oci.image.manifest.v1+json",
                                          std::make_shared<const std::string>(text), false};
  auto asked = world.manifest(kApp, registry::Tag("v1"));
  world.advance(milliseconds(200));
  ASSERT_TRUE(asked->ok());
  EXPECT_EQ(asked->value().digest, digest);
  EXPECT_EQ(asked->value().provenance.detail, "neighbour http://node-a:5000");
  EXPECT_EQ(world.count(Op::head_manifest), 1U);
  EXPECT_EQ(world.count(Op::get_manifest), 0U);
  EXPECT_EQ(near.completed, 1U);
}

TEST(MirrorSite, ATagThatANeighbourRemembersIsServedAsStaleWhenUpstreamFails) {
  SiteWorld world;
  const std::string text = R"({"schemaVersion":2,"layers":[]})";
  auto& near = world.site(kApp);
  world.upstream.fail_everything(failure(upstream::Failure::Kind::unavailable));
  near.tag = p2p::PeerTag{base::digest_of(text), std::chrono::hours(3), std::chrono::minutes(10)};
  near.advice = {FakeSite::follow('a')};
  near.manifests[std::string(32, 'a')] = {"application/vnd.oci.image.manifest.v1+json",
                                          std::make_shared<const std::string>(text), true};
  auto refused = world.manifest(kApp, registry::Tag("v1"));
  world.advance(milliseconds(20'000));
  EXPECT_NE(refused->refusal(), nullptr);  // no trust domain: only upstream could tell
  for (auto& site : world.sites) site.edit_options.trust_domain = true;
  auto asked = world.manifest(kApp, registry::Tag("v1"));
  world.advance(milliseconds(20'000));
  ASSERT_TRUE(asked->ok());
  EXPECT_EQ(*asked->value().bytes, text);
  EXPECT_EQ(asked->value().provenance.kind, mirror::Provenance::Kind::stale);
  EXPECT_EQ(asked->value().provenance.age, std::chrono::minutes(10));
  // Too old a memory is none.
  world.edit([](upstream::UpstreamOptions& options) { options.tags.stale_if_error = std::chrono::minutes(5); });
  auto old = world.manifest(kApp, registry::Tag("v2"));
  world.advance(milliseconds(20'000));
  EXPECT_NE(old->refusal(), nullptr);
}

}  // namespace
}  // namespace shoal::test
