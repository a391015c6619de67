// Bad upstreams never poison: retries, resumption, wrong bytes, wrong sizes.
#include <gtest/gtest.h>

#include "support/mirror_world.h"

namespace shoal::test {
namespace {

using Op = FakeUpstream::Op;
using Kind = upstream::Failure::Kind;

TEST(FillFailure, GoesOnFromWhatItHasAfterAReset) {
  for (const auto kind : {Kind::unavailable, Kind::timeout, Kind::bad_answer}) {
    MirrorWorld world;
    const auto bytes = some_bytes(300'000);
    const auto digest = world.upstream.put_blob("library/app", bytes);
    world.upstream.set_chunk_bytes(10'000);
    world.upstream.script_blob({.cut_after = 123'456, .failure = failure(kind)});
    auto asked = world.open(kApp, digest);
    world.run();
    ASSERT_TRUE(asked->ok());
    Body body(asked->value()->read_all());
    body.follow();
    world.advance(std::chrono::seconds(5));
    EXPECT_TRUE(body.ended);
    EXPECT_EQ(body.bytes, bytes);
    ASSERT_EQ(world.upstream.blob_calls(), 2U);
    EXPECT_EQ(world.upstream.blob_call(1)->offset, 123'456U);
    EXPECT_EQ(world.upstream.blob_call(1)->source, 1U);  // the next URL
    EXPECT_TRUE(world.store.has_blob(digest));
  }
}

TEST(FillFailure, RidesOutABurstOfErrors) {
  MirrorWorld world;
  const auto bytes = some_bytes(1000);
  const auto digest = world.upstream.put_blob("library/app", bytes);
  auto limited = failure(Kind::rate_limited, 429);
  limited.retry_after = std::chrono::seconds(1);
  world.upstream.fail_next(Op::get_blob, failure(Kind::unavailable, 503));
  world.upstream.fail_next(Op::get_blob, limited);
  world.upstream.fail_next(Op::get_blob, failure(Kind::unavailable));
  auto asked = world.open(kApp, digest);
  world.advance(std::chrono::seconds(8));
  ASSERT_TRUE(asked->ok());
  EXPECT_EQ(Body(asked->value()->read_all()).drain().bytes, bytes);
  EXPECT_EQ(world.count(Op::get_blob), 4U);
}

TEST(FillFailure, EndlessErrorsAreRefusedOnce) {
  MirrorWorld world;
  world.upstream.fail_always(Op::get_blob, failure(Kind::unavailable, 503));
  auto asked = world.open(kApp, base::digest_of("x"));
  world.advance(std::chrono::seconds(60));
  ASSERT_NE(asked->refusal(), nullptr);
  EXPECT_EQ(asked->answers, 1);
  EXPECT_EQ(asked->refusal()->kind, mirror::Refusal::Kind::unavailable);
  EXPECT_EQ(world.count(Op::get_blob), 6U);  // retries: 5
  EXPECT_EQ(world.store.fills_running(), 0U);
}

TEST(FillFailure, AnErrorThatDoesNotGoByItselfIsRetriedOnce) {
  MirrorWorld world;
  auto untrusted = failure(Kind::unavailable);
  untrusted.lasting = true;
  world.upstream.fail_always(Op::get_blob, untrusted);
  world.upstream.fail_always(Op::get_manifest, untrusted);
  auto asked = world.open(kApp, base::digest_of("x"));
  auto manifest = world.manifest(kApp, base::digest_of("y"));
  world.advance(std::chrono::milliseconds(300));
  ASSERT_NE(asked->refusal(), nullptr);
  EXPECT_EQ(world.count(Op::get_blob), 2U);
  ASSERT_NE(manifest->refusal(), nullptr);
  EXPECT_EQ(world.count(Op::get_manifest), 2U);
}

TEST(FillFailure, OnceBytesHaveComeSuchAnErrorIsLikeAnyOther) {
  MirrorWorld world;
  const auto bytes = some_bytes(300'000);
  const auto digest = world.upstream.put_blob("library/app", bytes);
  auto untrusted = failure(Kind::unavailable);  // a gateway of the network answers in between
  untrusted.lasting = true;
  world.upstream.script_blob({.cut_after = 100'000, .failure = untrusted});
  auto asked = world.open(kApp, digest);
  world.run();
  for (int i = 0; i < 3; ++i) world.upstream.fail_next(Op::get_blob, untrusted);
  world.advance(std::chrono::seconds(8));
  ASSERT_TRUE(asked->ok());
  EXPECT_EQ(Body(asked->value()->read_all()).drain().bytes, bytes);
}

TEST(FillFailure, AttemptsThatBringMuchDoNotUseUpTheRetries) {
  MirrorWorld world;
  const auto bytes = some_bytes(10 * 300'000);
  const auto digest = world.upstream.put_blob("library/app", bytes);
  for (int i = 0; i < 9; ++i) {
    world.upstream.script_blob({.cut_after = 300'000, .failure = failure(Kind::unavailable)});
  }
  auto asked = world.open(kApp, digest);
  world.run();
  Body body(asked->value()->read_all());
  body.follow();
  world.advance(std::chrono::seconds(30));
  EXPECT_TRUE(body.ended);
  EXPECT_EQ(body.bytes, bytes);
}

TEST(FillFailure, AnswerThatIgnoresRangeIsSkippedToWhereWeAre) {
  MirrorWorld world;
  const auto bytes = some_bytes(300'000);
  const auto digest = world.upstream.put_blob("library/app", bytes);
  world.upstream.script_blob({.cut_after = 100'000, .failure = failure(Kind::unavailable)});
  world.upstream.script_blob({.ignore_range = true});
  auto asked = world.open(kApp, digest);
  world.run();
  Body body(asked->value()->read_all());
  body.follow();
  world.advance(std::chrono::seconds(5));
  EXPECT_TRUE(body.ended);
  EXPECT_EQ(body.bytes, bytes);
  EXPECT_TRUE(world.store.quarantined().empty());
}

TEST(FillFailure, AnswerOfAnotherRangeIsNotUsed) {
  MirrorWorld world;
  world.upstream.manual_blobs(true);
  const auto bytes = some_bytes(1000);
  const auto digest = base::digest_of(bytes);
  auto asked = world.open(kApp, digest);
  world.run();
  world.upstream.blob_call(0)->start(500, bytes.size());
  world.advance(std::chrono::seconds(1));
  EXPECT_TRUE(world.upstream.blob_call(0)->dropped());
  ASSERT_EQ(world.upstream.blob_calls(), 2U);
  world.upstream.blob_call(1)->start(0, bytes.size());
  world.upstream.blob_call(1)->data(bytes);
  world.upstream.blob_call(1)->end();
  world.run();
  EXPECT_TRUE(world.store.has_blob(digest));
}

TEST(FillFailure, WrongBytesStartOverForAReaderThatSentNothing) {
  MirrorWorld world;
  const auto bytes = some_bytes(50'000);  // all of it held back
  const auto digest = world.upstream.put_blob("library/app", bytes);
  world.upstream.script_blob({.flip_byte = 10});
  auto asked = world.open(kApp, digest);
  world.run();
  ASSERT_TRUE(asked->ok());
  Body body(asked->value()->read_all());
  body.follow();
  world.run();
  EXPECT_TRUE(body.ended);
  EXPECT_EQ(body.bytes, bytes);
  EXPECT_EQ(world.upstream.corrupt_reports().size(), 1U);
  EXPECT_EQ(world.store.quarantined().size(), 1U);
  EXPECT_TRUE(world.store.has_blob(digest));
}

TEST(FillFailure, WrongBytesBreakTheBodyOfAReaderThatSentSome) {
  MirrorWorld world;
  world.upstream.manual_blobs(true);
  auto bytes = some_bytes(200'000);
  const auto digest = base::digest_of(bytes);
  auto wrong = bytes;
  wrong[10] ^= 1;
  auto asked = world.open(kApp, digest);
  world.run();
  world.upstream.blob_call(0)->start(0, bytes.size());
  world.upstream.blob_call(0)->data(wrong);
  world.run();
  Body body(asked->value()->read_all());
  body.follow();
  EXPECT_GT(body.bytes.size(), 0U);
  world.upstream.blob_call(0)->end();
  world.run();
  EXPECT_FALSE(body.ended);
  EXPECT_TRUE(body.error.has_value());
  EXPECT_LT(body.bytes.size(), bytes.size());
  // The next client gets sound bytes.
  auto next = world.open(kApp, digest);
  world.run();
  ASSERT_EQ(world.upstream.blob_calls(), 2U);
  world.upstream.blob_call(1)->start(0, bytes.size());
  world.upstream.blob_call(1)->data(bytes);
  world.upstream.blob_call(1)->end();
  world.run();
  ASSERT_TRUE(next->ok());
  EXPECT_EQ(Body(next->value()->read_all()).drain().bytes, bytes);
}

TEST(FillFailure, WrongBytesForEverAreGivenUpAndNeverKept) {
  MirrorWorld world;
  const auto digest = base::digest_of("the right bytes");
  world.upstream.put_blob_as("library/app", digest, "<html>the wrong bytes</html>");
  auto asked = world.open(kApp, digest);
  world.run();
  ASSERT_TRUE(asked->outcome.has_value());
  if (asked->ok()) {
    Body body(asked->value()->read_all());
    body.follow();
    world.advance(std::chrono::seconds(60));
    EXPECT_TRUE(body.error.has_value());
    EXPECT_FALSE(body.ended);
    EXPECT_TRUE(body.bytes.empty());
  }
  world.advance(std::chrono::seconds(60));
  EXPECT_FALSE(world.store.find_blob(digest).has_value());
  EXPECT_FALSE(world.store.kept(digest).has_value());
  EXPECT_EQ(world.count(Op::get_blob), 4U);
  EXPECT_EQ(world.store.fills_running(), 0U);
}

TEST(FillFailure, AnswerThatIsShorterThanTheManifestSaysIsResumed) {
  MirrorWorld world;
  const auto bytes = some_bytes(100'000);
  const auto digest = world.upstream.put_blob("library/app", bytes);
  world.link(kApp, digest, bytes.size(), false);
  world.upstream.script_blob({.hide_total = true, .cut_after = 40'000});  // ends as if that were all
  auto asked = world.open(kApp, digest);
  world.advance(std::chrono::seconds(2));
  ASSERT_TRUE(asked->ok());
  EXPECT_EQ(asked->value()->size(), bytes.size());
  EXPECT_EQ(Body(asked->value()->read_all()).drain().bytes, bytes);
  ASSERT_EQ(world.upstream.blob_calls(), 2U);
  EXPECT_EQ(world.upstream.blob_call(1)->offset, 40'000U);
}

TEST(FillFailure, ShortButConsistentAnswerIsNoticedByTheDigestAndItsSizeForgotten) {
  MirrorWorld world;
  const auto bytes = some_bytes(50'000);
  const auto digest = world.upstream.put_blob("library/app", bytes);
  world.upstream.script_blob({.cut_after = 20'000, .claim_total = 20'000});
  auto asked = world.open(kApp, digest);
  world.run();
  ASSERT_TRUE(asked->ok());
  EXPECT_EQ(asked->value()->size(), 20'000U);
  Body body(asked->value()->read_all());
  body.follow();
  world.advance(std::chrono::seconds(5));
  EXPECT_TRUE(body.error.has_value());  // it was told another size
  EXPECT_TRUE(body.bytes.empty());
  EXPECT_TRUE(world.store.has_blob(digest));
  const auto next = world.opened(kApp, digest);
  ASSERT_NE(next, nullptr);
  EXPECT_EQ(next->size(), 50'000U);
}

TEST(FillFailure, SizeClaimedByUpstreamIsNotRemembered) {
  MirrorWorld world;
  const auto digest = base::digest_of("right");
  world.upstream.put_blob_as("library/app", digest, "wrong, and longer");
  auto asked = world.open(kApp, digest);
  world.advance(std::chrono::seconds(30));
  const auto link = world.store.find_link(kApp.canonical(), digest);
  ASSERT_TRUE(link.has_value());
  EXPECT_EQ(link->size, std::nullopt);
}

TEST(FillFailure, AnswerThatIsLargerThanTheManifestSaysIsNotUsed) {
  MirrorWorld world;
  const auto bytes = some_bytes(10'000);
  const auto digest = world.upstream.put_blob("library/app", bytes);
  world.link(kApp, digest, bytes.size(), false);
  world.upstream.script_blob({.claim_total = 10'001});
  auto asked = world.open(kApp, digest);
  world.advance(std::chrono::seconds(2));
  ASSERT_TRUE(asked->ok());
  EXPECT_EQ(Body(asked->value()->read_all()).drain().bytes, bytes);
  EXPECT_EQ(world.count(Op::get_blob), 2U);
}

TEST(FillFailure, BytesBeyondTheSizeAreNotTaken) {
  MirrorWorld world;
  world.upstream.manual_blobs(true);
  const auto bytes = some_bytes(10'000);
  const auto digest = base::digest_of(bytes);
  auto asked = world.open(kApp, digest);
  world.run();
  auto call = world.upstream.blob_call(0);
  call->start(0, bytes.size());
  call->data(bytes + "and more, without end");
  call->data(some_bytes(1 << 20));
  world.run();
  EXPECT_TRUE(call->dropped());
  ASSERT_TRUE(asked->ok());
  EXPECT_EQ(Body(asked->value()->read_all()).drain().bytes, bytes);
  EXPECT_TRUE(world.store.has_blob(digest));
}

TEST(FillFailure, ManifestThatLiesAboutTheSizeDoesNotBlockTheBlobForEver) {
  MirrorWorld world;
  const auto bytes = some_bytes(10'000);
  const auto digest = world.upstream.put_blob("library/app", bytes);
  world.link(kApp, digest, 9'999, false);
  auto asked = world.open(kApp, digest);
  world.advance(std::chrono::seconds(10));
  EXPECT_TRUE(world.store.has_blob(digest));
  ASSERT_TRUE(asked->ok());
  EXPECT_EQ(asked->value()->size(), bytes.size());
}

TEST(FillFailure, BlobBeyondTheLimitIsRefused) {
  MirrorWorld world;
  world.edit([](upstream::UpstreamOptions& options) { options.max_blob_bytes = 1000; });
  const auto large = world.upstream.put_blob("library/app", some_bytes(1001));
  auto told = world.open(kApp, large);
  world.run();
  ASSERT_NE(told->refusal(), nullptr);
  EXPECT_EQ(told->refusal()->kind, mirror::Refusal::Kind::too_large);
  world.link(kApp, large, 1001, false);
  auto known = world.open(kApp, large);
  world.run();
  ASSERT_NE(known->refusal(), nullptr);
  EXPECT_EQ(known->refusal()->kind, mirror::Refusal::Kind::too_large);
  EXPECT_EQ(world.count(Op::get_blob), 1U);
}

TEST(FillFailure, EndlessAnswerWithoutALengthIsCutAtTheLimit) {
  MirrorWorld world;
  world.edit([](upstream::UpstreamOptions& options) { options.max_blob_bytes = 100'000; });
  world.upstream.manual_blobs(true);
  auto asked = world.open(kApp, base::digest_of("x"));
  world.run();
  auto call = world.upstream.blob_call(0);
  call->start(0, std::nullopt);
  world.run();
  Body body(asked->value()->read_all());
  body.follow();
  call->data(some_bytes(60'000));
  call->data(some_bytes(60'000));
  world.run();
  EXPECT_TRUE(call->dropped());
  EXPECT_TRUE(body.error.has_value());
  EXPECT_EQ(world.store.fills_running(), 0U);
}

TEST(FillFailure, StalledFetchIsRetriedAtOnceForALaterClient) {
  MirrorWorld world;
  const auto bytes = some_bytes(300'000);
  const auto digest = world.upstream.put_blob("library/app", bytes);
  world.upstream.script_blob({.cut_after = 100'000, .hang = true});
  auto first = world.open(kApp, digest);
  world.run();
  Body body(first->value()->read_all());
  body.follow();
  world.advance(std::chrono::seconds(4));
  auto early = world.open(kApp, digest);
  world.run();
  EXPECT_EQ(world.count(Op::get_blob), 1U);  // not silent for long yet
  world.advance(std::chrono::seconds(4));
  auto second = world.open(kApp, digest);
  world.run();
  EXPECT_EQ(world.count(Op::get_blob), 2U);
  EXPECT_EQ(world.upstream.blob_call(1)->offset, 100'000U);
  EXPECT_TRUE(world.upstream.blob_call(0)->dropped());
  ASSERT_TRUE(second->ok());
  EXPECT_TRUE(body.ended);
  EXPECT_EQ(body.bytes, bytes);
}

TEST(FillFailure, OneSilenceIsAnsweredByOneNewAttempt) {
  MirrorWorld world;
  const auto digest = world.upstream.put_blob("library/app", some_bytes(300'000));
  world.upstream.script_blob({.cut_after = 100'000, .hang = true});
  world.upstream.script_blob({.cut_after = 0, .hang = true});
  auto first = world.open(kApp, digest);
  world.advance(std::chrono::seconds(8));
  std::vector<AskedBlob> more;
  for (int i = 0; i < 5; ++i) {
    more.push_back(world.open(kApp, digest));
    world.advance(std::chrono::seconds(8));
  }
  EXPECT_EQ(world.count(Op::get_blob), 2U);
}

TEST(FillFailure, AnswerIsRefusedWhenUpstreamSaysNothing) {
  mirror::MirrorOptions options;
  options.answer_wait = std::chrono::seconds(20);
  MirrorWorld world(options);
  world.upstream.manual_blobs(true);
  auto asked = world.open(kApp, base::digest_of("x"));
  world.advance(std::chrono::milliseconds(19'900));
  EXPECT_FALSE(asked->outcome.has_value());
  world.advance(std::chrono::milliseconds(200));
  ASSERT_NE(asked->refusal(), nullptr);
  EXPECT_EQ(asked->refusal()->kind, mirror::Refusal::Kind::unavailable);
  // The fetch goes on, for those who come later.
  EXPECT_FALSE(world.upstream.blob_call(0)->dropped());
}

TEST(FillFailure, HeadLeavesAfterAWhileWhenTheSizeIsKnownAndUpstreamOnlySlow) {
  mirror::MirrorOptions options;
  options.header_wait = std::chrono::seconds(10);
  MirrorWorld world(options);
  world.upstream.manual_blobs(true);
  const auto bytes = some_bytes(1000);
  const auto digest = base::digest_of(bytes);
  world.link(kApp, digest, bytes.size(), false);
  auto asked = world.open(kApp, digest);
  world.advance(std::chrono::milliseconds(10'100));
  ASSERT_TRUE(asked->ok());
  EXPECT_EQ(asked->value()->size(), 1000U);
  Body body(asked->value()->read_all());
  body.follow();
  world.upstream.blob_call(0)->start(0, bytes.size());
  world.upstream.blob_call(0)->data(bytes);
  world.upstream.blob_call(0)->end();
  world.run();
  EXPECT_TRUE(body.ended);
  EXPECT_EQ(body.bytes, bytes);
}

TEST(FillFailure, NoHeadLeavesWhenUpstreamHasFailedAlready) {
  mirror::MirrorOptions options;
  options.header_wait = std::chrono::seconds(2);
  MirrorWorld world(options);
  const auto digest = base::digest_of("x");
  world.link(kApp, digest, 1, false);
  world.upstream.fail_always(Op::get_blob, failure(Kind::unavailable, 503));
  upstream::Health health;
  health.consecutive_failures = 1;
  health.last_error = "connect 10.0.0.1:443: connection refused";
  world.upstream.set_health(health);
  auto asked = world.open(kApp, digest);
  world.advance(std::chrono::seconds(3));
  ASSERT_NE(asked->refusal(), nullptr);
  EXPECT_EQ(asked->refusal()->kind, mirror::Refusal::Kind::unavailable);
  EXPECT_NE(asked->refusal()->message.find("connection refused"), std::string::npos) << asked->refusal()->message;
}

}  // namespace
}  // namespace shoal::test
