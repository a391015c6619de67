// Referrers of mirrored repositories: by upstream's API, or put together from the tags its clients keep them under.
#include <gtest/gtest.h>

#include "shoal/base/format.h"
#include "shoal/registry/manifest.h"
#include "shoal/registry/push.h"
#include "shoal/registry/referrers.h"
#include "support/mirror_world.h"

namespace shoal::test {
namespace {

using Op = FakeUpstream::Op;
using Kind = upstream::Failure::Kind;
using Source = mirror::Provenance::Kind;
const std::string kEmpty = registry::referrers_body({});

struct World : MirrorWorld {
  const base::Digest subject = base::digest_of("subject");
  const std::string tag = registry::fallback_tag(subject);

  static std::string artifact(const std::string& name, const std::string& config_type = "application/a") {
    return base::format(R"({{"schemaVersion":2,"config":{{"mediaType":"{}","digest":"{}","size":1}},"layers":[],)"
                        R"("annotations":{{"name":"{}"}}}})",
                        config_type, base::digest_of("config").to_string(), name);
  }
  // Under the fallback tag, with a list of artifacts so named.
  std::string put_list(const std::vector<std::string>& names) {
    std::vector<std::string> descriptors;
    for (const auto& name : names) descriptors.push_back(described(name));
    auto body = registry::referrers_body(descriptors);
    (void)upstream.put_manifest("library/app", tag, body, std::string(registry::kOciIndex));
    return body;
  }
  static std::string described(const std::string& name, const std::string& config_type = "application/a") {
    const auto bytes = artifact(name, config_type);
    return registry::referrer_descriptor(bytes, base::digest_of(bytes), registry::kOciManifest);
  }
  void put_cosign(const std::string& suffix, const std::string& config_type = "application/a") {
    (void)upstream.put_manifest("library/app", tag + suffix, artifact(suffix, config_type));
  }
  AskedPtr<mirror::TagPage> ask(std::string query = "") {
    auto asked = std::make_unique<Asked<mirror::TagPage>>();
    asked->pending = mirror->referrers(asker(kApp), kApp, subject, std::move(query),
                                       [raw = asked.get()](mirror::Outcome<mirror::TagPage> outcome) {
                                         ++raw->answers;
                                         raw->outcome.emplace(std::move(outcome));
                                       });
    return asked;
  }
  mirror::TagPage got(std::string query = "") {
    auto asked = ask(std::move(query));
    advance(std::chrono::seconds(30));
    if (!asked->ok()) {
      ADD_FAILURE() << (asked->refusal() ? asked->refusal()->message : "no answer");
      return {};
    }
    return asked->value();
  }
  std::size_t questions() const { return count(Op::referrers) + count(Op::get_manifest) + count(Op::head_manifest); }
};

registry::Descriptors listed(const mirror::TagPage& page) {
  registry::Descriptors out;
  EXPECT_TRUE(registry::add_descriptors(page.body, out)) << page.body;
  return out;
}

std::set<std::string> all_of(const registry::Descriptors& descriptors) {
  std::set<std::string> out;
  for (const auto& [digest, descriptor] : descriptors) out.insert(descriptor);
  return out;
}

TEST(TaggedReferrers, ListAndCosignTagsAreOneList) {
  World world;
  world.put_list({"one", "two"});
  world.put_cosign(".sig");
  world.put_cosign(".att");
  world.put_cosign(".sbom", "application/sbom");
  const auto page = world.got();
  EXPECT_EQ(page.content_type, registry::kOciIndex);
  EXPECT_EQ(all_of(listed(page)),
            (std::set<std::string>{World::described("one"), World::described("two"), World::described(".sig"),
                                   World::described(".att"), World::described(".sbom", "application/sbom")}));
  EXPECT_NE(page.body.find(R"("artifactType":"application/sbom")"), std::string::npos) << "the config's type";
  EXPECT_EQ(page.provenance.detail, "from tags");
}

TEST(TaggedReferrers, OneManifestIsListedOnce) {
  World world;
  world.put_list({"one"});
  (void)world.upstream.put_manifest("library/app", world.tag + ".sig", World::artifact("one"));
  EXPECT_EQ(listed(world.got()).size(), 1U);
}

TEST(TaggedReferrers, WhatIsNotAnIndexUnderTheFallbackTagIsNoList) {
  World world;
  (void)world.upstream.put_manifest("library/app", world.tag, World::artifact("an image of that name"));
  world.put_cosign(".sig");
  EXPECT_EQ(listed(world.got()).size(), 1U);
}

TEST(TaggedReferrers, FilterIsApplied) {
  World world;
  world.put_list({"one", "two"});
  world.put_cosign(".sig", "application/signature+json");
  const auto page = world.got("artifactType=application/signature%2Bjson");
  EXPECT_EQ(listed(page).size(), 1U);
  ASSERT_EQ(page.headers.size(), 1U);
  EXPECT_EQ(page.headers[0], (std::pair<std::string, std::string>("OCI-Filters-Applied", "artifactType")));
  EXPECT_EQ(world.got("artifactType=none").body, kEmpty);
}

TEST(TaggedReferrers, LongListsComeInPages) {
  World world;
  std::vector<std::string> names;
  for (int i = 0; i < 9; ++i) names.push_back(std::string(490'000, static_cast<char>('a' + i)));
  world.put_list(names);
  const auto first = world.got("artifactType=application/a");
  EXPECT_LT(first.body.size(), 4U << 20);
  ASSERT_NE(first.next, "");
  auto second = world.got(first.next);
  EXPECT_EQ(second.next, "");
  auto both = listed(first);
  both.merge(listed(second));
  EXPECT_EQ(both.size(), 9U);
}

TEST(TaggedReferrers, EmptyIsRememberedAndOnlyThenEmpty) {
  World world;
  world.edit([](auto& options) { options.tags.negative_ttl = std::chrono::seconds(60); });
  EXPECT_EQ(world.got().body, kEmpty);
  EXPECT_EQ(world.questions(), 5U) << "the API and four tags";
  const auto again = world.got("artifactType=a");
  EXPECT_EQ(again.body, kEmpty);
  EXPECT_EQ(again.provenance.kind, Source::hit);
  EXPECT_EQ(world.questions(), 5U);
  world.put_cosign(".sig");
  world.advance(std::chrono::seconds(61));
  EXPECT_EQ(listed(world.got()).size(), 1U);
}

TEST(TaggedReferrers, FoundOnesCostNoQuestionWhileFresh) {
  World world;
  world.put_cosign(".sig");
  auto first = world.ask();
  world.run();
  ASSERT_TRUE(first->ok());
  EXPECT_EQ(first->value().provenance.kind, Source::miss);
  const auto before = world.questions();
  auto second = world.ask();
  world.run();
  ASSERT_TRUE(second->ok());
  EXPECT_EQ(second->value().provenance.kind, Source::hit);
  EXPECT_EQ(world.questions(), before);
}

TEST(TaggedReferrers, ManyAskersAreOneQuestion) {
  World world;
  world.put_cosign(".sig");
  std::vector<AskedPtr<mirror::TagPage>> asked;
  for (int i = 0; i < 5; ++i) asked.push_back(world.ask());
  world.run();
  for (auto& each : asked) ASSERT_TRUE(each->ok());
  EXPECT_EQ(asked[1]->value().provenance.kind, Source::collapsed);
  EXPECT_EQ(world.questions(), 5U);
}

TEST(TaggedReferrers, AnErrorOnOneTagIsNoEmptyList) {
  for (const bool some : {false, true}) {
    World world;
    if (some) world.put_cosign(".sig");
    world.upstream.fail_always(Op::get_manifest, failure(Kind::denied, 403));
    auto asked = world.ask();
    world.run();
    ASSERT_NE(asked->refusal(), nullptr);
    EXPECT_EQ(asked->refusal()->kind, mirror::Refusal::Kind::unavailable);
  }
  World world;  // one tag of four
  world.put_list({"one"});
  world.upstream.fail_next(Op::get_manifest, failure(Kind::denied, 403));
  auto asked = world.ask();
  world.run();
  ASSERT_NE(asked->refusal(), nullptr);
  EXPECT_EQ(asked->refusal()->kind, mirror::Refusal::Kind::unavailable);
}

TEST(TaggedReferrers, HeldOnesAreToldAsStaleInAnOutage) {
  for (const auto kind : {Kind::denied, Kind::unavailable}) {  // at once, and after tries that take too long
    World world;
    world.edit([](auto& options) { options.tags.stale_if_error = std::chrono::hours(1); });
    world.put_list({"one"});
    world.put_cosign(".sig");
    EXPECT_EQ(listed(world.got()).size(), 2U);
    world.upstream.fail_everything(failure(kind));
    world.advance(std::chrono::minutes(10));
    const auto page = world.got();
    EXPECT_EQ(listed(page).size(), 2U);
    EXPECT_EQ(page.provenance.kind, Source::stale);
    EXPECT_EQ(page.provenance.detail,
              kind == Kind::denied ? "docker.io: scripted failure" : "docker.io has not answered yet");
    world.advance(std::chrono::hours(2));
    auto late = world.ask();
    world.advance(std::chrono::seconds(30));
    ASSERT_NE(late->refusal(), nullptr) << "stale_if_error has passed";
  }
}

TEST(TaggedReferrers, ATagThatCannotBeLookedUpInAnOutageMayBeASignature) {
  World world;
  world.edit([](auto& options) { options.tags.stale_if_error = std::chrono::hours(1); });
  world.put_list({"one"});
  world.put_cosign(".sig");
  EXPECT_EQ(listed(world.got()).size(), 2U);
  world.upstream.fail_everything(failure(Kind::denied));
  world.advance(std::chrono::minutes(10));
  std::size_t reads = 0;
  for (;; ++reads) {
    world.store.fail_reads_after(reads);
    const auto failed = world.store.failed_reads();
    auto asked = world.ask();
    world.advance(std::chrono::seconds(30));
    if (world.store.failed_reads() == failed) break;
    ASSERT_NE(asked->refusal(), nullptr) << reads;
    EXPECT_EQ(asked->refusal()->kind, mirror::Refusal::Kind::unavailable);
  }
  EXPECT_GE(reads, 4U) << "as many as tags";
  world.store.fail_reads_after(std::nullopt);
  EXPECT_EQ(listed(world.got()).size(), 2U);
}

TEST(TaggedReferrers, UpstreamIsAskedWhenTheIndexCannotBeRead) {
  World world;
  world.put_list({"one"});
  world.put_cosign(".sig");
  world.store.fail_reads_after(0);
  EXPECT_EQ(listed(world.got()).size(), 2U);
}

TEST(TaggedReferrers, SilentUpstreamGetsTheHeldOnesSoon) {
  World world;
  world.put_cosign(".sig");
  EXPECT_EQ(listed(world.got()).size(), 1U);
  world.advance(std::chrono::minutes(10));
  world.upstream.hold(true);
  auto asked = world.ask();
  world.advance(std::chrono::seconds(8));
  ASSERT_TRUE(asked->ok());
  EXPECT_EQ(asked->value().provenance.kind, Source::stale);
  EXPECT_EQ(listed(asked->value()).size(), 1U);
}

TEST(TaggedReferrers, NothingHeldInAnOutageIsARefusal) {
  World world;
  EXPECT_EQ(world.got().body, kEmpty);
  world.upstream.fail_everything(failure(Kind::unavailable, 502));
  world.advance(std::chrono::minutes(10));
  auto asked = world.ask();
  world.advance(std::chrono::seconds(30));
  ASSERT_NE(asked->refusal(), nullptr);
  EXPECT_EQ(asked->refusal()->kind, mirror::Refusal::Kind::unavailable);
}

// An upstream with the API may know more than the tags that happen to be held.
TEST(TaggedReferrers, HeldTagsOfAnUpstreamWithTheApiAreNotItsReferrers) {
  World world;
  world.upstream.put_referrers("library/app", world.subject, {kEmpty, std::string(registry::kOciIndex), "", {}});
  world.put_cosign(".sig");
  (void)world.manifest(kApp, registry::Tag(world.tag + ".sig"));
  EXPECT_EQ(world.got().body, kEmpty);
  world.upstream.fail_everything(failure(Kind::unavailable, 502));
  auto asked = world.ask();
  world.advance(std::chrono::seconds(30));
  ASSERT_NE(asked->refusal(), nullptr);
}

TEST(TaggedReferrers, OtherWordsForNoApiAreUnderstood) {
  for (const int status : {405, 501}) {
    World world;
    world.put_cosign(".sig");
    world.upstream.fail_always(Op::referrers, failure(Kind::bad_answer, status));
    EXPECT_EQ(listed(world.got()).size(), 1U) << status;
  }
}

TEST(ApiReferrers, FilterThatUpstreamLeavesOutIsAppliedHere) {
  World world;
  const auto body = registry::referrers_body({World::described("a", "t/1"), World::described("b", "t/2")});
  world.upstream.put_referrers("library/app", world.subject, {body, std::string(registry::kOciIndex), "page=2", {}});
  EXPECT_EQ(world.got().body, body);
  const auto page = world.got("artifactType=t/2");
  EXPECT_EQ(all_of(listed(page)), (std::set<std::string>{World::described("b", "t/2")}));
  EXPECT_EQ(page.next, "page=2&artifactType=t/2");
  ASSERT_EQ(page.headers.size(), 1U);
  EXPECT_EQ(page.headers[0].second, "artifactType");
}

TEST(ApiReferrers, FilterOfUpstreamIsBelieved) {
  World world;
  world.upstream.put_referrers(
      "library/app", world.subject,
      {kEmpty + " ", std::string(registry::kOciIndex), "", {{"OCI-Filters-Applied", "artifactType"}}});
  const auto page = world.got("artifactType=t/2");
  EXPECT_EQ(page.body, kEmpty + " ") << "byte for byte";
  EXPECT_EQ(page.headers.size(), 1U);
}

TEST(ApiReferrers, WhatIsNoIndexPassesUnfiltered) {
  World world;
  world.upstream.put_referrers("library/app", world.subject, {"{}", "application/json", "", {}});
  const auto page = world.got("artifactType=t/2");
  EXPECT_EQ(page.body, "{}");
  EXPECT_TRUE(page.headers.empty());
}

TEST(TaggedReferrers, StopAnswersWhoWaits) {
  World world;
  world.upstream.hold(true);
  auto asked = world.ask();
  world.run();
  world.upstream.release();
  world.loops[0].run_one();
  world.loops[1].run_one();
  bool stopped = false;
  world.mirror->stop([&] { stopped = true; });
  world.run();
  EXPECT_TRUE(stopped);
  EXPECT_EQ(asked->answers, 1);
}

}  // namespace
}  // namespace shoal::test
