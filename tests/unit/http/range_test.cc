#include "shoal/http/range.h"

#include <gtest/gtest.h>

namespace shoal::http {
namespace {

using Kind = RangePlan::Kind;
using Ranges = std::vector<base::ByteRange>;

TEST(Range, plans_what_to_send) {
  const struct {
    const char* range;
    std::uint64_t size;
    Kind kind;
    Ranges ranges;
  } cases[] = {
      {"", 1000, Kind::full, {}},
      {"bytes=0-499", 1000, Kind::single, {{0, 500}}},
      {"bytes=500-", 1000, Kind::single, {{500, 1000}}},
      {"bytes=-1", 1000, Kind::single, {{999, 1000}}},
      {"bytes=-5000", 1000, Kind::single, {{0, 1000}}},
      {"bytes=0-0", 1000, Kind::single, {{0, 1}}},
      {"bytes=999-2000", 1000, Kind::single, {{999, 1000}}},
      {"BYTES=0-1", 1000, Kind::single, {{0, 2}}},
      {" bytes = 0 - 1 ", 1000, Kind::single, {{0, 2}}},
      {"bytes=0-18446744073709551615", 1000, Kind::single, {{0, 1000}}},
      {"bytes=0-99999999999999999999999", 1000, Kind::single, {{0, 1000}}},
      {"bytes=0-1,4-5", 1000, Kind::multi, {{0, 2}, {4, 6}}},
      {"bytes=0-1, ,4-5,", 1000, Kind::multi, {{0, 2}, {4, 6}}},
      {"bytes=0-1,2000-", 1000, Kind::single, {{0, 2}}},
      {"bytes=1000-", 1000, Kind::not_satisfiable, {}},
      {"bytes=99999999999999999999999-", 1000, Kind::not_satisfiable, {}},
      {"bytes=-0", 1000, Kind::not_satisfiable, {}},
      {"bytes=500-0", 1000, Kind::not_satisfiable, {}},
      {"bytes=", 1000, Kind::not_satisfiable, {}},
      {"bytes=-", 1000, Kind::not_satisfiable, {}},
      {"bytes=a-b", 1000, Kind::not_satisfiable, {}},
      {"bytes=+1-2", 1000, Kind::not_satisfiable, {}},
      {"bytes=1--2", 1000, Kind::not_satisfiable, {}},
      {"bytes 0-1", 1000, Kind::not_satisfiable, {}},
      {"items=0-1", 1000, Kind::full, {}},
      {"bytes=0-", 0, Kind::not_satisfiable, {}},
      {"bytes=-5", 0, Kind::not_satisfiable, {}},
      {"bytes=0-,0-", 1000, Kind::full, {}},
  };
  for (const auto& c : cases) {
    const auto plan = plan_range(c.range, "", "\"e\"", c.size);
    EXPECT_EQ(plan.kind, c.kind) << c.range;
    EXPECT_EQ(plan.ranges, c.ranges) << c.range;
  }
}

TEST(Range, too_many_are_not_satisfiable) {
  std::string many = "bytes=0-0";
  for (int i = 1; i < 64; ++i) many += ",0-0";
  EXPECT_EQ(plan_range(many, "", "", 1000).kind, Kind::multi);
  EXPECT_EQ(plan_range(many + ",0-0", "", "", 1000).kind, Kind::not_satisfiable);
}

TEST(Range, if_range_must_be_the_strong_tag) {
  EXPECT_EQ(plan_range("bytes=0-1", "\"e\"", "\"e\"", 9).kind, Kind::single);
  EXPECT_EQ(plan_range("bytes=0-1", "\"f\"", "\"e\"", 9).kind, Kind::full);
  EXPECT_EQ(plan_range("bytes=0-1", "W/\"e\"", "W/\"e\"", 9).kind, Kind::full);
  EXPECT_EQ(plan_range("bytes=0-1", "Sun, 06 Nov 1994 08:49:37 GMT", "\"e\"", 9).kind, Kind::full);
}

TEST(Range, if_none_match_compares_weakly) {
  EXPECT_TRUE(not_modified("\"e\"", "\"e\""));
  EXPECT_TRUE(not_modified("W/\"e\"", "\"e\""));
  EXPECT_TRUE(not_modified("\"x\", \"e\"", "\"e\""));
  EXPECT_TRUE(not_modified("*", "\"e\""));
  EXPECT_FALSE(not_modified("", "\"e\""));
  EXPECT_FALSE(not_modified("\"x\"", "\"e\""));
  EXPECT_FALSE(not_modified("e", "\"e\""));
}

TEST(Range, is_told_inclusively) { EXPECT_EQ(content_range({0, 500}, 1000), "bytes 0-499/1000"); }

}  // namespace
}  // namespace shoal::http
