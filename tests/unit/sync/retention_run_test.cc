#include "shoal/sync/retention_run.h"

#include <set>

#include "support/hosted_rig.h"
#include "support/memory_store.h"

namespace shoal::sync {
namespace {

using test::HostedRig;
using Names = std::set<std::string>;

class Retained : public ::testing::Test {
 protected:
  void SetUp() override { rig.start(); }

  // Each an hour after the one before.
  void push(const std::string& repository, const std::string& tag) {
    rig.clock.advance(std::chrono::hours(1));
    const auto config = "config of " + repository + tag;
    ASSERT_TRUE(rig.push_blob(repository, config).ok());
    const auto manifest = test::image_of({base::digest_of(config)}, {}, tag);
    ASSERT_TRUE(rig.push_manifest(repository, manifest, {base::digest_of(config)}, {tag}).ok());
  }
  RetentionReport run(RetentionOptions options) {
    RetentionRun run(*rig.store, rig.loop, rig.clock, std::move(options));
    auto report = rig.wait<RetentionReport>([&](auto done) { run.start(std::move(done)); });
    EXPECT_TRUE(report.ok()) << report.error().message();
    return report.ok() ? *report : RetentionReport{};
  }
  Names tags(const std::string& repository) {
    Names names;
    for (const auto& [tag, record] : rig.store->list_tags(repository, "", 1000)) names.insert(tag);
    return names;
  }
  static RetentionOptions last(std::uint64_t count) {
    RetentionOptions options;
    options.rules.emplace_back();
    options.rules.back().repositories = {"team/**"};
    options.rules.back().keep = registry::RetentionRule::Keep::latest_pushed;
    options.rules.back().count = count;
    return options;
  }

  HostedRig rig;
};

TEST_F(Retained, RemovesTheTagsOfWhatNoRuleKeeps) {
  for (const char* tag : {"v1", "v2", "v3"}) push("team/app", tag);
  for (const char* tag : {"v1", "v2"}) push("team/lib", tag);
  push("other", "v1");
  test::RecordingEvents events;
  auto options = last(1);
  options.events = &events;
  const auto report = run(options);
  const auto told = events.take_texts();
  EXPECT_EQ(Names(told.begin(), told.end()),
            (Names{"delete tag team/app:v1 (retention)", "delete tag team/app:v2 (retention)",
                   "delete tag team/lib:v1 (retention)"}));
  EXPECT_EQ(tags("team/app"), Names{"v3"});
  EXPECT_EQ(tags("team/lib"), Names{"v2"});
  EXPECT_EQ(tags("other"), Names{"v1"});
  EXPECT_EQ(report.repositories, 2U);
  EXPECT_EQ(report.artifacts, 5U);
  EXPECT_EQ(report.tags_removed, 3U);
  EXPECT_EQ(Names(report.names.begin(), report.names.end()), (Names{"team/app:v1", "team/app:v2", "team/lib:v1"}));
  EXPECT_EQ(run(last(1)).tags_removed, 0U);
}

TEST(RetentionRun, WhatCannotBeReadDoesNotGo) {
  test::FakeClock clock;
  test::FakeExecutor disk;
  test::FakeLoop loop{clock};
  test::MemoryStore store(disk, clock);
  auto& hosted = static_cast<test::MemoryHosted&>(store.hosted());
  for (const char* tag : {"v1", "v2", "old"}) {
    const auto bytes = test::image_of({base::digest_of("config")}, {}, tag);
    const auto digest = base::digest_of(bytes);
    store::ManifestPush push{.repository = "team/app",
                             .digest = digest,
                             .media_type = "application/vnd.oci.image.manifest.v1+json",
                             .bytes = std::make_shared<const std::string>(bytes),
                             .tags = {tag},
                             .needed = {},
                             .subject = {},
                             .descriptor = {},
                             .fixed_tags = {}};
    hosted.put_manifest(std::move(push), loop, nullptr);
    if (tag != std::string_view("old")) hosted.pulled(digest, clock.wall_now());
  }
  RetentionOptions options;
  options.rules.emplace_back();
  options.rules.back().repositories = {"team/**"};
  options.rules.back().keep = registry::RetentionRule::Keep::pulled_within;
  options.rules.back().within = std::chrono::hours(1);
  constexpr std::size_t kReads = 6;  // the repository, its tags, three last pulls; that there is no other repository
  for (std::size_t n = 0; n <= kReads; ++n) {
    hosted.fail_reads_after(n);
    std::optional<base::Result<RetentionReport>> result;
    RetentionRun run(store, loop, clock, options);
    run.start([&result](auto report) { result = std::move(report); });
    while (loop.run_one() || disk.run_one()) {
    }
    ASSERT_TRUE(result) << n;
    EXPECT_EQ(result->ok(), n >= kReads) << n;
    EXPECT_TRUE(store.find_tag("team/app", "v1") && store.find_tag("team/app", "v2")) << n;
    EXPECT_EQ(store.find_tag("team/app", "old").has_value(), n < kReads - 1) << n;
  }
}

TEST_F(Retained, ATagThatMovedSinceItWasLookedAtStays) {
  for (const char* tag : {"old", "new"}) push("team/app", tag);
  const auto old = rig.store->find_tag("team/app", "old")->digest;
  push("team/app", "newer");
  const auto newer = rig.store->find_tag("team/app", "newer")->digest;
  EXPECT_TRUE(
      rig.wait<void>([&](auto done) { rig.hosted().release_tag("team/app", "old", newer, rig.loop, std::move(done)); })
          .ok());
  EXPECT_EQ(rig.store->find_tag("team/app", "old")->digest, old);
  EXPECT_TRUE(
      rig.wait<void>([&](auto done) { rig.hosted().release_tag("team/app", "old", old, rig.loop, std::move(done)); })
          .ok());
  EXPECT_FALSE(rig.store->find_tag("team/app", "old").has_value());
}

TEST_F(Retained, ADryRunSaysTheSameAndDoesNothing) {
  for (const char* tag : {"v1", "v2", "v3"}) push("team/app", tag);
  auto options = last(2);
  options.dry_run = true;
  EXPECT_EQ(run(options).names, std::vector<std::string>{"team/app:v1"});
  EXPECT_EQ(tags("team/app").size(), 3U);
}

TEST_F(Retained, FixedTagsStay) {
  for (const char* tag : {"v1", "dev", "v2"}) push("team/app", tag);
  auto options = last(1);
  options.fixed_tags = {{"team/**", "v*"}};
  EXPECT_EQ(run(options).tags_removed, 1U);
  EXPECT_EQ(tags("team/app"), (Names{"v1", "v2"}));
}

TEST_F(Retained, MoreTagsThanAPageOrARoundOfRemovals) {
  const std::string config = "c";
  ASSERT_TRUE(rig.push_blob("team/app", config).ok());
  for (int i = 0; i < 150; ++i) {
    rig.clock.advance(std::chrono::hours(1));
    ASSERT_TRUE(rig.push_manifest("team/app", test::image_of({base::digest_of(config)}, {}, std::to_string(i)),
                                  {base::digest_of(config)}, {"t" + std::to_string(i)})
                    .ok());
  }
  EXPECT_EQ(run(last(3)).tags_removed, 147U);
  EXPECT_EQ(tags("team/app"), (Names{"t147", "t148", "t149"}));
}

TEST_F(Retained, WithoutRulesNothingGoes) {
  push("team/app", "v1");
  EXPECT_EQ(run({}).tags_removed, 0U);
  EXPECT_EQ(tags("team/app"), Names{"v1"});
}

TEST_F(Retained, DroppingARunStopsIt) {
  for (const char* tag : {"v1", "v2"}) push("team/app", tag);
  {
    RetentionRun run(*rig.store, rig.loop, rig.clock, last(1));
    run.start([](const base::Result<RetentionReport>&) { FAIL() << "nobody is there to be told"; });
  }
  (void)rig.commit({store::PutState{"a", "b"}});
  EXPECT_EQ(tags("team/app").size(), 2U);
}

}  // namespace
}  // namespace shoal::sync
