#include "shoal/fetch/client.h"

#include <gtest/gtest.h>

#include "recording_sink.h"
#include "shoal/fetch/url.h"
#include "support/loop_thread.h"
#include "support/scripted_server.h"
#include "support/temp_dir.h"

namespace shoal::fetch {
namespace {

using namespace std::chrono_literals;
using base::ErrorKind;
using test::RecordingSink;
using test::ScriptedServer;
using Connection = ScriptedServer::Connection;
using Seen = ScriptedServer::Request;

class ClientTest : public ::testing::Test {
 protected:
  ClientTest() {
    ClientOptions options;
    options.user_agent = "shoal/test";
    options.max_header_bytes = 8192;
    thread_.run([&] { client_ = std::make_unique<Client>(thread_.loop(), options); });
  }
  ~ClientTest() override {
    thread_.run([&] {
      transfers_.clear();
      client_.reset();
    });
  }
  Transfer& start(Request request, Sink& sink) {
    auto& slot = transfers_.emplace_back(std::make_unique<Transfer>());
    thread_.run([&] { *slot = client_->start(std::move(request), sink); });
    return *slot;
  }
  void get(Request request, RecordingSink& sink) {
    start(std::move(request), sink);
    ASSERT_TRUE(sink.wait_for_end());
  }
  static Request request(std::string url) {
    Request r;
    r.url = std::move(url);
    return r;
  }

  test::LoopThread thread_;
  std::unique_ptr<Client> client_;
  std::vector<std::unique_ptr<Transfer>> transfers_;
};

TEST_F(ClientTest, DeliversHeadBodyAndEnd) {
  ScriptedServer server([](const Seen&, Connection& c) { c.reply(200, "hello", "X-One: a\r\nx-ONE: b\r\n"); });
  RecordingSink sink;
  get(request(server.url("/x?secret=1")), sink);
  EXPECT_TRUE(sink.result.ok());
  EXPECT_EQ(sink.head.status, 200);
  EXPECT_EQ(sink.head.header("X-OnE"), "a");
  EXPECT_EQ(sink.head.content_length(), 5u);
  EXPECT_EQ(sink.head.effective_url, server.url("/x"));
  EXPECT_EQ(sink.head.redirects, 0);
  EXPECT_EQ(sink.body, "hello");
  EXPECT_EQ(sink.ends, 1);
}

TEST_F(ClientTest, AsksForNoEncodingAndNamesItself) {
  ScriptedServer server([](const Seen&, Connection& c) { c.reply(200, "zip", "Content-Encoding: gzip\r\n"); });
  RecordingSink sink;
  get(request(server.url("/")), sink);
  EXPECT_EQ(server.requests()[0].header("accept-encoding"), "identity");
  EXPECT_EQ(server.requests()[0].header("user-agent"), "shoal/test");
  EXPECT_EQ(sink.body, "zip");  // as it came
}

TEST_F(ClientTest, ReusesItsConnection) {
  ScriptedServer server([](const Seen&, Connection& c) { c.reply(200, "x"); });
  for (int i = 0; i < 3; ++i) {
    RecordingSink sink;
    get(request(server.url("/")), sink);
    EXPECT_TRUE(sink.result.ok());
  }
  EXPECT_EQ(server.connections(), 1u);
}

TEST_F(ClientTest, HeadHasNoBodyAndPostSendsOne) {
  ScriptedServer server([](const Seen&, Connection& c) { c.reply(200, "12345"); });
  RecordingSink head, post;
  Request r = request(server.url("/"));
  r.method = "HEAD";
  get(r, head);
  EXPECT_EQ(head.head.content_length(), 5u);
  EXPECT_EQ(head.body, "");
  r.method = "POST";
  r.body = "a=b";
  get(r, post);
  EXPECT_EQ(server.requests()[1].body, "a=b");
}

TEST_F(ClientTest, BodyShorterThanItsLengthIsGone) {
  ScriptedServer server([](const Seen&, Connection& c) {
    c.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345");
    c.close();
  });
  RecordingSink sink;
  get(request(server.url("/")), sink);
  ASSERT_FALSE(sink.result.ok());
  EXPECT_EQ(sink.result.error().kind(), ErrorKind::gone);
  EXPECT_NE(sink.result.error().message().find("cut short"), std::string::npos) << sink.result.error().message();
  EXPECT_EQ(sink.body, "12345");
}

TEST_F(ClientTest, BrokenChunkingIsNotSuccess) {
  ScriptedServer server([](const Seen&, Connection& c) {
    c.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n");
    c.close();
  });
  RecordingSink sink;
  get(request(server.url("/")), sink);
  EXPECT_FALSE(sink.result.ok());
}

TEST_F(ClientTest, BodyUntilCloseHasNoLengthAndSucceeds) {
  ScriptedServer server([](const Seen&, Connection& c) {
    c.send("HTTP/1.1 200 OK\r\n\r\nabc");
    c.close();
  });
  RecordingSink sink;
  get(request(server.url("/")), sink);
  EXPECT_TRUE(sink.result.ok());
  EXPECT_EQ(sink.head.content_length(), std::nullopt);
  EXPECT_EQ(sink.body, "abc");
}

TEST_F(ClientTest, ResetIsGone) {
  ScriptedServer server([](const Seen&, Connection& c) {
    c.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345");
    c.idle(20ms);
    c.reset();
  });
  RecordingSink sink;
  get(request(server.url("/")), sink);
  ASSERT_FALSE(sink.result.ok());
  EXPECT_EQ(sink.result.error().kind(), ErrorKind::gone);
}

TEST_F(ClientTest, RefusedConnectionSaysWhereAndWhy) {
  const auto port = std::to_string(test::closed_port());
  RecordingSink sink;
  get(request("http://127.0.0.1:" + port + "/?token=secret"), sink);
  ASSERT_FALSE(sink.result.ok());
  EXPECT_EQ(sink.result.error().kind(), ErrorKind::gone);
  EXPECT_EQ(sink.result.error().message(), "connect to 127.0.0.1:" + port + ": connection refused");
}

TEST_F(ClientTest, UnknownHostIsADnsError) {
  RecordingSink sink;
  get(request("http://no-such-host.invalid/"), sink);
  ASSERT_FALSE(sink.result.ok());
  EXPECT_EQ(sink.result.error().message(), "DNS: no address for no-such-host.invalid");
}

TEST_F(ClientTest, OtherSchemesAndCredentialsInUrlsAreInvalid) {
  for (const char* url : {"file:///etc/passwd", "ftp://127.0.0.1/", "not a url", "http://user:pw@127.0.0.1:1/"}) {
    RecordingSink sink;
    get(request(url), sink);
    ASSERT_FALSE(sink.result.ok()) << url;
    EXPECT_EQ(sink.result.error().kind(), ErrorKind::invalid) << sink.result.error().message();
    EXPECT_EQ(sink.result.error().message().find("pw"), std::string::npos);
  }
}

TEST_F(ClientTest, NoAnswerWithinFirstByteTimeoutIsATimeout) {
  ScriptedServer server([](const Seen&, Connection& c) { c.wait_for_client_to_leave(); });
  RecordingSink sink;
  Request r = request(server.url("/"));
  r.first_byte_timeout = 80ms;
  get(r, sink);
  ASSERT_FALSE(sink.result.ok());
  EXPECT_EQ(sink.result.error().kind(), ErrorKind::timeout);
}

TEST_F(ClientTest, BodyThatStopsIsAStall) {
  ScriptedServer server([](const Seen&, Connection& c) {
    c.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345");
    c.wait_for_client_to_leave();
  });
  RecordingSink sink;
  Request r = request(server.url("/"));
  r.stall_timeout = 80ms;
  get(r, sink);
  ASSERT_FALSE(sink.result.ok());
  EXPECT_EQ(sink.result.error().kind(), ErrorKind::timeout);
  EXPECT_EQ(sink.body, "12345");
}

TEST_F(ClientTest, DripBelowTheMinimumRateIsAStall) {
  ScriptedServer server([](const Seen&, Connection& c) {
    c.send("HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n");
    while (c.idle(5ms) && c.send("x")) {
    }
    c.close();
  });
  RecordingSink sink;
  Request r = request(server.url("/"));
  r.stall_timeout = 160ms;
  r.min_bytes_per_second = 10'000;
  get(r, sink);
  ASSERT_FALSE(sink.result.ok());
  EXPECT_EQ(sink.result.error().kind(), ErrorKind::timeout);
  EXPECT_GT(sink.body.size(), 5u);
}

TEST_F(ClientTest, PausedTransferHoldsBackAndIsNoStall) {
  const std::string big(8 << 20, 'b');
  ScriptedServer server([&](const Seen&, Connection& c) { c.reply(200, big); });
  RecordingSink sink;
  bool pause = true;
  sink.at_data = [&](std::string_view) { return pause ? Flow::pause : Flow::go_on; };
  Request r = request(server.url("/"));
  r.stall_timeout = 40ms;
  Transfer& transfer = start(r, sink);
  ASSERT_TRUE(sink.wait_for_bytes(1));
  const std::size_t before = sink.bytes();
  // Much longer than the stall timeout, measured by the loop's own timer.
  std::promise<void> later;
  base::Timer timer;
  thread_.run([&] { timer = thread_.loop().schedule(200ms, [&] { later.set_value(); }); });
  later.get_future().wait();
  EXPECT_EQ(sink.bytes(), before);
  EXPECT_EQ(sink.ends, 0);
  thread_.run([&] {
    timer.cancel();
    pause = false;
    transfer.resume();
    EXPECT_EQ(sink.bytes(), before);  // not inside resume()
  });
  ASSERT_TRUE(sink.wait_for_end());
  EXPECT_TRUE(sink.result.ok());
  EXPECT_EQ(sink.body.size(), big.size());
}

TEST_F(ClientTest, PausingAfterEveryPieceLosesNothing) {
  std::string big;
  for (int i = 0; big.size() < (3 << 20); ++i) big += std::to_string(i) + ",";
  for (const bool chunked : {false, true}) {
    ScriptedServer server([&](const Seen&, Connection& c) {
      if (!chunked) return c.reply(200, big);
      c.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
      for (std::size_t at = 0; at < big.size(); at += 10'000) {
        const auto piece = big.substr(at, 10'000);
        char size[32];
        (void)std::snprintf(size, sizeof size, "%zx\r\n", piece.size());
        c.send(size + piece + "\r\n");
      }
      c.send("0\r\n\r\n");
    });
    RecordingSink sink;
    Transfer* transfer = nullptr;
    sink.at_data = [&](std::string_view) {
      thread_.loop().post([&] { transfer->resume(); });
      return Flow::pause;
    };
    Transfer mine;
    thread_.run([&] {
      mine = client_->start(request(server.url("/")), sink);
      transfer = &mine;
    });
    ASSERT_TRUE(sink.wait_for_end());
    EXPECT_TRUE(sink.result.ok());
    EXPECT_TRUE(sink.body == big);
    thread_.run([&] { mine.cancel(); });
  }
}

TEST_F(ClientTest, ResumeInsideTheCallbackThatPausesIsNotLost) {
  const std::string big(1 << 20, 'r');
  ScriptedServer server([&](const Seen&, Connection& c) { c.reply(200, big); });
  RecordingSink sink;
  Transfer mine;
  sink.at_data = [&](std::string_view) {
    mine.resume();
    return Flow::pause;
  };
  thread_.run([&] { mine = client_->start(request(server.url("/")), sink); });
  ASSERT_TRUE(sink.wait_for_end());
  EXPECT_EQ(sink.body.size(), big.size());
  thread_.run([&] { mine.cancel(); });
}

TEST_F(ClientTest, TransferDroppedInAnyCallbackIsSilentAfterwards) {
  const std::string big(4 << 20, 'd');
  ScriptedServer server([&](const Seen& seen, Connection& c) {
    if (seen.path() == "/hangs") return c.wait_for_client_to_leave();
    c.reply(200, big);
  });
  for (const int where : {0, 1, 2}) {
    RecordingSink first, second;
    Transfer mine, other;
    const auto drop = [&] {
      mine.cancel();
      other.cancel();  // another transfer, from inside this one's callback
    };
    if (where == 0) first.at_head = drop;
    if (where == 1) {
      first.at_data = [&](std::string_view) {
        drop();
        return Flow::go_on;
      };
    }
    thread_.run([&] {
      mine = client_->start(request(server.url("/")), first);
      other = client_->start(request(server.url("/hangs")), second);
      if (where == 2) drop();
    });
    RecordingSink third;
    get(request(server.url("/")), third);  // the client is well
    EXPECT_TRUE(third.result.ok());
    thread_.run(drop);  // on their loop, if the callback has not come yet
    EXPECT_EQ(first.ends, 0);
    EXPECT_EQ(second.ends, 0);
  }
}

TEST_F(ClientTest, ClientMayGoWithTransfersRunning) {
  ScriptedServer server([&](const Seen&, Connection& c) {
    c.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345");
    c.wait_for_client_to_leave();
  });
  RecordingSink sink;
  start(request(server.url("/")), sink);
  ASSERT_TRUE(sink.wait_for_bytes(5));
  thread_.run([&] { client_.reset(); });
  EXPECT_EQ(sink.ends, 0);
}

TEST_F(ClientTest, HeadersBeyondTheLimitAreRefused) {
  ScriptedServer server([](const Seen&, Connection& c) {
    c.reply(200, "x", "X-Long: " + std::string(9000, 'h') + "\r\n");
    c.close();
  });
  RecordingSink sink;
  get(request(server.url("/")), sink);
  ASSERT_FALSE(sink.result.ok());
  EXPECT_EQ(sink.result.error().kind(), ErrorKind::full);
}

TEST_F(ClientTest, LengthsThatDisagreeAreCorrupt) {
  ScriptedServer server([](const Seen&, Connection& c) {
    c.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n123456");
    c.close();
  });
  RecordingSink sink;
  get(request(server.url("/")), sink);
  ASSERT_FALSE(sink.result.ok());
  EXPECT_EQ(sink.result.error().kind(), ErrorKind::corrupt);
}

TEST_F(ClientTest, AnswerThatIsNotHttpIsCorrupt) {
  ScriptedServer server([](const Seen&, Connection& c) {
    c.send("SSH-2.0-OpenSSH_9.2\r\n");
    c.close();
  });
  RecordingSink sink;
  get(request(server.url("/")), sink);
  ASSERT_FALSE(sink.result.ok());
  EXPECT_EQ(sink.result.error().kind(), ErrorKind::corrupt) << sink.result.error().message();
}

TEST_F(ClientTest, RedirectElsewhereDropsAuthorizationAndKeepsOtherHeaders) {
  ScriptedServer cdn([](const Seen&, Connection& c) { c.reply(200, "blob"); });
  ScriptedServer registry(
      [&](const Seen&, Connection& c) { c.reply(307, "see there", "Location: " + cdn.url("/b?sig=abc") + "\r\n"); });
  RecordingSink sink;
  Request r = request(registry.url("/"));
  r.headers = {{"Authorization", "Bearer secret"}, {"Range", "bytes=0-"}};
  get(r, sink);
  EXPECT_EQ(sink.body, "blob");
  EXPECT_EQ(sink.head.redirects, 1);
  EXPECT_EQ(sink.head.effective_url, cdn.url("/b"));
  EXPECT_EQ(registry.requests()[0].header("authorization"), "Bearer secret");
  EXPECT_EQ(cdn.requests()[0].header("authorization"), "");  // another port is another origin
  EXPECT_EQ(cdn.requests()[0].header("range"), "bytes=0-");
  EXPECT_EQ(cdn.requests()[0].query(), "sig=abc");
}

TEST_F(ClientTest, RedirectOnTheSameOriginKeepsAuthorization) {
  ScriptedServer server([](const Seen& seen, Connection& c) {
    if (seen.path() == "/a") return c.reply(302, "", "Location: b/../c\r\n");
    c.reply(200, "ok");
  });
  RecordingSink sink;
  Request r = request(server.url("/a"));
  r.headers = {{"authorization", "Basic c2VjcmV0"}};
  get(r, sink);
  EXPECT_EQ(sink.body, "ok");
  EXPECT_EQ(server.requests()[1].path(), "/c");
  EXPECT_EQ(server.requests()[1].header("authorization"), "Basic c2VjcmV0");
}

TEST_F(ClientTest, AuthorizationStaysAwayAfterComingBack) {
  std::string back;
  ScriptedServer other([&](const Seen&, Connection& c) { c.reply(302, "", "Location: " + back + "\r\n"); });
  ScriptedServer server([&](const Seen& seen, Connection& c) {
    if (seen.path() == "/a") return c.reply(302, "", "Location: " + other.url("/") + "\r\n");
    c.reply(200, "ok");
  });
  back = server.url("/collect");
  RecordingSink sink;
  Request r = request(server.url("/a"));
  r.headers = {{"Authorization", "Bearer secret"}};
  get(r, sink);
  EXPECT_EQ(server.requests()[1].path(), "/collect");
  EXPECT_EQ(server.requests()[1].header("authorization"), "");
}

TEST_F(ClientTest, RedirectsEndSomewhere) {
  ScriptedServer loop([](const Seen&, Connection& c) { c.reply(302, "", "Location: /again\r\n"); });
  RecordingSink sink, none, bad;
  get(request(loop.url("/")), sink);
  EXPECT_FALSE(sink.result.ok());
  EXPECT_EQ(loop.requests().size(), 6u);
  Request r = request(loop.url("/"));
  r.max_redirects = 0;  // delivered as they are
  get(r, none);
  EXPECT_TRUE(none.result.ok());
  EXPECT_EQ(none.head.status, 302);
  ScriptedServer evil([](const Seen&, Connection& c) { c.reply(302, "", "Location: file:///etc/passwd\r\n"); });
  get(request(evil.url("/")), bad);
  EXPECT_FALSE(bad.result.ok());
}

TEST_F(ClientTest, ProxyGetsTheAbsoluteFormUnlessTheHostIsExempt) {
  ScriptedServer proxy([](const Seen&, Connection& c) { c.reply(200, "proxied"); });
  ScriptedServer direct([](const Seen&, Connection& c) { c.reply(200, "direct"); });
  RecordingSink sink, exempt;
  Request r = request("http://registry.example/v2/");
  r.proxy = proxy.url();
  get(r, sink);
  EXPECT_EQ(sink.body, "proxied");
  EXPECT_EQ(proxy.requests()[0].target, "http://registry.example/v2/");
  r.url = direct.url("/");
  r.no_proxy = ".lan,127.0.0.1";
  get(r, exempt);
  EXPECT_EQ(exempt.body, "direct");
}

TEST_F(ClientTest, EnvironmentProxyIsNotUsed) {
  ScriptedServer direct([](const Seen&, Connection& c) { c.reply(200, "direct"); });
  (void)::setenv("http_proxy", "http://127.0.0.1:1", 1);
  RecordingSink sink;
  get(request(direct.url("/")), sink);
  (void)::unsetenv("http_proxy");
  EXPECT_EQ(sink.body, "direct");
}

TEST_F(ClientTest, PrivateCaIsTrustedWhenNamedAndOnlyThen) {
  test::TempDir dir;
  const auto tls = test::TlsIdentity::make(dir.path().string());
  ScriptedServer server([](const Seen&, Connection& c) { c.reply(200, "tls"); }, &tls);
  RecordingSink trusted, unknown, unchecked, unreadable;
  Request r = request(server.url("/"));
  get(r, unknown);
  ASSERT_FALSE(unknown.result.ok());
  EXPECT_EQ(unknown.result.error().message(),
            "TLS: the certificate of 127.0.0.1 is not signed by a known CA (set ca_file)");
  EXPECT_EQ(unknown.result.error().kind(), ErrorKind::invalid) << "asking again does not make it trusted";
  r.tls.ca_file = tls.ca_file;
  get(r, trusted);
  EXPECT_EQ(trusted.body, "tls") << (trusted.result.ok() ? "" : trusted.result.error().message());
  r.tls.ca_file = dir.file("none.pem");
  get(r, unreadable);
  ASSERT_FALSE(unreadable.result.ok());
  EXPECT_EQ(unreadable.result.error().kind(), ErrorKind::invalid);
  r.tls = {};
  r.tls.verify = false;
  get(r, unchecked);
  EXPECT_EQ(unchecked.body, "tls");
}

TEST_F(ClientTest, CertificateForAnotherNameIsRefused) {
  test::TempDir dir;
  const auto tls = test::TlsIdentity::make(dir.path().string(), "DNS:elsewhere.lan");
  ScriptedServer server([](const Seen&, Connection& c) { c.reply(200, "tls"); }, &tls);
  RecordingSink sink;
  Request r = request(server.url("/"));
  r.tls.ca_file = tls.ca_file;
  get(r, sink);
  ASSERT_FALSE(sink.result.ok());
  EXPECT_EQ(sink.result.error().message(), "TLS: the certificate of 127.0.0.1 is for another name");
}

TEST_F(ClientTest, HeaderValuesCannotSmuggleHeaders) {
  ScriptedServer server([](const Seen&, Connection& c) { c.reply(200, ""); });
  RecordingSink sink;
  Request r = request(server.url("/"));
  r.headers = {{"X-A", "1\r\nX-Evil: 2"}, {"X-B", "ok"}};
  get(r, sink);
  EXPECT_EQ(server.requests()[0].header("x-evil"), "");
  EXPECT_EQ(server.requests()[0].header("x-b"), "ok");
}

TEST_F(ClientTest, FetchAllTakesWholeAnswersUpToItsLimit) {
  ScriptedServer server([](const Seen& seen, Connection& c) {
    if (seen.path() == "/endless") {
      c.send("HTTP/1.1 200 OK\r\n\r\n");
      while (c.send(std::string(1000, 'x'))) {
      }
      return c.close();
    }
    c.reply(404, "1234567890");
  });
  for (const auto& [path, fits] : std::vector<std::pair<std::string, bool>>{{"/", true}, {"/endless", false}}) {
    std::promise<base::Result<Client::Reply>> promise;
    Transfer transfer;
    thread_.run([&] {
      transfer = client_->fetch_all(request(server.url(path)), 10, [&](auto reply) {
        transfer.cancel();
        promise.set_value(std::move(reply));
      });
    });
    const auto reply = promise.get_future().get();
    ASSERT_EQ(reply.ok(), fits);
    if (fits) {
      EXPECT_EQ(reply->head.status, 404);
      EXPECT_EQ(reply->body, "1234567890");
    } else {
      EXPECT_EQ(reply.error().kind(), ErrorKind::full);
    }
  }
}

TEST_F(ClientTest, ConnectionsToOneHostAreLimited) {
  ClientOptions options;
  options.max_connections_per_host = 2;
  std::unique_ptr<Client> narrow;
  thread_.run([&] { narrow = std::make_unique<Client>(thread_.loop(), options); });
  ScriptedServer server([](const Seen&, Connection& c) { c.reply(200, "x"); });
  std::vector<std::unique_ptr<RecordingSink>> sinks;
  std::vector<Transfer> transfers;
  thread_.run([&] {
    for (int i = 0; i < 20; ++i) {
      sinks.push_back(std::make_unique<RecordingSink>());
      transfers.push_back(narrow->start(request(server.url("/")), *sinks.back()));
    }
  });
  for (auto& sink : sinks) {
    ASSERT_TRUE(sink->wait_for_end());
    EXPECT_TRUE(sink->result.ok());
  }
  EXPECT_LE(server.connections(), 2u);
  thread_.run([&] {
    transfers.clear();
    narrow.reset();
  });
}

TEST(FetchBlocking, FollowsRedirectsAndReportsFailures) {
  ScriptedServer server([](const Seen& seen, Connection& c) {
    if (seen.path() == "/a") return c.reply(302, "", "Location: /b\r\n");
    c.reply(200, "blocking");
  });
  Request r;
  r.url = server.url("/a");
  const auto reply = fetch_blocking(r, 100);
  ASSERT_TRUE(reply.ok());
  EXPECT_EQ(reply->body, "blocking");
  EXPECT_EQ(reply->head.redirects, 1);
  EXPECT_FALSE(fetch_blocking(r, 3).ok());
  r.url = "http://127.0.0.1:" + std::to_string(test::closed_port());
  EXPECT_FALSE(fetch_blocking(r, 100).ok());
}

}  // namespace
}  // namespace shoal::fetch
