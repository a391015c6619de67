#include "basic.h"

#include <gtest/gtest.h>

namespace shoal::auth {
namespace {

TEST(Basic, ReadsUserAndPassword) {
  struct Case {
    std::string_view header, user, password;
  };
  const Case cases[] = {
      {"", "", ""},
      {"Basic Og==", "", ""},  // ":"
      {"Basic dXNlcjpwYXNz", "user", "pass"},
      {"basic dXNlcjpwYXNz", "user", "pass"},
      {"BASIC   dXNlcjpwYXNz  ", "user", "pass"},
      {"Basic dXNlcjpwYTpzcw==", "user", "pa:ss"},
      {"Basic dXNlcjpwYTpzcw", "user", "pa:ss"},
      {"Basic dTrDqQ==", "u", "\xc3\xa9"},
      {"Basic dTo=", "u", ""},
      {"Basic OnA=", "", "p"},
  };
  for (const auto& c : cases) {
    const auto read = parse_basic(c.header);
    ASSERT_TRUE(read.ok()) << c.header;
    EXPECT_EQ(read->user, c.user) << c.header;
    EXPECT_EQ(read->password, c.password) << c.header;
  }
  EXPECT_TRUE(parse_basic("Basic Og==")->none());
  EXPECT_FALSE(parse_basic("Basic OnA=")->none());
}

TEST(Basic, RefusesEverythingElseAndDoesNotRepeatIt) {
  const std::string cases[] = {
      "Basic",           "Basic ",       "Basi dXNlcjpwYXNz", "Basicx dXNlcjpwYXNz",
      "Bearer c2VjcmV0", "Basic dXNlcg", "Basic d",           "Basic dXNl cjpwYXNz",
      "Basic dXNl!",     "Basic dXN=l",  "Basic dTp=",        "Basic T2===",
      " Basic Og==",     "Basic dTrDqR", "dXNlcjpwYXNz",      "Basic " + std::string(5000, 'A')};
  for (const auto& header : cases) {
    const auto read = parse_basic(header);
    ASSERT_FALSE(read.ok()) << header;
    EXPECT_EQ(read.error().kind(), base::ErrorKind::invalid);
    EXPECT_EQ(read.error().message().find("dXN"), std::string::npos);
    EXPECT_EQ(read.error().message().find("c2V"), std::string::npos);
  }
}

}  // namespace
}  // namespace shoal::auth
