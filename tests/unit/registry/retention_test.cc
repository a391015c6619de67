#include "shoal/registry/retention.h"

#include <gtest/gtest.h>

#include <set>

namespace shoal::registry {
namespace {

using Keep = RetentionRule::Keep;
using std::chrono::hours;

const base::WallTime kNow{hours(1'000'000)};

Artifact artifact(std::vector<std::string> tags, int pushed_hours_ago, std::optional<int> pulled_hours_ago = {}) {
  std::string name;
  for (const auto& tag : tags) name += tag + ',';
  Artifact made{
      base::digest_of(name + std::to_string(pushed_hours_ago)), std::move(tags), kNow - hours(pushed_hours_ago), {}};
  if (pulled_hours_ago) made.pulled = kNow - hours(*pulled_hours_ago);
  return made;
}

RetentionRule rule(Keep keep, std::uint64_t count = 0, int within_hours = 0) {
  RetentionRule made;
  made.keep = keep;
  made.count = count;
  made.within = hours(within_hours);
  return made;
}

// The first tags of what goes ("-" for an untagged one).
std::set<std::string> going(const std::vector<RetentionRule>& rules, const std::vector<Artifact>& artifacts,
                            std::string_view repository = "team/app") {
  std::set<std::string> names;
  for (const auto& digest : not_retained(rules, repository, artifacts, kNow)) {
    for (const auto& a : artifacts) {
      if (a.digest == digest) names.insert(a.tags.empty() ? "-" : a.tags.front());
    }
  }
  return names;
}

using Names = std::set<std::string>;

const std::vector<Artifact> kFour{artifact({"v1"}, 400, 1), artifact({"v2"}, 300), artifact({"v3", "latest"}, 200, 50),
                                  artifact({"dev"}, 100, 99)};

TEST(Retention, WithoutARuleAboutItARepositoryKeepsEverything) {
  EXPECT_EQ(going({}, kFour), Names{});
  auto other = rule(Keep::latest_pushed, 1);
  other.repositories = {"ops/**"};
  EXPECT_EQ(going({other}, kFour), Names{});
  EXPECT_EQ(going({other}, kFour, "ops/x").size(), 3U);
}

TEST(Retention, Templates) {
  EXPECT_EQ(going({rule(Keep::always)}, kFour), Names{});
  EXPECT_EQ(going({rule(Keep::latest_pushed, 2)}, kFour), (Names{"v1", "v2"}));
  EXPECT_EQ(going({rule(Keep::latest_pushed, 9)}, kFour), Names{});
  EXPECT_EQ(going({rule(Keep::latest_pushed, 0)}, kFour).size(), 4U);
  EXPECT_EQ(going({rule(Keep::latest_pulled, 2)}, kFour), (Names{"v2", "dev"}));
  EXPECT_EQ(going({rule(Keep::pushed_within, 0, 300)}, kFour), Names{"v1"});  // the bound itself stays
  EXPECT_EQ(going({rule(Keep::pulled_within, 0, 50)}, kFour), (Names{"v2", "dev"}));
}

TEST(Retention, RulesAddUp) {
  EXPECT_EQ(going({rule(Keep::latest_pushed, 1), rule(Keep::pulled_within, 0, 2)}, kFour), (Names{"v2", "v3"}));
}

TEST(Retention, TagsSayWhatTakesPartAndARuleIsAboutNothingElse) {
  auto versions = rule(Keep::latest_pushed, 1);
  versions.tags = {"v*"};
  EXPECT_EQ(going({versions}, kFour), (Names{"v1", "v2", "dev"}));
  versions.except_tags = {"v3"};
  EXPECT_EQ(going({versions}, kFour), (Names{"v1", "v3", "dev"}));
  auto latest = rule(Keep::always);
  latest.tags = {"latest"};  // v3 has two tags: one that matches is enough, and it keeps both
  EXPECT_EQ(going({latest}, kFour), (Names{"v1", "v2", "dev"}));
}

TEST(Retention, UntaggedArtifactsTakePartOnlyWhereTheRuleSaysSo) {
  const std::vector<Artifact> two{artifact({}, 1), artifact({"v1"}, 2)};
  auto last = rule(Keep::latest_pushed, 1);
  EXPECT_EQ(going({last}, two), Names{"-"});
  last.untagged = true;
  EXPECT_EQ(going({last}, two), Names{"v1"});
}

TEST(Retention, TheAnswerDoesNotDependOnTheOrderOfWhatWasPushedAtOnce) {
  std::vector<Artifact> same{artifact({"a"}, 1), artifact({"b"}, 1), artifact({"c"}, 1)};
  const auto first = going({rule(Keep::latest_pushed, 1)}, same);
  std::swap(same[0], same[2]);
  EXPECT_EQ(going({rule(Keep::latest_pushed, 1)}, same), first);
}

}  // namespace
}  // namespace shoal::registry
