#include <gtest/gtest.h>

#include "rig.h"

namespace shoal::upstream {
namespace {

using namespace std::chrono_literals;
using test::BlobResult;
using test::failure_of;
using test::ok;
using test::options_for;
using test::ScriptedServer;
using test::UpstreamRig;
using Connection = ScriptedServer::Connection;
using Seen = ScriptedServer::Request;
using Kind = Failure::Kind;

const std::string kBlob = "0123456789";
const base::Digest kDigest = base::digest_of(kBlob);

void serve_ranges(const Seen& seen, Connection& c) {
  const std::string range = seen.header("range");
  if (range.empty()) return c.reply(200, kBlob);
  const std::size_t from = std::stoul(range.substr(6));
  c.reply(206, kBlob.substr(from), "Content-Range: bytes " + std::to_string(from) + "-9/10\r\n");
}

TEST(GetBlob, StartsAtTheOffsetAskedFor) {
  ScriptedServer server(serve_ranges);
  UpstreamRig rig(options_for({server.url()}));
  const auto whole = rig.blob(kDigest, 0, 10);
  EXPECT_FALSE(whole->failure);
  EXPECT_EQ(whole->offset, 0u);
  EXPECT_EQ(whole->total, 10u);
  EXPECT_EQ(whole->body, kBlob);
  const auto rest = rig.blob(kDigest, 4);
  EXPECT_FALSE(rest->failure);
  EXPECT_EQ(rest->offset, 4u);
  EXPECT_EQ(rest->total, 10u);
  EXPECT_EQ(rest->body, "456789");
  EXPECT_EQ(server.requests()[0].header("range"), "");
  EXPECT_EQ(server.requests()[1].target, "/v2/a/b/blobs/" + kDigest.to_string());
}

TEST(GetBlob, IgnoredRangeStartsAtZero) {
  ScriptedServer server([](const Seen&, Connection& c) { c.reply(200, kBlob); });
  UpstreamRig rig(options_for({server.url()}));
  const auto result = rig.blob(kDigest, 4, 10);
  EXPECT_FALSE(result->failure);
  EXPECT_EQ(result->offset, 0u);
  EXPECT_EQ(result->body, kBlob);
}

TEST(GetBlob, WrongAnswersDeliverNoByte) {
  struct Case {
    const char* name;
    int status;
    std::string body, headers;
    std::uint64_t offset;
    std::optional<std::uint64_t> size;
  };
  const Case cases[] = {
      {"longer", 200, kBlob + "x", "", 0, 10},
      {"shorter", 200, "0123", "", 0, 10},
      {"html", 200, "<html>", "Content-Type: text/html; charset=utf-8\r\n", 0, 10},
      {"encoded", 200, kBlob, "Content-Encoding: gzip\r\n", 0, 10},
      {"206 elsewhere", 206, "56789", "Content-Range: bytes 5-9/10\r\n", 4, 10},
      {"206 of another size", 206, "456789x", "Content-Range: bytes 4-10/11\r\n", 4, 10},
      {"206 without range", 206, "456789", "", 4, 10},
      {"206 with broken range", 206, "456789", "Content-Range: bytes 4-/10\r\n", 4, 10},
      {"206 length", 206, "45678", "Content-Range: bytes 4-9/10\r\n", 4, 10},
      {"206 beyond", 206, "456789x", "Content-Range: bytes 4-10/*\r\n", 4, 10},
      {"416", 416, "", "Content-Range: bytes */10\r\n", 4, 10},
      {"no content", 204, "", "", 0, 10},
  };
  for (const auto& c : cases) {
    ScriptedServer server([&](const Seen&, Connection& connection) { connection.reply(c.status, c.body, c.headers); });
    UpstreamRig rig(options_for({server.url()}));
    const auto result = rig.blob(kDigest, c.offset, c.size);
    ASSERT_TRUE(result->failure) << c.name;
    EXPECT_EQ(result->failure->kind, Kind::bad_answer) << c.name;
    EXPECT_EQ(result->starts, 0) << c.name;
    EXPECT_EQ(result->body, "") << c.name;
  }
}

TEST(GetBlob, WithoutContentLengthIsFineButItsSizeMustAgree) {
  std::string body;
  ScriptedServer server([&](const Seen&, Connection& c) {
    c.send("HTTP/1.1 200 OK\r\n\r\n" + body);
    c.close();
  });
  UpstreamRig rig(options_for({server.url()}));
  body = kBlob;
  const auto right = rig.blob(kDigest, 0, 10);
  EXPECT_FALSE(right->failure);
  EXPECT_EQ(right->total, std::nullopt);
  EXPECT_EQ(right->body, kBlob);
  body = "0123";
  EXPECT_EQ(rig.blob(kDigest, 0, 10)->failure->kind, Kind::bad_answer);
  body = kBlob + kBlob;
  const auto longer = rig.blob(kDigest, 0, 10);
  EXPECT_EQ(longer->failure->kind, Kind::bad_answer);
  EXPECT_EQ(longer->body, "");  // one piece, and it was too long
}

TEST(GetBlob, CutBodyIsUnavailableAndASlowOneATimeout) {
  ScriptedServer cut([](const Seen&, Connection& c) {
    c.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n0123");
    c.close();
  });
  UpstreamRig rig(options_for({cut.url()}));
  const auto result = rig.blob(kDigest, 0, 10);
  EXPECT_EQ(result->failure->kind, Kind::unavailable);
  EXPECT_EQ(result->body, "0123");
  EXPECT_EQ(result->starts, 1);

  ScriptedServer drip([](const Seen&, Connection& c) {
    c.send("HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n");
    while (c.idle(5ms) && c.send("x")) {
    }
    c.close();
  });
  auto options = options_for({drip.url()});
  options.stall_timeout = 160ms;
  options.min_bytes_per_second = 10'000;
  UpstreamRig slow(options);
  EXPECT_EQ(slow.blob(kDigest)->failure->kind, Kind::timeout);
}

TEST(GetBlob, KeepsToTheRateAndHearsOfACutWhileItWaits) {
  const std::string body(400'000, 'x');
  bool cut = false;
  ScriptedServer server([&](const Seen&, Connection& c) {
    c.send("HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(body.size() + (cut ? 1 : 0)) + "\r\n\r\n" + body);
    c.close();
  });
  auto options = options_for({server.url()});
  options.max_rate = 1'000'000;
  UpstreamRig rig(options);
  auto began = std::chrono::steady_clock::now();
  EXPECT_EQ(rig.blob(base::digest_of(body), 0, body.size())->body, body);
  EXPECT_GE(std::chrono::steady_clock::now() - began, 80ms) << "all but the last piece, of at most 256 KiB";
  cut = true;
  const auto result = rig.blob(base::digest_of(body), 0, std::nullopt);
  EXPECT_EQ(result->failure->kind, Kind::unavailable);
  EXPECT_EQ(result->body, body);
}

TEST(GetBlob, CdnThatRefusesIsUnavailableAndGetsNoAuthorization) {
  int status = 200;
  ScriptedServer cdn([&](const Seen& seen, Connection& c) {
    if (!seen.header("authorization").empty()) return c.reply(400, "only one auth mechanism allowed");
    c.reply(status, kBlob);
  });
  ScriptedServer server([&](const Seen& seen, Connection& c) {
    if (seen.header("authorization") != "Basic bWU6cHc=") return c.reply(401, "", "WWW-Authenticate: Basic\r\n");
    c.reply(307, "", "Location: " + cdn.url("/blob?X-Sig=secret") + "\r\n");
  });
  auto options = options_for({server.url()});
  options.credentials = {"me", "pw", ""};
  UpstreamRig rig(options);
  EXPECT_EQ(rig.blob(kDigest, 0, 10)->body, kBlob);
  for (const int refusal : {401, 403, 404}) {
    status = refusal;
    const auto result = rig.blob(kDigest, 0, 10);
    ASSERT_TRUE(result->failure);
    EXPECT_EQ(result->failure->kind, Kind::unavailable) << refusal;
    EXPECT_EQ(result->failure->message.find("secret"), std::string::npos);
  }
}

TEST(GetBlob, SourceRotatesTheUrlAndCorruptBytesCountAgainstTheServer) {
  ScriptedServer one(serve_ranges), two(serve_ranges);
  UpstreamRig rig(options_for({one.url(), two.url()}));
  EXPECT_FALSE(rig.blob(kDigest, 0, 10, 0)->failure);
  EXPECT_FALSE(rig.blob(kDigest, 0, 10, 1)->failure);
  EXPECT_EQ(one.requests().size(), 1u);
  EXPECT_EQ(two.requests().size(), 1u);
  rig.thread().run([&] { rig.registry().report_corrupt(kDigest.to_string() + ": digest differs"); });
  EXPECT_EQ(rig.state->url_health()[0].health.consecutive_failures, 0u);
  EXPECT_EQ(rig.state->url_health()[1].health.consecutive_failures, 1u);
}

TEST(GetBlob, NoOtherUrlTakesOverOnceBytesHaveLeft) {
  ScriptedServer cut([](const Seen&, Connection& c) {
    c.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n0123");
    c.close();
  });
  ScriptedServer good(serve_ranges);
  UpstreamRig rig(options_for({cut.url(), good.url()}));
  const auto result = rig.blob(kDigest, 0, 10);
  EXPECT_TRUE(result->failure);
  EXPECT_EQ(result->starts, 1);
  EXPECT_EQ(good.requests().size(), 0u);
}

TEST(GetBlob, AtMostMaxFetchesRunOverAllLoopsInOrder) {
  std::atomic<int> running{0}, most{0};
  std::promise<void> go;
  auto gate = go.get_future().share();
  ScriptedServer server([&](const Seen& seen, Connection& c) {
    most = std::max(most.load(), ++running);
    if (gate.valid()) gate.wait_for(5s);
    --running;
    serve_ranges(seen, c);
  });
  auto options = options_for({server.url()});
  options.max_fetches = 2;
  UpstreamRig rig(options, 2);
  std::vector<std::unique_ptr<BlobResult>> results;
  std::vector<Call*> calls;
  for (unsigned i = 0; i < 6; ++i) {
    results.push_back(std::make_unique<BlobResult>());
    calls.push_back(&rig.start_blob(kDigest, *results.back(), 0, 10, 0, i % 2));
  }
  EXPECT_EQ(rig.state->counts().running_fetches, 2u);
  EXPECT_EQ(rig.state->counts().waiting_fetches, 4u);
  rig.thread(1).run([&] { calls[3]->cancel(); });  // leaves the queue
  EXPECT_EQ(rig.state->counts().waiting_fetches, 3u);
  go.set_value();
  for (const unsigned i : {0u, 1u, 2u, 4u, 5u}) {
    ASSERT_TRUE(results[i]->wait());
    EXPECT_FALSE(results[i]->failure);
  }
  EXPECT_EQ(results[3]->ends, 0);
  EXPECT_LE(most, 2);
  EXPECT_EQ(rig.state->counts().running_fetches, 0u);
}

TEST(GetBlob, PausesAndResumes) {
  const std::string big(4 << 20, 'p');
  ScriptedServer server([&](const Seen&, Connection& c) { c.reply(200, big); });
  UpstreamRig rig(options_for({server.url()}));
  BlobResult result;
  bool pause = true;
  result.at_data = [&] { return pause ? fetch::Flow::pause : fetch::Flow::go_on; };
  Call& call = rig.start_blob(base::digest_of(big), result);
  ASSERT_TRUE(result.wait_for_bytes(1));
  EXPECT_LT(result.body.size(), big.size());
  rig.thread().run([&] {
    pause = false;
    call.resume();
  });
  ASSERT_TRUE(result.wait());
  EXPECT_TRUE(result.body == big);
}

TEST(GetBlob, CanBeDroppedInsideItsCallbacks) {
  const std::string big(1 << 20, 'p');
  ScriptedServer server([&](const Seen&, Connection& c) {
    c.reply(200, big);
    c.close();
  });
  UpstreamRig rig(options_for({server.url()}));
  for (const bool at_start : {true, false}) {
    BlobResult result;
    Call call;
    std::promise<void> dropped;
    const auto drop = [&] {
      call.cancel();
      dropped.set_value();
    };
    if (at_start) {
      result.at_start = drop;
    } else {
      result.at_data = [&] {
        drop();
        return fetch::Flow::go_on;
      };
    }
    rig.thread().run([&] { call = rig.registry().get_blob("a/b", kDigest, 0, {}, 0, result); });
    dropped.get_future().wait();
    rig.thread().run([] {});
    EXPECT_EQ(result.ends, 0);
  }
  EXPECT_EQ(rig.state->counts().running_fetches, 0u);
}

TEST(HeadBlob, TellsTheSizeAndAsksForOneByteWhereHeadIsRefused) {
  ScriptedServer plain(serve_ranges);
  UpstreamRig rig(options_for({plain.url()}));
  auto outcome = rig.blob_head("a/b", kDigest);
  ASSERT_TRUE(ok(outcome));
  EXPECT_EQ(std::get<BlobHead>(outcome).size, 10u);

  for (const bool ranges : {true, false}) {
    ScriptedServer refusing([&](const Seen& seen, Connection& c) {
      if (seen.method == "HEAD") return c.reply(405, "");
      if (!ranges) return c.reply(200, kBlob);
      c.reply(206, "0", "Content-Range: bytes 0-0/10\r\n");
    });
    UpstreamRig other(options_for({refusing.url()}));
    outcome = other.blob_head("a/b", kDigest);
    ASSERT_TRUE(ok(outcome));
    EXPECT_EQ(std::get<BlobHead>(outcome).size, 10u);
  }
  ScriptedServer none([](const Seen&, Connection& c) { c.reply(404, ""); });
  UpstreamRig third(options_for({none.url()}));
  EXPECT_EQ(failure_of(third.blob_head("a/b", kDigest)).kind, Kind::not_found);
  EXPECT_EQ(none.requests().size(), 1u);
}

}  // namespace
}  // namespace shoal::upstream
