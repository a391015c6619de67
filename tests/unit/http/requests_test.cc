// Raw requests and what they get, each in portions of every size.
#include "http_fixture.h"

namespace shoal::http {
namespace {

struct Case {
  const char* name;
  std::string bytes;
  const char* statuses;
  bool stays_open;
  std::vector<std::string> seen;
};

const std::string kHost = "Host: a\r\n";

std::vector<Case> cases() {
  return {
      {"a plain request", "GET /v2/ HTTP/1.1\r\n" + kHost + "\r\n", "200", true, {"GET /v2/ host=a body="}},
      {"bare newlines before a request",
       "\r\n\r\nGET / HTTP/1.1\r\n" + kHost + "\r\n",
       "200",
       true,
       {"GET / host=a body="}},
      {"close asked for",
       "GET / HTTP/1.1\r\nConnection: close\r\n" + kHost + "\r\n",
       "200",
       false,
       {"GET / host=a body="}},
      {"three pipelined",
       "GET /1 HTTP/1.1\r\n" + kHost + "\r\nHEAD /2 HTTP/1.1\r\n" + kHost + "\r\nGET /3 HTTP/1.1\r\n" + kHost + "\r\n",
       "200 200 200",
       true,
       {"GET /1 host=a body=", "HEAD /2 host=a body=", "GET /3 host=a body="}},
      {"nothing after a close is answered",
       "GET /1 HTTP/1.1\r\nConnection: close\r\n" + kHost + "\r\nGET /2 HTTP/1.1\r\n" + kHost + "\r\n",
       "200",
       false,
       {"GET /1 host=a body="}},
      {"HTTP/1.0 closes", "GET / HTTP/1.0\r\n\r\n", "200", false, {"GET / host= body="}},
      {"HTTP/1.0 keep-alive", "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", "200", true, {"GET / host= body="}},
      {"absolute form", "GET http://b:80/x?q HTTP/1.1\r\n" + kHost + "\r\n", "200", true, {"GET /x?q host=b:80 body="}},
      {"absolute form without a path",
       "GET http://b?q HTTP/1.1\r\n" + kHost + "\r\n",
       "200",
       true,
       {"GET /?q host=b body="}},
      {"absolute form with user information", "GET http://u@b/ HTTP/1.1\r\n" + kHost + "\r\n", "400", false, {}},
      {"asterisk form", "OPTIONS * HTTP/1.1\r\n" + kHost + "\r\n", "200", true, {"OPTIONS * host=a body="}},
      {"a body is dropped",
       "POST / HTTP/1.1\r\nContent-Length: 5\r\n" + kHost + "\r\nhello",
       "200",
       true,
       {"POST / host=a body="}},
      {"a wanted body is kept",
       "PUT /want HTTP/1.1\r\nContent-Length: 5\r\n" + kHost + "\r\nhello",
       "200",
       true,
       {"PUT /want host=a body=hello"}},
      {"a chunked body",
       "PUT /want HTTP/1.1\r\nTransfer-Encoding: chunked\r\n" + kHost +
           "\r\n3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\nTrailer: t\r\n\r\n",
       "200",
       true,
       {"PUT /want host=a body=hello"}},
      {"a body, then the next request",
       "PUT /want HTTP/1.1\r\nContent-Length: 2\r\n" + kHost + "\r\nabGET /2 HTTP/1.1\r\n" + kHost + "\r\n",
       "200 200",
       true,
       {"PUT /want host=a body=ab", "GET /2 host=a body="}},
      {"100-continue for a wanted body",
       "PUT /want HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n" + kHost + "\r\nab",
       "100 200",
       true,
       {"PUT /want host=a body=ab"}},
      {"no 100 for an unwanted body",
       "PUT / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n" + kHost + "\r\n",
       "200",
       false,
       {"PUT / host=a body="}},
      {"the unwanted body is not the next request",
       "PUT / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 40\r\n" + kHost + "\r\nGET /evil HTTP/1.1\r\n" +
           kHost + "\r\n",
       "200",
       false,
       {"PUT / host=a body="}},
      {"another expectation",
       "PUT / HTTP/1.1\r\nExpect: money\r\nContent-Length: 2\r\n" + kHost + "\r\n",
       "417",
       false,
       {}},
      {"an offer to upgrade is ignored",
       "GET / HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n" + kHost + "\r\nGET /2 HTTP/1.1\r\n" + kHost + "\r\n",
       "200 200",
       true,
       {"GET / host=a body=", "GET /2 host=a body="}},
      {"no Host", "GET / HTTP/1.1\r\n\r\n", "400", false, {}},
      {"two Hosts", "GET / HTTP/1.1\r\n" + kHost + kHost + "\r\n", "400", false, {}},
      {"a Host with a slash", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", "400", false, {}},
      {"differing lengths",
       "PUT / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n" + kHost + "\r\nab",
       "400",
       false,
       {}},
      {"a length that is none", "PUT / HTTP/1.1\r\nContent-Length: 1x\r\n" + kHost + "\r\nab", "400", false, {}},
      {"a negative length", "PUT / HTTP/1.1\r\nContent-Length: -1\r\n" + kHost + "\r\nab", "400", false, {}},
      {"a length beyond 64 bits",
       "PUT / HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n" + kHost + "\r\nab",
       "400",
       false,
       {}},
      {"length and chunked",
       "PUT / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n" + kHost + "\r\n0\r\n\r\n",
       "400",
       false,
       {}},
      {"chunked and length",
       "PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n" + kHost + "\r\n0\r\n\r\n",
       "400",
       false,
       {}},
      {"an unknown coding",
       "PUT / HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n" + kHost + "\r\n0\r\n\r\n",
       "501",
       false,
       {}},
      {"chunked in HTTP/1.0",
       "PUT / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n" + kHost + "\r\n0\r\n\r\n",
       "400",
       false,
       {}},
      {"a bad chunk size",
       "PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n" + kHost + "\r\nxyz\r\n",
       "400",
       false,
       {}},
      {"a space before the colon", "GET / HTTP/1.1\r\nHost : a\r\n\r\n", "400", false, {}},
      {"a control byte in a header",
       "GET / HTTP/1.1\r\n" + kHost +
           "X: a\x01"
           "b\r\n\r\n",
       "400",
       false,
       {}},
      {"not HTTP", "hello\r\n\r\n", "400", false, {}},
      {"CONNECT", "CONNECT a:443 HTTP/1.1\r\n" + kHost + "\r\n", "400", false, {}},
      {"HTTP/2 by prior knowledge", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "505", false, {}},
      {"a version to come", "GET / HTTP/2.0\r\n" + kHost + "\r\n", "505", false, {}},
      {"HTTP/0.9", "GET /\r\n\r\n", "505", false, {}},
      {"a TLS hello", std::string("\x16\x03\x01\x02\x00\x01\x00", 7), "", false, {}},
  };
}

TEST(Requests, get_the_same_answer_in_portions_of_any_size) {
  for (const auto& c : cases()) {
    for (std::size_t portion = 1; portion <= c.bytes.size(); ++portion) {
      SCOPED_TRACE(testing::Message() << c.name << ", portions of " << portion);
      Bench bench;
      bench.handler.wants = [](const Request& request) { return request.target == "/want"; };
      bench.send(c.bytes, portion);
      EXPECT_EQ(bench.statuses(), c.statuses);
      EXPECT_EQ(bench.handler.seen, c.seen);
      if (!c.stays_open && bench.open()) {
        EXPECT_TRUE(bench.wire->write_ended) << bench.wire->sent;
        bench.end();
      }
      EXPECT_EQ(bench.open(), c.stays_open) << bench.wire->sent;
      EXPECT_FALSE(bench.wire->was_reset);
      if (HasFailure()) return;
    }
  }
}

TEST(Requests, split_in_two_at_any_byte_get_the_same_answer) {
  for (const auto& c : cases()) {
    for (std::size_t at = 1; at < c.bytes.size(); ++at) {
      SCOPED_TRACE(testing::Message() << c.name << ", split at " << at);
      Bench bench;
      bench.handler.wants = [](const Request& request) { return request.target == "/want"; };
      bench.send(c.bytes.substr(0, at));
      bench.send(c.bytes.substr(at));
      EXPECT_EQ(bench.statuses(), c.statuses);
      EXPECT_EQ(bench.handler.seen, c.seen);
      if (HasFailure()) return;
    }
  }
}

struct LimitCase {
  const char* name;
  std::string at_limit;
  std::string beyond;
  const char* refused_with;
};

TEST(Requests, beyond_a_limit_are_refused_and_at_the_limit_served) {
  ServerOptions options;
  options.max_uri_bytes = 64;
  options.max_header_bytes = 512;
  options.max_headers = 4;
  options.max_body_bytes = 16;
  const auto padded = [](std::size_t total) {
    const std::string start = "GET / HTTP/1.1\r\nHost: a\r\nX: ";
    return start + std::string(total - start.size() - 4, 'x') + "\r\n\r\n";
  };
  const auto chunks = [](int n) {
    std::string out = "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    for (int i = 0; i < n; ++i) out += "1\r\nx\r\n";
    return out + "0\r\n\r\n";
  };
  const LimitCase limits[] = {
      {"target", "GET /" + std::string(63, 'u') + " HTTP/1.1\r\nHost: a\r\n\r\n",
       "GET /" + std::string(64, 'u') + " HTTP/1.1\r\nHost: a\r\n\r\n", "414"},
      {"head bytes", padded(512), padded(513), "431"},
      {"padding before a value counts", padded(512),
       "GET / HTTP/1.1\r\nHost: a\r\nX:" + std::string(600, ' ') + "x\r\n\r\n", "431"},
      {"headers", "GET / HTTP/1.1\r\nHost: a\r\na:1\r\nb:1\r\nc:1\r\n\r\n",
       "GET / HTTP/1.1\r\nHost: a\r\na:1\r\nb:1\r\nc:1\r\nd:1\r\n\r\n", "431"},
      {"declared body", "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 16\r\n\r\n" + std::string(16, 'b'),
       "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 17\r\n\r\n" + std::string(17, 'b'), "413"},
      {"chunked body", chunks(16), chunks(17), "413"},
  };
  for (const auto& c : limits) {
    for (const std::size_t portion : {std::size_t{1}, std::size_t{7}, SIZE_MAX}) {
      SCOPED_TRACE(testing::Message() << c.name << ", portions of " << portion);
      Bench fine(options);
      fine.send(c.at_limit, portion);
      EXPECT_EQ(fine.statuses(), "200");
      EXPECT_TRUE(fine.open());
      Bench refused(options);
      refused.send(c.beyond, portion);
      EXPECT_EQ(refused.statuses(), c.refused_with);
      EXPECT_TRUE(refused.handler.seen.empty());
      refused.end();
      EXPECT_FALSE(refused.open());
    }
  }
}

TEST(Requests, with_endless_chunk_framing_are_refused) {
  ServerOptions options;
  options.max_body_bytes = 16;
  Bench bench(options);
  bench.send("PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1;");
  for (int i = 0; i < 40 && bench.statuses().empty(); ++i) bench.send(std::string(1024, 'e'));
  EXPECT_EQ(bench.statuses(), "413");
}

}  // namespace
}  // namespace shoal::http
