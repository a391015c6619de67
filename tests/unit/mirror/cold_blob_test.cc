// Cold blobs flow: one fetch, many readers, nothing complete before it is verified.
#include <gtest/gtest.h>

#include "support/mirror_world.h"

namespace shoal::test {
namespace {

using Op = FakeUpstream::Op;
constexpr std::uint64_t kHeld = 64 * 1024;

TEST(ColdBlob, ManyReadersCostOneGet) {
  MirrorWorld world;
  const auto bytes = some_bytes(300'000);
  const auto digest = world.upstream.put_blob("library/app", bytes);
  std::vector<AskedBlob> asked;
  for (int i = 0; i < 20; ++i) asked.push_back(world.open(kApp, digest));
  world.run();
  for (auto& a : asked) {
    ASSERT_TRUE(a->ok());
    EXPECT_EQ(a->answers, 1);
    Body body(a->value()->read_all());
    body.drain();
    EXPECT_TRUE(body.ended);
    EXPECT_EQ(body.bytes, bytes);
  }
  EXPECT_EQ(world.count(Op::get_blob), 1U);
  EXPECT_EQ(world.count(Op::head_blob), 0U);
  EXPECT_EQ(asked[0]->value()->provenance().kind, mirror::Provenance::Kind::miss);
  EXPECT_TRUE(asked[0]->value()->provenance().stored);
  EXPECT_EQ(asked[1]->value()->provenance().kind, mirror::Provenance::Kind::collapsed);
  EXPECT_TRUE(world.store.has_blob(digest));
  EXPECT_EQ(world.store.fills_running(), 0U);
  const auto events = world.events.take();
  ASSERT_EQ(events.size(), 1U) << "one fill, however many readers";
  EXPECT_EQ(events[0].kind, obs::EventKind::fill);
  EXPECT_EQ(events[0].repository, "docker.io/library/app");
  EXPECT_EQ(events[0].digest, digest.to_string());
  EXPECT_EQ(events[0].size, 300'000U);
  EXPECT_EQ(events[0].from, "docker.io");
}

TEST(ColdBlob, IsWarmAfterwards) {
  MirrorWorld world;
  const auto bytes = some_bytes(1000);
  const auto digest = world.upstream.put_blob("library/app", bytes);
  (void)world.opened(kApp, digest);
  world.run();
  const auto warm = world.mirror->try_blob(kApp, digest);
  ASSERT_NE(warm, nullptr);
  EXPECT_EQ(warm->size(), 1000U);
  Body body(warm->read({100, 200}));
  EXPECT_EQ(body.drain().bytes, bytes.substr(100, 100));
  EXPECT_EQ(world.mirror->try_blob(kOther, digest), nullptr);  // no right
  const auto again = world.opened(kApp, digest);
  ASSERT_NE(again, nullptr);
  EXPECT_EQ(again->provenance().kind, mirror::Provenance::Kind::hit);
  EXPECT_EQ(world.count(Op::get_blob), 1U);
}

TEST(ColdBlob, LateJoinerGetsTheFirstBytesAtOnce) {
  MirrorWorld world;
  world.upstream.manual_blobs(true);
  const auto bytes = some_bytes(500'000);
  const auto digest = base::digest_of(bytes);
  auto first = world.open(kApp, digest);
  world.run();
  auto call = world.upstream.blob_call(0);
  ASSERT_NE(call, nullptr);
  call->start(0, bytes.size());
  call->data(bytes.substr(0, 300'000));
  world.run();
  ASSERT_TRUE(first->ok());
  auto late = world.opened(kApp, digest);
  ASSERT_NE(late, nullptr);
  Body body(late->read_all());
  body.follow();
  EXPECT_EQ(body.bytes, bytes.substr(0, 300'000));
  call->data(bytes.substr(300'000));
  world.advance(std::chrono::milliseconds(2));
  EXPECT_EQ(body.bytes.size(), bytes.size() - kHeld);  // the last of it waits for the verdict
  call->end();
  world.run();
  EXPECT_TRUE(body.ended);
  EXPECT_EQ(body.bytes, bytes);
  EXPECT_EQ(world.upstream.blob_calls(), 1U);
}

// Each append costs wake-ups up to the readers, so that small pieces in quick succession go together.
TEST(ColdBlob, PiecesOfAFastUpstreamGoTogetherButNeverWaitLong) {
  MirrorWorld world;
  world.upstream.manual_blobs(true);
  const auto bytes = some_bytes(500'000);
  auto asked = world.open(kApp, base::digest_of(bytes));
  world.run();
  auto call = world.upstream.blob_call(0);
  ASSERT_NE(call, nullptr);
  call->start(0, bytes.size());
  call->data(bytes.substr(0, 1000));
  world.run();
  ASSERT_TRUE(asked->ok());
  Body body(world.opened(kApp, base::digest_of(bytes))->read_all());
  body.follow();
  EXPECT_EQ(body.bytes.size(), 1000U);  // the first does not wait
  call->data(bytes.substr(1000, 1000));
  world.run();
  EXPECT_EQ(body.bytes.size(), 1000U);
  world.advance(std::chrono::milliseconds(2));
  EXPECT_EQ(body.bytes.size(), 2000U);  // nor the next ones for more than a moment
  call->data(bytes.substr(2000, 1000));
  call->data(bytes.substr(3000, 300'000));
  world.run();
  EXPECT_EQ(body.bytes.size(), 303'000U);  // and many not at all
}

struct HeldCase {
  const char* name;
  base::ByteRange range;
  std::uint64_t before;  // bytes a reader may have before the verdict
};

TEST(ColdBlob, HoldsBackTheLast64KiBOfEveryBody) {
  const std::uint64_t size = 400'000;
  const HeldCase cases[] = {{"whole", {0, size}, size - kHeld},
                            {"bounded", {100'000, 300'000}, 200'000 - kHeld},
                            {"short", {100'000, 100'010}, 0},
                            {"suffix", {size - 100'000, size}, 100'000 - kHeld},
                            {"short suffix", {size - 10, size}, 0}};
  for (const auto& c : cases) {
    SCOPED_TRACE(c.name);
    MirrorWorld world;
    world.upstream.manual_blobs(true);
    const auto bytes = some_bytes(size);
    const auto digest = base::digest_of(bytes);
    auto asked = world.open(kApp, digest);
    world.run();
    auto call = world.upstream.blob_call(0);
    call->start(0, size);
    call->data(bytes);
    world.run();
    ASSERT_TRUE(asked->ok());
    Body body(asked->value()->read(c.range));
    body.follow();
    EXPECT_EQ(body.bytes.size(), c.before);
    EXPECT_FALSE(body.ended);
    call->end();
    world.run();
    EXPECT_TRUE(body.ended);
    EXPECT_EQ(body.bytes, bytes.substr(c.range.begin, c.range.size()));
  }
}

TEST(ColdBlob, HoldsBackTheEndWhenTheSizeIsUnknown) {
  MirrorWorld world;
  world.upstream.manual_blobs(true);
  const auto bytes = some_bytes(200'000);
  const auto digest = base::digest_of(bytes);
  auto asked = world.open(kApp, digest);
  world.run();
  auto call = world.upstream.blob_call(0);
  call->start(0, std::nullopt);
  call->data(bytes);
  world.run();
  ASSERT_TRUE(asked->ok());
  EXPECT_EQ(asked->value()->size(), std::nullopt);
  Body body(asked->value()->read_all());
  body.follow();
  EXPECT_EQ(body.bytes.size(), bytes.size() - kHeld);
  call->end();
  world.run();
  EXPECT_TRUE(body.ended);
  EXPECT_EQ(body.bytes, bytes);
}

TEST(ColdBlob, EmptyBlobEndsOnceVerified) {
  MirrorWorld world;
  const auto digest = world.upstream.put_blob("library/app", "");
  auto blob = world.opened(kApp, digest);
  ASSERT_NE(blob, nullptr);
  Body body(blob->read_all());
  body.follow();
  world.run();
  EXPECT_TRUE(body.ended);
  EXPECT_TRUE(body.bytes.empty());
}

TEST(ColdBlob, ClientThatLeavesDoesNotStopTheFill) {
  MirrorWorld world;
  world.upstream.manual_blobs(true);
  const auto bytes = some_bytes(200'000);
  const auto digest = base::digest_of(bytes);
  auto asked = world.open(kApp, digest);
  world.run();
  auto call = world.upstream.blob_call(0);
  call->start(0, bytes.size());
  call->data(bytes.substr(0, 100'000));
  world.run();
  Body(asked->value()->read_all()).drain();
  asked.reset();
  world.run();
  EXPECT_FALSE(call->dropped());
  call->data(bytes.substr(100'000));
  call->end();
  world.run();
  EXPECT_TRUE(world.store.has_blob(digest));
}

TEST(ColdBlob, ClientThatLeavesStopsTheFillIfSoConfigured) {
  mirror::MirrorOptions options;
  options.keep_filling = false;
  MirrorWorld world(options);
  world.upstream.manual_blobs(true);
  const auto bytes = some_bytes(200'000);
  const auto digest = base::digest_of(bytes);
  auto asked = world.open(kApp, digest);
  world.run();
  auto call = world.upstream.blob_call(0);
  call->start(0, bytes.size());
  call->data(bytes.substr(0, 100'000));
  world.run();
  asked.reset();
  world.run();
  EXPECT_TRUE(call->dropped());
  EXPECT_EQ(world.store.fills_running(), 0U);
  EXPECT_EQ(world.store.kept(digest), bytes.substr(0, 100'000));  // to go on from
  auto next = world.open(kApp, digest);
  world.run();
  ASSERT_EQ(world.upstream.blob_calls(), 2U);
  EXPECT_EQ(world.upstream.blob_call(1)->offset, 100'000U);
}

TEST(ColdBlob, ClientThatLeavesBeforeTheHeadStopsTheFillAtTheHead) {
  mirror::MirrorOptions options;
  options.keep_filling = false;
  MirrorWorld world(options);
  world.upstream.manual_blobs(true);
  const auto digest = base::digest_of("x");
  auto asked = world.open(kApp, digest);
  world.run();
  asked.reset();
  world.run();
  world.upstream.blob_call(0)->start(0, 1'000'000);
  world.run();
  EXPECT_TRUE(world.upstream.blob_call(0)->dropped());
  EXPECT_EQ(world.store.fills_running(), 0U);
}

TEST(ColdBlob, RequestInTheTurnOfTheLastLeaverIsNotToldThatEveryoneLeft) {
  mirror::MirrorOptions options;
  options.keep_filling = false;
  MirrorWorld world(options);
  world.upstream.manual_blobs(true);
  const auto bytes = some_bytes(1000);
  const auto digest = base::digest_of(bytes);
  auto first = world.open(kApp, digest);
  world.run();
  world.upstream.blob_call(0)->start(0, bytes.size());
  world.run();
  // The leaver's poke and the newcomer's request reach the owner in the same turn, in either order.
  first.reset();
  auto second = world.open(kApp, digest);
  world.run();
  auto call = world.upstream.blob_call(world.upstream.blob_calls() - 1);
  if (world.upstream.blob_calls() == 2) call->start(0, bytes.size());
  call->data(bytes);
  call->end();
  world.run();
  ASSERT_TRUE(second->ok());
  EXPECT_EQ(Body(second->value()->read_all()).drain().bytes, bytes);
}

TEST(ColdBlob, SlowReaderDoesNotHoldBackAFastOne) {
  MirrorWorld world;
  world.upstream.manual_blobs(true);
  const auto bytes = some_bytes(20 << 20);  // beyond every queue
  const auto digest = base::digest_of(bytes);
  auto slow = world.open(kApp, digest);
  auto fast = world.open(kApp, digest);
  world.run();
  auto call = world.upstream.blob_call(0);
  call->start(0, bytes.size());
  world.run();
  Body slow_body(slow->value()->read_all());
  Body fast_body(fast->value()->read_all());
  slow_body.drain(10);
  fast_body.follow();
  for (std::size_t at = 0; at < bytes.size(); at += 1 << 20) {
    call->data(bytes.substr(at, 1 << 20));
    world.run();
  }
  call->end();
  world.run();
  EXPECT_TRUE(fast_body.ended);
  EXPECT_EQ(fast_body.bytes, bytes);
  slow_body.drain();
  EXPECT_TRUE(slow_body.ended);
  EXPECT_EQ(slow_body.bytes, bytes);
}

TEST(ColdBlob, ManyMultipartRangesOfAnArrivingBlob) {
  MirrorWorld world;
  world.upstream.manual_blobs(true);
  const auto bytes = some_bytes(300'000);
  const auto digest = base::digest_of(bytes);
  auto asked = world.open(kApp, digest);
  world.run();
  auto call = world.upstream.blob_call(0);
  call->start(0, bytes.size());
  world.run();
  Body first(asked->value()->read({0, 100}));
  Body second(asked->value()->read({200'000, 200'100}));
  asked->value().reset();  // the handle may go first
  first.follow();
  second.follow();
  call->data(bytes);
  call->end();
  world.run();
  EXPECT_EQ(first.bytes, bytes.substr(0, 100));
  EXPECT_EQ(second.bytes, bytes.substr(200'000, 100));
}

TEST(ColdBlob, NotFoundIsRememberedForAWhile) {
  MirrorWorld world;
  const auto digest = base::digest_of("nowhere");
  auto asked = world.open(kApp, digest);
  world.run();
  ASSERT_NE(asked->refusal(), nullptr);
  EXPECT_EQ(asked->refusal()->kind, mirror::Refusal::Kind::not_found);
  auto again = world.open(kApp, digest);
  world.run();
  ASSERT_NE(again->refusal(), nullptr);
  EXPECT_EQ(again->refusal()->kind, mirror::Refusal::Kind::not_found);
  EXPECT_EQ(world.count(Op::get_blob), 1U);
  world.advance(std::chrono::seconds(11));
  auto later = world.open(kApp, digest);
  world.run();
  EXPECT_EQ(world.count(Op::get_blob), 2U);
  EXPECT_EQ(world.store.fills_running(), 0U);
}

TEST(ColdBlob, DeniedIsUnavailableAndNamesUpstream) {
  MirrorWorld world;
  world.upstream.fail_always(Op::get_blob, failure(upstream::Failure::Kind::denied, 401));
  auto asked = world.open(kApp, base::digest_of("x"));
  world.run();
  ASSERT_NE(asked->refusal(), nullptr);
  EXPECT_EQ(asked->refusal()->kind, mirror::Refusal::Kind::unavailable);
  EXPECT_NE(asked->refusal()->message.find("docker.io"), std::string::npos);
  EXPECT_TRUE(asked->refusal()->retry_after.has_value());
  EXPECT_EQ(world.count(Op::get_blob), 1U);
}

TEST(ColdBlob, RateLimitIsPassedOnWithItsRetryAfter) {
  MirrorWorld world;
  auto limited = failure(upstream::Failure::Kind::rate_limited, 429);
  limited.retry_after = std::chrono::seconds(300);
  world.upstream.fail_always(Op::get_blob, limited);
  auto asked = world.open(kApp, base::digest_of("x"));
  world.advance(std::chrono::seconds(19));
  ASSERT_NE(asked->refusal(), nullptr);
  EXPECT_EQ(asked->refusal()->kind, mirror::Refusal::Kind::rate_limited);
  EXPECT_EQ(asked->refusal()->retry_after, std::chrono::seconds(300));
}

TEST(ColdBlob, HeadMovesNoBody) {
  MirrorWorld world;
  const auto digest = world.upstream.put_blob("library/app", some_bytes(5000));
  auto stat = world.stat(kApp, digest);
  world.run();
  ASSERT_TRUE(stat->ok());
  EXPECT_EQ(stat->value().size, 5000U);
  EXPECT_EQ(world.count(Op::get_blob), 0U);
  EXPECT_EQ(world.count(Op::head_blob), 1U);
  auto gone = world.stat(kApp, base::digest_of("gone"));
  world.run();
  ASSERT_NE(gone->refusal(), nullptr);
  EXPECT_EQ(gone->refusal()->kind, mirror::Refusal::Kind::not_found);
}

TEST(ColdBlob, PendingThatIsDroppedIsNeverAnswered) {
  MirrorWorld world;
  const auto digest = world.upstream.put_blob("library/app", "x");
  auto asked = world.open(kApp, digest);
  asked->pending.reset();
  world.run();
  EXPECT_EQ(asked->answers, 0);
  auto crossing = world.open(kApp, digest);
  while (world.loops[digest.hash() % 2].run_one() || world.disk.run_one()) {
  }
  crossing->pending.reset();  // its answer is on its way
  world.run();
  EXPECT_EQ(crossing->answers, 0);
}

// Everything but the disk's work.
void run_loops(MirrorWorld& world) {
  while (world.loops[0].run_one() || world.loops[1].run_one()) continue;
}

// Stopped when clients have all of a blob, and it is just to be published.
struct StopWhilePublishing : MirrorWorld {
  void begin() {
    auto asked = open(kApp, digest);
    step_until([&] { return asked->ok(); });
    Body body(asked->value()->read_all());
    body.follow();
    step_until([&] { return body.ended; });
    EXPECT_EQ(store.published(), 0U);
    mirror->stop([this] { stopped = true; });
    run_loops(*this);
    EXPECT_FALSE(stopped);
  }
  template <class P>
  void step_until(P reached) {
    run_loops(*this);
    for (int step = 0; step < 1'000 && !reached(); ++step) {
      (void)disk.run_one();
      run_loops(*this);
    }
    ASSERT_TRUE(reached());
  }
  const std::string bytes = some_bytes(100'000);
  const base::Digest digest = upstream.put_blob("library/app", bytes);
  bool stopped = false;
};

TEST(ColdBlob, WhatIsBeingPublishedIsInTheStoreWhenTheMirrorHasStopped) {
  StopWhilePublishing world;
  world.begin();
  world.run();
  EXPECT_TRUE(world.stopped);
  EXPECT_TRUE(world.store.has_blob(world.digest));
}

TEST(ColdBlob, ADiskThatHangsHoldsUpTheStopForSomeSecondsOnly) {
  StopWhilePublishing world;
  world.begin();
  const auto pass = [&world](std::chrono::seconds time) {  // the loops have one clock
    world.loops[0].advance(time);
    world.loops[1].advance(std::chrono::seconds(0));
    run_loops(world);
  };
  pass(std::chrono::seconds(9));
  EXPECT_FALSE(world.stopped);
  pass(std::chrono::seconds(2));
  EXPECT_TRUE(world.stopped);
}

}  // namespace
}  // namespace shoal::test
