#include <gtest/gtest.h>

#include "shoal/auth/auth.h"

namespace shoal::auth {
namespace {

using enum Action;
const Identity kNobody;
const Identity kAnn{"ann"};
const Identity kBob{"bob"};

TEST(Decide, EverythingIsAllowedWithoutAPolicy) {
  const Policy off;
  for (const auto action : {pull, push, remove}) EXPECT_EQ(decide(off, kNobody, "a/b", action), Verdict::allow);
  EXPECT_FALSE(asks_for_login(off));
}

TEST(Decide, APolicyWithoutRulesAllowsNothingAndAsksForNothing) {
  const Policy none{true, {}};
  EXPECT_EQ(decide(none, kNobody, "a/b", pull), Verdict::deny);
  EXPECT_EQ(decide(none, kAnn, "a/b", pull), Verdict::deny);
  EXPECT_FALSE(asks_for_login(none));
}

TEST(Decide, ByUserRepositoryAndAction) {
  const Policy policy{true,
                      {{{"public/**"}, {"anonymous"}, {pull}},
                       {{"team/**"}, {"*"}, {pull}},
                       {{"team/ann/*", "team/shared"}, {"ann"}, {push, remove}},
                       {{"{ci,cd}/*"}, {"bob", "eve"}, {push}}}};
  struct Case {
    Identity who;
    std::string repository;
    Action action;
    Verdict verdict;
  };
  const Case cases[] = {
      {kNobody, "public/x", pull, Verdict::allow},
      {kAnn, "public/x", pull, Verdict::allow},
      {kNobody, "public/x", push, Verdict::deny},  // nobody may: a login would not help
      {kAnn, "public/x", push, Verdict::deny},
      {kNobody, "team/x", pull, Verdict::log_in},
      {kAnn, "team/x", pull, Verdict::allow},
      {kBob, "team/x", pull, Verdict::allow},
      {kAnn, "team/x", push, Verdict::deny},
      {kAnn, "team/ann/x", push, Verdict::allow},
      {kAnn, "team/ann/x", remove, Verdict::allow},
      {kBob, "team/ann/x", push, Verdict::deny},
      {kNobody, "team/ann/x", push, Verdict::log_in},
      {kBob, "cd/tool", push, Verdict::allow},
      {kBob, "cd/tool", pull, Verdict::deny},
      {kNobody, "other", pull, Verdict::deny},
      {Identity{"Ann"}, "team/ann/x", push, Verdict::deny},
  };
  for (const auto& c : cases) {
    EXPECT_EQ(decide(policy, c.who, c.repository, c.action), c.verdict)
        << c.who.user << " " << to_string(c.action) << " " << c.repository;
  }
}

TEST(Decide, AsksForALoginOnlyWhenOneGivesMore) {
  EXPECT_FALSE(asks_for_login({true, {{{"**"}, {"anonymous"}, {pull}}}}));
  EXPECT_FALSE(asks_for_login({true, {{{"**"}, {"anonymous", "*"}, {pull, push}}}}));
  EXPECT_TRUE(asks_for_login({true, {{{"**"}, {"anonymous"}, {pull}}, {{"**"}, {"*"}, {push}}}}));
  EXPECT_FALSE(asks_for_login({true, {{{"**"}, {}, {push}}}}));
}

}  // namespace
}  // namespace shoal::auth
