#include "shoal/mirror/freshness.h"

#include <gtest/gtest.h>

namespace shoal::mirror {
namespace {

using std::chrono::seconds;

const base::WallTime kNow{seconds(1'800'000'000)};

struct Case {
  const char* name;
  std::optional<seconds> checked_ago;
  std::optional<seconds> absent_for;
  bool open = false;
  std::optional<seconds> limited_for = {};
  std::optional<std::int64_t> remaining = {};
  int reserve = 0;
  Freshness expected;
};

TEST(FreshnessTable, SaysWhatToDo) {
  upstream::TagPolicy policy;
  policy.ttl = seconds(60);
  policy.stale_while_revalidate = seconds(30);
  policy.stale_if_error = seconds(1000);
  policy.negative_ttl = seconds(10);
  const Case cases[] = {
      {.name = "nothing known", .checked_ago = {}, .absent_for = {}, .expected = Freshness::miss},
      {.name = "absent", .checked_ago = {}, .absent_for = seconds(5), .expected = Freshness::absent},
      {.name = "no longer absent", .checked_ago = {}, .absent_for = seconds(0), .expected = Freshness::miss},
      {.name = "absent for ever: the clock was set back",
       .checked_ago = {},
       .absent_for = seconds(86400),
       .expected = Freshness::miss},
      {.name = "just checked", .checked_ago = seconds(0), .absent_for = {}, .expected = Freshness::fresh},
      {.name = "last second", .checked_ago = seconds(59), .absent_for = {}, .expected = Freshness::fresh},
      {.name = "a record outweighs absence",
       .checked_ago = seconds(5),
       .absent_for = seconds(5),
       .expected = Freshness::fresh},
      {.name = "refresh behind", .checked_ago = seconds(60), .absent_for = {}, .expected = Freshness::refresh_behind},
      {.name = "revalidate", .checked_ago = seconds(90), .absent_for = {}, .expected = Freshness::revalidate},
      {.name = "stale, circuit open",
       .checked_ago = seconds(90),
       .absent_for = {},
       .open = true,
       .expected = Freshness::stale_upstream_ill},
      {.name = "stale, rate limited",
       .checked_ago = seconds(90),
       .absent_for = {},
       .limited_for = seconds(1),
       .expected = Freshness::stale_upstream_ill},
      {.name = "rate limit over",
       .checked_ago = seconds(90),
       .absent_for = {},
       .limited_for = seconds(-1),
       .expected = Freshness::revalidate},
      {.name = "budget spent",
       .checked_ago = seconds(90),
       .absent_for = {},
       .remaining = 5,
       .reserve = 5,
       .expected = Freshness::stale_upstream_ill},
      {.name = "budget left",
       .checked_ago = seconds(90),
       .absent_for = {},
       .remaining = 6,
       .reserve = 5,
       .expected = Freshness::revalidate},
      {.name = "no reserve wanted",
       .checked_ago = seconds(90),
       .absent_for = {},
       .remaining = 0,
       .expected = Freshness::revalidate},
      {.name = "too old",
       .checked_ago = seconds(1060),
       .absent_for = {},
       .open = true,
       .expected = Freshness::revalidate_strict},
      {.name = "clock a little back", .checked_ago = seconds(-60), .absent_for = {}, .expected = Freshness::fresh},
      {.name = "clock far back", .checked_ago = seconds(-61), .absent_for = {}, .expected = Freshness::revalidate},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.name);
    std::optional<store::TagRecord> record;
    if (c.checked_ago) record = store::TagRecord{base::digest_of("x"), kNow, kNow - *c.checked_ago};
    std::optional<base::WallTime> absent;
    if (c.absent_for) absent = kNow + *c.absent_for;
    upstream::Health health;
    health.open = c.open;
    if (c.limited_for) health.rate_limited_until = kNow + *c.limited_for;
    health.rate_limit_remaining = c.remaining;
    EXPECT_EQ(freshness(record, absent, policy, health, c.reserve, kNow), c.expected);
  }
}

}  // namespace
}  // namespace shoal::mirror
