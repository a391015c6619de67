#include <gtest/gtest.h>

#include "health_book.h"
#include "judge.h"
#include "shared_state.h"
#include "support/fake_loop.h"
#include "support/fake_registry.h"
#include "token_cache.h"

namespace shoal::upstream {
namespace {

using namespace std::chrono_literals;
using Kind = Failure::Kind;
using base::WallTime;

const WallTime kNow{1'800'000'000s};

Failure failure(Kind kind, std::optional<std::chrono::seconds> retry_after = {}) {
  Failure f;
  f.kind = kind;
  f.retry_after = retry_after;
  f.message = "x";
  return f;
}

TEST(NextDelay, GrowsToItsLimitAndEnds) {
  const RetryPolicy policy;
  auto last = 0ms;
  for (unsigned attempt = 1; attempt <= 5; ++attempt) {
    const auto delay = next_delay(policy, failure(Kind::unavailable), attempt);
    ASSERT_TRUE(delay);
    const auto ideal = std::min<std::chrono::milliseconds>(150ms * (1 << (attempt - 1)), 2000ms);
    EXPECT_GE(*delay, ideal * 8 / 10);
    EXPECT_LE(*delay, ideal * 12 / 10);
    EXPECT_EQ(delay, next_delay(policy, failure(Kind::unavailable), attempt));
    EXPECT_GT(*delay, last);
    last = *delay;
  }
  EXPECT_FALSE(next_delay(policy, failure(Kind::unavailable), 6));
  EXPECT_TRUE(next_delay({.max_attempts = 1000}, failure(Kind::timeout), 999));
}

TEST(NextDelay, FinalAnswersAreNotRetriedAndRetryAfterIsHonoured) {
  const RetryPolicy policy;
  EXPECT_FALSE(next_delay(policy, failure(Kind::not_found), 1));
  EXPECT_FALSE(next_delay(policy, failure(Kind::denied), 1));
  EXPECT_TRUE(next_delay(policy, failure(Kind::bad_answer), 1));
  EXPECT_EQ(next_delay(policy, failure(Kind::rate_limited, 1s), 1), 1000ms);
  EXPECT_EQ(next_delay(policy, failure(Kind::rate_limited, 5s), 1), 5000ms);
  EXPECT_FALSE(next_delay(policy, failure(Kind::rate_limited, 6s), 1));
  EXPECT_TRUE(next_delay(policy, failure(Kind::rate_limited), 1));
  EXPECT_EQ(next_delay(policy, failure(Kind::unavailable, 60s), 1), 5000ms);
}

TEST(ContentRange, IsReadStrictly) {
  const auto good = parse_content_range("bytes 4-9/10");
  ASSERT_TRUE(good);
  EXPECT_EQ(good->first, 4u);
  EXPECT_EQ(good->last, 9u);
  EXPECT_EQ(good->total, 10u);
  EXPECT_EQ(parse_content_range("Bytes 0-0/*")->total, std::nullopt);
  for (const char* bad :
       {"", "bytes", "bytes ", "bytes 4-9", "bytes 9-4/10", "bytes 4-10/10", "bytes -9/10", "items 0-1/2",
        "bytes 4-9/10 ", "bytes 4 -9/10", "bytes 99999999999999999999-1/2", "bytes */10"}) {
    EXPECT_FALSE(parse_content_range(bad)) << bad;
  }
}

TEST(HealthBook, OpensAfterThreeFailuresAndBacksOffLonger) {
  HealthBook book;
  book.set_urls({"http://a"});
  auto now = kNow;
  for (int i = 0; i < 2; ++i) book.failed("http://a", "refused\n", now);
  EXPECT_FALSE(book.of("http://a", now).open);
  book.failed("http://a", "refused\n", now);
  EXPECT_TRUE(book.of("http://a", now).open);
  EXPECT_EQ(book.of("http://a", now).last_error, "refused ");
  EXPECT_EQ(book.of("http://a", now).failing_since, kNow);
  EXPECT_FALSE(book.of("http://a", now + 1s).open);  // half-open
  book.failed("http://a", "refused", now + 1s);
  EXPECT_TRUE(book.of("http://a", now + 2s).open);  // twice as long
  EXPECT_FALSE(book.of("http://a", now + 3s).open);
  for (int i = 0; i < 100; ++i) book.failed("http://a", "refused", now);
  EXPECT_FALSE(book.of("http://a", now + 60s).open);  // the longest
  book.succeeded("http://a");
  EXPECT_EQ(book.of("http://a", now).consecutive_failures, 0u);
  EXPECT_EQ(book.of("http://a", now).failing_since, std::nullopt);
}

TEST(HealthBook, BurstOfErrorsOpensButDoesNotLast) {
  HealthBook book;
  book.set_urls({"http://a"});
  for (int i = 0; i < 4; ++i) book.failed("http://a", "refused", kNow);
  EXPECT_TRUE(book.of("http://a", kNow).open);
  EXPECT_FALSE(book.of("http://a", kNow).lasting);
  book.failed("http://a", "refused", kNow + HealthBook::kBurst);
  EXPECT_TRUE(book.of("http://a", kNow + HealthBook::kBurst).lasting);
  EXPECT_TRUE(book.overall(kNow + HealthBook::kBurst).lasting);
  book.succeeded("http://a");
  EXPECT_FALSE(book.of("http://a", kNow + HealthBook::kBurst).lasting);
}

TEST(HealthBook, IsAsGoodAsItsBestUrl) {
  HealthBook book;
  book.set_urls({"http://a", "http://b"});
  for (int i = 0; i < 5; ++i) book.failed("http://a", "down", kNow);
  EXPECT_FALSE(book.overall(kNow).open);
  for (int i = 0; i < 5; ++i) book.failed("http://b", "down too", kNow);
  EXPECT_TRUE(book.overall(kNow).open);
  EXPECT_FALSE(book.claim_probe("http://a", kNow));
  EXPECT_TRUE(book.claim_probe("http://a", kNow + 60s));
  EXPECT_FALSE(book.claim_probe("http://a", kNow + 60s));  // somebody looks already
}

TEST(HealthBook, SurvivesSavingAndLoading) {
  HealthBook book;
  book.set_urls({"http://a", "http://b"});
  for (int i = 0; i < 4; ++i) book.failed("http://a", "connect: refused", kNow);
  book.note_budget(20, 100);
  book.note_rate_limited(kNow + 60s);
  HealthBook again;
  again.set_urls({"http://a", "http://c"});
  again.load(book.save(), kNow + 10s);
  const Health health = again.of("http://a", kNow + 10s);
  EXPECT_EQ(health.consecutive_failures, 4u);
  EXPECT_EQ(health.failing_since, kNow);
  EXPECT_EQ(health.last_error, "connect: refused");
  EXPECT_EQ(health.rate_limit_remaining, 20);
  EXPECT_EQ(health.rate_limit_limit, 100);
  EXPECT_EQ(health.rate_limited_until, kNow + 60s);
  EXPECT_FALSE(health.open);  // the first call is the probe
}

TEST(HealthBook, IgnoresDamagedText) {
  HealthBook book;
  book.set_urls({"http://a"});
  for (const char* text : {"", "health 2\nurl http://a 5 1 x\n", "health 1\nurl\nurl http://a\nurl http://a x y z\n",
                           "health 1\nbudget -1 99999999999999999999 x\n", "health 1\nurl http://z 5 1 x"}) {
    book.load(text, kNow);
    EXPECT_EQ(book.of("http://a", kNow).consecutive_failures, 0u) << text;
    EXPECT_EQ(book.of("http://a", kNow).rate_limit_remaining, std::nullopt) << text;
  }
}

TEST(TokenCache, RenewsBehindPast80PercentAndAsksAgainWhenExpired) {
  test::FakeClock clock;
  test::FakeLoop loop(clock);
  TokenCache cache;
  const auto t0 = clock.steady_now();
  std::string got;
  auto entered = cache.wait("k", loop, [&](Outcome<std::string> o) { got = std::get<std::string>(o); });
  EXPECT_TRUE(entered.request);
  auto second = cache.wait("k", loop, [](Outcome<std::string>) { FAIL() << "dropped"; });
  EXPECT_FALSE(second.request);
  second.wait.reset();
  cache.finish("k", registry::TokenReply{"t1", 100s}, t0);
  EXPECT_EQ(got, "");  // later, on its loop
  loop.run_all();
  EXPECT_EQ(got, "t1");
  auto look = cache.find("k", t0 + 79s);
  EXPECT_EQ(look.token, "t1");
  EXPECT_FALSE(look.request);
  look = cache.find("k", t0 + 80s);
  EXPECT_EQ(look.token, "t1");
  EXPECT_TRUE(look.request);
  EXPECT_FALSE(cache.find("k", t0 + 81s).request);  // one renewal at a time
  cache.finish("k", failure(Kind::unavailable), t0 + 82s);
  EXPECT_EQ(cache.find("k", t0 + 83s).token, "t1");
  EXPECT_FALSE(cache.find("k", t0 + 100s).token);
  EXPECT_EQ(cache.find("k", t0 + 90s).token, "t1");
  cache.drop("k", "another");
  EXPECT_TRUE(cache.find("k", t0 + 90s).token);
  cache.drop("k", "t1");
  EXPECT_FALSE(cache.find("k", t0 + 90s).token);
}

TEST(FakeRegistry, AnswersFromItsContentAndStepsThroughBlobs) {
  test::FakeClock clock;
  test::FakeLoop loop(clock);
  test::FakeUpstream content;
  test::FakeRegistry registry(loop, content);
  const auto digest = content.put_manifest("library/x", "latest", "{}");
  int answers = 0;
  auto call = registry.get_manifest("library/x", "latest", [&](Outcome<Manifest> o) {
    EXPECT_EQ(std::get<Manifest>(o).digest, digest);
    ++answers;
  });
  EXPECT_EQ(answers, 0);
  loop.run_all();
  EXPECT_EQ(answers, 1);
  content.fail_next(test::FakeUpstream::Op::get_manifest, failure(Kind::unavailable));
  auto failing = registry.get_manifest("library/x", "latest", [&](Outcome<Manifest> o) {
    EXPECT_EQ(std::get<Failure>(o).kind, Kind::unavailable);
    ++answers;
  });
  loop.run_all();
  EXPECT_EQ(answers, 2);
  EXPECT_EQ(content.count(test::FakeUpstream::Op::get_manifest), 2u);

  struct Sink : BlobSink {
    void on_start(std::uint64_t at, std::optional<std::uint64_t> t) override {
      offset = at;
      total = t;
    }
    fetch::Flow on_data(std::string_view bytes) override {
      body += bytes;
      return pause ? fetch::Flow::pause : fetch::Flow::go_on;
    }
    void on_end(std::optional<Failure> f) override {
      ended = true;
      failed = f.has_value();
    }
    std::uint64_t offset = 99;
    std::optional<std::uint64_t> total;
    std::string body;
    bool pause = false, ended = false, failed = false;
  } sink;
  const auto blob = content.put_blob("library/x", "0123456789");
  auto automatic = registry.get_blob("library/x", blob, 3, 10, 0, sink);
  loop.run_all();
  EXPECT_EQ(sink.offset, 3u);
  EXPECT_EQ(sink.body, "3456789");
  EXPECT_TRUE(sink.ended);

  content.manual_blobs(true);
  Sink manual;
  manual.pause = true;
  auto handle = registry.get_blob("library/x", blob, 0, 10, 0, manual);
  auto step = content.blob_call(1);
  step->start(0, 10);
  step->data("01");
  step->data("23");
  loop.run_all();
  EXPECT_EQ(manual.body, "01");
  EXPECT_TRUE(step->paused());
  handle.resume();
  loop.run_all();
  EXPECT_EQ(manual.body, "0123");
  handle.cancel();
  EXPECT_TRUE(step->dropped());
  step->end();
  loop.run_all();
  EXPECT_FALSE(manual.ended);
}

}  // namespace
}  // namespace shoal::upstream
