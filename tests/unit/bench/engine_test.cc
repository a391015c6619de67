#include "engine.h"

#include <gtest/gtest.h>

#include "shoal/base/format.h"
#include "support/scripted_server.h"
#include "support/temp_dir.h"

namespace shoal::bench {
namespace {

using test::ScriptedServer;
using Request = ScriptedServer::Request;
using Server = ScriptedServer::Connection;
using std::chrono::milliseconds;

constexpr milliseconds kLong{20'000};

class BenchEngine : public ::testing::Test {
 protected:
  Engine::Options options;

  Engine& engine() {
    if (!engine_) engine_ = std::make_unique<Engine>(options);
    return *engine_;
  }
  Ask ask_for(const std::string& url, const std::string& path) {
    Ask ask;
    const auto route = engine().route(url);
    EXPECT_TRUE(route.ok());
    ask.route = *route;
    ask.path = path;
    return ask;
  }
  std::vector<Answer> all(std::vector<Ask> asks) {
    std::vector<Answer> answers;
    for (auto& ask : asks) {
      engine().start(std::move(ask), [&answers](Answer answer) { answers.push_back(std::move(answer)); });
    }
    const auto end = std::chrono::steady_clock::now() + kLong;
    while (engine().running() > 0 && std::chrono::steady_clock::now() < end) engine().turn(end);
    EXPECT_EQ(engine().running(), 0U);
    return answers;
  }
  Answer one(Ask ask) {
    std::vector<Ask> asks;
    asks.push_back(std::move(ask));
    auto answers = all(std::move(asks));
    return answers.empty() ? Answer{} : std::move(answers[0]);
  }

 private:
  std::unique_ptr<Engine> engine_;
};

TEST_F(BenchEngine, CountsABodyThatItDoesNotRead) {
  const std::string body(3'000'000, 'x');
  ScriptedServer server([&body](const Request&, Server& c) { c.reply(200, body, "Cache-Status: a; hit\r\n"); });
  auto ask = ask_for(server.url(), "/blob");
  ask.expected = body.size();
  const auto answer = one(std::move(ask));
  EXPECT_EQ(answer.error, "");
  EXPECT_EQ(answer.bytes, body.size());
  EXPECT_EQ(answer.body, "");
  EXPECT_EQ(answer.head.cache_status, "a; hit");
  EXPECT_EQ(engine().received(), body.size());
  EXPECT_LE(answer.began, answer.first_byte);
  EXPECT_LE(answer.first_byte, answer.end);
}

TEST_F(BenchEngine, KeepsOrHashesABodyWhenAsked) {
  ScriptedServer server([](const Request&, Server& c) { c.reply(200, "some bytes"); });
  auto ask = ask_for(server.url(), "/");
  ask.keep_body = 10;
  base::Hasher hasher(base::HashAlgorithm::sha256);
  ask.hasher = &hasher;
  EXPECT_EQ(one(std::move(ask)).body, "some bytes");
  EXPECT_EQ(hasher.finish(), base::digest_of("some bytes"));
  auto small = ask_for(server.url(), "/");
  small.keep_body = 9;
  EXPECT_NE(one(std::move(small)).error.find("exceeds 9"), std::string::npos);
}

TEST_F(BenchEngine, KeepsConnectionsUnlessToldOtherwise) {
  ScriptedServer server([](const Request&, Server& c) { c.reply(200, "x"); });
  for (int i = 0; i < 3; ++i) EXPECT_EQ(one(ask_for(server.url(), "/")).reused, i > 0);
  EXPECT_EQ(server.connections(), 1U);
  auto ask = ask_for(server.url(), "/");
  ask.close = true;
  EXPECT_FALSE(one(std::move(ask)).reused);
  EXPECT_EQ(server.connections(), 2U);
  EXPECT_EQ(server.requests().back().header("connection"), "close");
}

TEST_F(BenchEngine, WaitsWhenThereAreConnectionsEnoughAndTheTimeRuns) {
  options.max_connections = 2;
  ScriptedServer server([](const Request&, Server& c) {
    (void)c.idle(milliseconds(50));
    c.reply(200, "x");
  });
  std::vector<Ask> asks;
  for (int i = 0; i < 6; ++i) asks.push_back(ask_for(server.url(), "/"));
  const auto answers = all(std::move(asks));
  ASSERT_EQ(answers.size(), 6U);
  EXPECT_EQ(server.connections(), 2U);
  EXPECT_GE(answers[5].end - answers[5].began, milliseconds(140));  // the third in its line
  EXPECT_GE(answers[5].sent - answers[5].began, milliseconds(90));
}

TEST_F(BenchEngine, ABodyThatIsNotWholeIsAnError) {
  ScriptedServer server([](const Request& request, Server& c) {
    c.close();
    if (request.target == "/short") (void)c.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf");
    if (request.target == "/chunked") {
      (void)c.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n");
    }
    if (request.target == "/bad") (void)c.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n");
    if (request.target == "/reset") {
      (void)c.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf");
      (void)c.idle(milliseconds(20));
      c.reset();
    }
    if (request.target == "/head") (void)c.send("HTTP/1.1 200 OK\r\nConte");
  });
  EXPECT_NE(one(ask_for(server.url(), "/short")).error.find("after 4 of 100 bytes"), std::string::npos);
  EXPECT_NE(one(ask_for(server.url(), "/chunked")).error.find("after 4 bytes"), std::string::npos);
  EXPECT_NE(one(ask_for(server.url(), "/bad")).error.find("broken"), std::string::npos);
  EXPECT_NE(one(ask_for(server.url(), "/reset")).error.find("reset"), std::string::npos);
  EXPECT_NE(one(ask_for(server.url(), "/head")).error.find("within the answer's head"), std::string::npos);
}

TEST_F(BenchEngine, ReadsChunkedAndCloseDelimitedBodies) {
  ScriptedServer server([](const Request& request, Server& c) {
    if (request.target == "/chunked") {
      (void)c.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nsome\r\n6\r\n bytes\r\n0\r\n\r\n");
    } else {
      c.close();
      (void)c.send("HTTP/1.1 200 OK\r\n\r\nsome bytes");
    }
  });
  for (const char* path : {"/chunked", "/close"}) {
    auto ask = ask_for(server.url(), path);
    ask.expected = 10;
    const auto answer = one(std::move(ask));
    EXPECT_EQ(answer.error, "") << path;
    EXPECT_EQ(answer.bytes, 10U) << path;
    auto wrong = ask_for(server.url(), path);
    wrong.expected = 11;
    EXPECT_NE(one(std::move(wrong)).error, "") << path;
  }
}

TEST_F(BenchEngine, ARefusalKeepsItsWords) {
  ScriptedServer server([](const Request&, Server& c) { c.reply(404, std::string(6000, 'w')); });
  auto ask = ask_for(server.url(), "/");
  ask.expected = 3;
  const auto answer = one(std::move(ask));
  EXPECT_EQ(answer.error, "");
  EXPECT_EQ(answer.head.status, 404);
  EXPECT_EQ(answer.body.size(), 4096U);
  EXPECT_TRUE(one(ask_for(server.url(), "/")).reused);
}

TEST_F(BenchEngine, AKeptConnectionThatWasClosedIsReplacedOnce) {
  std::atomic<int> count{0};
  ScriptedServer server([&count](const Request&, Server& c) {
    if (++count == 2) {
      c.close();  // as a server does whose patience ended just now
      return;
    }
    c.reply(200, "x");
  });
  EXPECT_EQ(one(ask_for(server.url(), "/")).error, "");
  const auto second = one(ask_for(server.url(), "/"));
  EXPECT_EQ(second.error, "");
  EXPECT_FALSE(second.reused);
}

TEST_F(BenchEngine, FollowsRedirectsAndLeavesTheLoginBehind) {
  ScriptedServer cdn([](const Request&, Server& c) { c.reply(200, "bytes"); });
  ScriptedServer server([&cdn](const Request& request, Server& c) {
    const auto port = std::to_string(cdn.port());
    if (request.target == "/blob") c.reply(307, "", "Location: http://localhost:" + port + "/signed?key=1\r\n");
    if (request.target == "/loop") c.reply(302, "", "Location: /loop\r\n");
  });
  auto ask = ask_for(server.url(), "/blob");
  ask.authorization = "Bearer t";
  const auto answer = one(std::move(ask));
  EXPECT_EQ(answer.error, "");
  EXPECT_EQ(answer.bytes, 5U);
  EXPECT_EQ(answer.redirects, 1U);
  ASSERT_EQ(cdn.requests().size(), 1U);
  EXPECT_EQ(cdn.requests()[0].target, "/signed?key=1");
  EXPECT_EQ(cdn.requests()[0].header("authorization"), "");
  EXPECT_EQ(server.requests()[0].header("authorization"), "Bearer t");
  EXPECT_EQ(one(ask_for(server.url(), "/loop")).head.status, 302);
  EXPECT_EQ(server.count("/loop"), 6U);
}

TEST_F(BenchEngine, SilenceEndsByTheLimits) {
  options.first_byte_timeout = milliseconds(200);
  options.stall_timeout = milliseconds(200);
  ScriptedServer server([](const Request& request, Server& c) {
    if (request.target == "/stall") (void)c.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf");
    c.wait_for_client_to_leave();
  });
  EXPECT_NE(one(ask_for(server.url(), "/")).error.find("no answer for 0.2 s"), std::string::npos);
  EXPECT_NE(one(ask_for(server.url(), "/stall")).error.find("after 4 bytes"), std::string::npos);
}

TEST_F(BenchEngine, NobodyListens) {
  const auto url = base::format("http://127.0.0.1:{}", test::closed_port());
  EXPECT_NE(one(ask_for(url, "/")).error.find("Connection refused"), std::string::npos);
  EXPECT_FALSE(engine().route("http://name.invalid/").ok());
}

TEST_F(BenchEngine, SendsBodies) {
  const std::string body(5'000'000, 'b');
  ScriptedServer server([](const Request&, Server& c) { c.reply(201, ""); });
  auto ask = ask_for(server.url(), "/upload");
  ask.method = "PUT";
  ask.body = body;
  EXPECT_EQ(one(std::move(ask)).head.status, 201);
  EXPECT_EQ(server.requests()[0].body, body);
}

TEST_F(BenchEngine, TlsBodiesAreCountedAndTheCertificateIsChecked) {
  const test::TempDir dir;
  const auto identity = test::TlsIdentity::make(dir.path().string());
  const std::string body(2'000'000, 'x');
  ScriptedServer server([&body](const Request&, Server& c) { c.reply(200, body); }, &identity);
  EXPECT_NE(one(ask_for(server.url(), "/")).error.find("TLS handshake"), std::string::npos);
  Engine::Options trusting;
  trusting.tls.ca_file = identity.ca_file;
  Engine other(trusting);
  Answer answer;
  Ask ask;
  ask.route = *other.route(server.url());
  ask.path = "/";
  ask.expected = body.size();
  other.start(std::move(ask), [&answer](Answer came) { answer = std::move(came); });
  const auto end = std::chrono::steady_clock::now() + kLong;
  while (other.running() > 0 && std::chrono::steady_clock::now() < end) other.turn(end);
  EXPECT_EQ(answer.error, "");
  EXPECT_EQ(answer.bytes, body.size());
  EXPECT_NE(other.tls_session().find("TLSv1.3"), std::string::npos);
}

}  // namespace
}  // namespace shoal::bench
