#include <gtest/gtest.h>

#include <chrono>
#include <string>

#include "shoal/registry/pattern.h"

namespace shoal::registry {
namespace {

struct Case {
  std::string_view pattern, text;
  bool match;
};

TEST(Pattern, MatchesAsDoublestarDoes) {
  const Case cases[] = {
      {"team/app", "team/app", true},
      {"team/app", "team/apps", false},
      {"team/app", "team/ap", false},
      {"*", "app", true},
      {"*", "team/app", false},
      {"*", "", true},
      {"team/*", "team/app", true},
      {"team/*", "team/app/x", false},
      {"team/*", "team/", true},
      {"team/*", "team", false},
      {"*/app", "team/app", true},
      {"t*m/a*p", "team/app", true},
      {"t*m/a*p", "tm/ap", true},
      {"a*b*c", "aXbXbc", true},
      {"te?m/app", "team/app", true},
      {"te?m/app", "te/m/app", false},
      {"te?m/app", "tem/app", false},
      {"**", "", true},
      {"**", "team/app", true},
      {"team/**", "team/app", true},
      {"team/**", "team/app/deep/er", true},
      {"team/**", "team", true},
      {"team/**", "teams/app", false},
      {"team/**", "teamster", false},
      {"**/app", "app", true},
      {"**/app", "team/app", true},
      {"**/app", "a/b/c/app", true},
      {"**/app", "team/myapp", false},
      {"a/**/z", "a/z", true},
      {"a/**/z", "a/b/z", true},
      {"a/**/z", "a/b/c/z", true},
      {"a/**/z", "az", false},
      {"a/**/z", "a/bz", false},
      {"a/**/b/**/c", "a/x/b/b/y/c", true},
      {"docker.io/library/*", "docker.io/library/nginx", true},
      {"docker.io/library/*", "docker.io/team/nginx", false},
      {"team**", "teamster", true},  // not a whole part: as one star
      {"team**", "team/app", false},
      {"v[0-9]", "v1", true},
      {"v[0-9]", "va", false},
      {"v[^0-9]", "va", true},
      {"v[!0-9]", "v1", false},
      {"v[^0-9]x", "v/x", false},
      {"[a-]", "-", true},
      {"[\\]]", "]", true},
      {"[a\\-z]", "m", false},
      {"{dev,prod}/app", "dev/app", true},
      {"{dev,prod}/app", "prod/app", true},
      {"{dev,prod}/app", "test/app", false},
      {"{dev,}app", "app", true},
      {"{a,b{c,d}}x", "bdx", true},
      {"{a,b{c,d}}x", "bx", false},
      {"{team/**,lib}", "team/a/b", true},
      {"{team/**,lib}", "team", true},
      {"{team/**,lib}", "lib", true},
      {"{**/app,x}", "a/b/app", true},
      {"{a,b}{c,d}", "bc", true},
      {"a,b", "a,b", true},
      {"\\*", "*", true},
      {"\\*", "x", false},
      {"v1.*", "v1.2.3", true},
      {"v1.*", "v1x2", false},
      {"", "", false},
      {"[", "[", false},  // malformed: nothing
      {"{a", "a", false},
  };
  for (const Case& c : cases) EXPECT_EQ(matches(c.pattern, c.text), c.match) << c.pattern << " on " << c.text;
}

TEST(Pattern, SaysWhatIsWrong) {
  const std::pair<std::string, std::string> cases[] = {
      {"", "an empty pattern"},
      {"[", "[ without ]"},
      {"[a", "[ without ]"},
      {"[]", "nothing in it"},
      {"[^]", "nothing in it"},
      {"[a\\]", "[ without ]"},
      {"{a,b", "{ without }"},
      {"a}", "} without {"},
      {"a\\", "backslash"},
      {"{a,{b}", "{ without }"},
      {std::string(17, '{') + std::string(17, '}'), "too deep"},
      {std::string(1025, 'a'), "longer than 1024"},
  };
  for (const auto& [pattern, message] : cases) {
    const auto checked = check_pattern(pattern);
    ASSERT_FALSE(checked.ok()) << pattern;
    EXPECT_EQ(checked.error().kind(), base::ErrorKind::invalid);
    EXPECT_NE(checked.error().message().find(message), std::string::npos) << checked.error().message();
    EXPECT_FALSE(matches(pattern, pattern)) << pattern;
  }
  EXPECT_TRUE(check_pattern(std::string(16, '{') + "a" + std::string(16, '}')).ok());
  EXPECT_TRUE(check_pattern(std::string(1024, 'a')).ok());
}

TEST(Pattern, TheLongestPatternsOfEveryKindFit) {
  for (const std::string part : {"*", "?", "[a]", "{a,b}", "**/", "/**", "{,}", ",", "\\a"}) {
    std::string pattern;
    while (pattern.size() + part.size() <= 1024) pattern += part;
    EXPECT_TRUE(check_pattern(pattern).ok()) << part;
    (void)matches(pattern, std::string(300, 'a'));
  }
  std::string commas = "{" + std::string(1022, ',') + "}";
  EXPECT_TRUE(check_pattern(commas).ok());
  EXPECT_TRUE(matches(commas, ""));
}

TEST(Pattern, TimeIsBoundedByPatternTimesText) {
  std::string pattern;
  while (pattern.size() + 4 <= 1024) pattern += "a*?*";
  const auto start = std::chrono::steady_clock::now();
  EXPECT_FALSE(matches(pattern, std::string(512, 'a') + "/"));
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(5));  // a backtracker takes years
}

}  // namespace
}  // namespace shoal::registry
