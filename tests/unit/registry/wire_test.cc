#include "shoal/registry/wire.h"

#include <gtest/gtest.h>

namespace shoal::registry {
namespace {

using std::chrono::seconds;

std::string show(const std::vector<Challenge>& challenges) {
  std::string out;
  for (const auto& challenge : challenges) {
    if (!out.empty()) out += " | ";
    out += challenge.scheme;
    for (const auto& [key, value] : challenge.parameters) out += " " + key + "=" + value;
  }
  return out;
}

TEST(ErrorBody, IsTheJsonOfTheSpec) {
  EXPECT_EQ(error_body("NAME_UNKNOWN", "no \"such\" name"),
            R"({"errors":[{"code":"NAME_UNKNOWN","message":"no \"such\" name"}]})");
}

TEST(ErrorBody, MessageIsCutAtACharacterAndMadeValid) {
  const std::string two_bytes = "\xc3\xa9";
  std::string text(1023, 'a');
  EXPECT_EQ(error_body("X", text + two_bytes).find("\xc3"), std::string::npos);
  EXPECT_LT(error_body("X", std::string(100'000, 'x')).size(), 1100u);
  EXPECT_NE(error_body("X",
                       "a\xff"
                       "b")
                .find("\xef\xbf\xbd"),
            std::string::npos);
  EXPECT_FALSE(error_body("X", std::string(2000, '\xbf')).empty());
}

TEST(FirstError, GivesCodeAndMessageInPrintableText) {
  EXPECT_EQ(first_error(error_body("DENIED", "no\nway")), "DENIED: no?way");
  EXPECT_EQ(first_error(R"({"errors":[{"code":"DENIED"}]})"), "DENIED");
  EXPECT_EQ(first_error(R"({"errors":[{"message":"m"},{"code":"B"}]})"), "m");
  EXPECT_EQ(first_error(error_body("A", std::string(900, 'x'))).size(), 256u);
  for (const char* none : {"", "x", "{}", "[]", R"({"errors":[]})", R"({"errors":{}})", R"({"errors":[1]})",
                           R"({"errors":[{"code":1}]})", "<html>"}) {
    EXPECT_EQ(first_error(none), "") << none;
  }
}

TEST(Challenges, TableOfHeaders) {
  const std::pair<const char*, const char*> rows[] = {
      {"", ""},
      {" , ,", ""},
      {"Basic", "basic"},
      {R"(Basic realm="x")", "basic realm=x"},
      {R"(Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a/b:pull,push")",
       "bearer realm=https://auth.docker.io/token scope=repository:a/b:pull,push service=registry.docker.io"},
      {R"(BEARER Realm = "r" , Service = s)", "bearer realm=r service=s"},
      {R"(Bearer realm="a\"b\\c")", R"(bearer realm=a"b\c)"},
      {R"(Bearer realm="r",scope="s", Basic realm="b")", "bearer realm=r scope=s | basic realm=b"},
      {R"(Basic, Bearer realm="r")", "basic | bearer realm=r"},
      {R"(Bearer realm=https://x/token,service=y)", "bearer realm=https://x/token service=y"},
      {R"(Negotiate YWJj==, Basic realm="b")", "negotiate | basic realm=b"},
      {R"(Negotiate, Basic realm="b")", "negotiate | basic realm=b"},
      {R"(Bearer realm="first",realm="second")", "bearer realm=first"},
      {R"(Bearer realm="never closed)", "bearer"},
      {R"(Bearer realm="x",scope="never closed\)", "bearer realm=x"},
      {R"(Bearer realm="",error="invalid_token")", "bearer error=invalid_token realm="},
      {R"(realm="x")", ""},
      {R"("quoted" Basic realm="x")", "quoted | basic realm=x"},
      {R"(Bearer realm="r" service="no comma")", "bearer realm=r service=no comma"},
  };
  for (const auto& [header, expected] : rows) EXPECT_EQ(show(parse_challenges(header)), expected) << header;
}

TEST(Challenges, AreBounded) {
  std::string many;
  for (int i = 0; i < 1000; ++i) many += "Basic realm=x, ";
  EXPECT_EQ(parse_challenges(many).size(), 16u);
  std::string wide = "Bearer ";
  for (int i = 0; i < 1000; ++i) wide += "k" + std::to_string(i) + "=v,";
  EXPECT_EQ(parse_challenges(wide)[0].parameters.size(), 32u);
  EXPECT_LE(parse_challenges("Bearer realm=" + std::string(1'000'000, 'x'))[0].parameters.at("realm").size(), 16384u);
}

TEST(TokenReply, TakesEitherNameAndAnyExpiry) {
  struct Row {
    const char* body;
    const char* token;
    int expires;
  };
  const Row rows[] = {
      {R"({"token":"t"})", "t", 60},
      {R"({"access_token":"a"})", "a", 60},
      {R"({"token":"","access_token":"a","expires_in":300})", "a", 300},
      {R"({"token":"t","access_token":"a","expires_in":300})", "t", 300},
      {R"({"token":"t","expires_in":0})", "t", 1},
      {R"({"token":"t","expires_in":-5})", "t", 1},
      {R"({"token":"t","expires_in":12.7})", "t", 12},
      {R"({"token":"t","expires_in":"120"})", "t", 120},
      {R"({"token":"t","expires_in":"soon"})", "t", 60},
      {R"({"token":"t","expires_in":null})", "t", 60},
      {R"({"token":"t","expires_in":1e300})", "t", 365 * 24 * 3600},
  };
  for (const auto& row : rows) {
    const auto reply = parse_token_reply(row.body);
    ASSERT_TRUE(reply.ok()) << row.body;
    EXPECT_EQ(reply->token, row.token) << row.body;
    EXPECT_EQ(reply->expires_in.count(), row.expires) << row.body;
  }
}

TEST(TokenReply, RefusalsNeverShowTheToken) {
  for (const char* body : {"", "[]", "{}", R"({"token":1})", R"({"token":"hunter2\r\nX: y"})",
                           R"({"token":"hunter2 x"})", R"({"token":"hunter2)", R"("hunter2")"}) {
    const auto reply = parse_token_reply(body);
    ASSERT_FALSE(reply.ok()) << body;
    EXPECT_EQ(reply.error().kind(), base::ErrorKind::corrupt);
    EXPECT_EQ(reply.error().message().find("hunter2"), std::string::npos);
  }
  EXPECT_FALSE(parse_token_reply(R"({"token":")" + std::string(70'000, 'x') + "\"}").ok());
}

TEST(NextQuery, TableOfLinkHeaders) {
  const std::pair<const char*, const char*> rows[] = {
      {R"(</v2/a/tags/list?n=2&last=b>; rel="next")", "n=2&last=b"},
      {R"(<https://r.example/v2/a/tags/list?last=b&n=2>; rel=next)", "last=b&n=2"},
      {R"(</v2/a/tags/list?last=b>;rel="prev next")", "last=b"},
      {R"(</v2/a?x=1>; rel="prev", </v2/a?x=2>; rel="next")", "x=2"},
      {R"(</v2/a?x=1,2>; title="a,b;c"; rel="next")", "x=1,2"},
      {R"(</v2/a?x=1>; REL="NEXT")", "x=1"},
      {R"(</v2/a?x=1> ; rel = "next")", "x=1"},
      {R"(</v2/a?x=1#frag>; rel="next")", "x=1"},
      {R"(</v2/a?x=1>; rel="prev"; rel="next")", ""},
      {R"(</v2/a>; rel="next")", ""},
      {R"(</v2/a?>; rel="next")", ""},
      {R"(</v2/a?x=1>)", ""},
      {R"(</v2/a?x=1>; rel="nextish")", ""},
      {R"(</v2/a?x=1; rel="next")", ""},
      {R"(</v2/a?x=1>; rel="next)", ""},
      {"</v2/a?x=1 HTTP/1.1\r\nX: y>; rel=\"next\"", ""},
      {"", ""},
      {"next", ""},
      {"<", ""},
      {"<>;=;,", ""},
  };
  for (const auto& [header, expected] : rows) EXPECT_EQ(next_query(header), expected) << header;
}

TEST(RateLimit, IsTheLeadingNumber) {
  EXPECT_EQ(parse_rate_limit("100;w=21600"), 100);
  EXPECT_EQ(parse_rate_limit(" 76 ; w=21600"), 76);
  EXPECT_EQ(parse_rate_limit("0"), 0);
  EXPECT_EQ(parse_rate_limit("10, 10;w=1"), 10);
  for (const char* bad : {"", "x", "-1", "1x", ";w=1", "99999999999999999999", "1.5"}) {
    EXPECT_EQ(parse_rate_limit(bad), std::nullopt) << bad;
  }
}

TEST(RetryAfter, IsSecondsOrADate) {
  const base::WallTime now{seconds(784111777 - 10)};  // ten seconds before the RFC's example date
  EXPECT_EQ(parse_retry_after("0", now), seconds(0));
  EXPECT_EQ(parse_retry_after(" 120 ", now), seconds(120));
  EXPECT_EQ(parse_retry_after("999999999999", now), seconds(365 * 24 * 3600));
  EXPECT_EQ(parse_retry_after("Sun, 06 Nov 1994 08:49:37 GMT", now), seconds(10));
  EXPECT_EQ(parse_retry_after("Sunday, 06-Nov-94 08:49:37 GMT", now), seconds(10));
  EXPECT_EQ(parse_retry_after("Sun Nov  6 08:49:37 1994", now), seconds(10));
  EXPECT_EQ(parse_retry_after("Sun, 06 Nov 1994 08:49:00 GMT", now), seconds(0));
  EXPECT_EQ(parse_retry_after("Fri, 31 Dec 9999 23:59:59 GMT", now), seconds(365 * 24 * 3600));
  for (const char* bad : {"", "-1", "x", "1.5", "12 seconds", "Sun, 31 Feb 1994 08:49:37 GMT", "Sun, 06 Nov 1994",
                          "Sun, 06 Nov 1994 24:00:00 GMT", "Sun, 06 Foo 1994 08:49:37 GMT", "9999999999999999999999"}) {
    EXPECT_EQ(parse_retry_after(bad, now), std::nullopt) << bad;
  }
}

TEST(TagList, RoundTrips) {
  const auto list = parse_tag_list(tag_list_body({"a/b", {"1", "latest"}}));
  ASSERT_TRUE(list.ok());
  EXPECT_EQ(list->name, "a/b");
  EXPECT_EQ(list->tags, (std::vector<std::string>{"1", "latest"}));
}

TEST(TagList, AnEmptyOneIsAnEmptyArray) {
  EXPECT_EQ(tag_list_body({"a", {}}), R"({"name":"a","tags":[]})");
  EXPECT_TRUE(parse_tag_list(R"({"name":"a","tags":null})")->tags.empty());
}

TEST(TagList, LeavesOutWhatNoRequestCouldName) {
  EXPECT_EQ(parse_tag_list(R"({"tags":["ok","a/b",1,null,"","x y"]})")->tags, (std::vector<std::string>{"ok"}));
}

TEST(TagList, OtherDocumentsAreCorrupt) {
  for (const char* bad : {"", "[]", "{}", R"({"tags":"x"})", "<html>", R"({"tags":[)"}) {
    EXPECT_FALSE(parse_tag_list(bad).ok()) << bad;
  }
}

}  // namespace
}  // namespace shoal::registry
