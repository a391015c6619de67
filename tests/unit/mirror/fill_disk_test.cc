// What an earlier run kept, disks that are full, blobs that are too large: the client gets its bytes all the same.
#include <gtest/gtest.h>

#include "support/mirror_world.h"

namespace shoal::test {
namespace {

using Op = FakeUpstream::Op;
using Kind = upstream::Failure::Kind;

TEST(KeptBytes, PrefixIsGoneOnFrom) {
  MirrorWorld world;
  const auto bytes = some_bytes(300'000);
  const auto digest = world.upstream.put_blob("library/app", bytes);
  world.store.keep(digest, bytes.substr(0, 200'000));
  const auto blob = world.opened(kApp, digest);
  ASSERT_NE(blob, nullptr);
  EXPECT_EQ(Body(blob->read_all()).drain().bytes, bytes);
  EXPECT_EQ(world.upstream.blob_call(0)->offset, 200'000U);
  EXPECT_TRUE(world.store.has_blob(digest));
}

TEST(KeptBytes, CompleteFileIsVerifiedWithoutUpstreamWhenTheRightIsProven) {
  MirrorWorld world;
  const auto bytes = some_bytes(100'000);
  const auto digest = base::digest_of(bytes);
  world.upstream.fail_everything(failure(Kind::unavailable));
  world.store.keep(digest, bytes);
  world.link(kApp, digest, bytes.size(), true);
  const auto blob = world.opened(kApp, digest);
  ASSERT_NE(blob, nullptr);
  EXPECT_EQ(Body(blob->read_all()).drain().bytes, bytes);
  EXPECT_EQ(world.count(Op::get_blob) + world.count(Op::head_blob), 0U);
  EXPECT_TRUE(world.store.has_blob(digest));
}

TEST(KeptBytes, CompleteFileNeedsOneHeadWhenTheRightIsNotProven) {
  MirrorWorld world;
  const auto bytes = some_bytes(100'000);
  const auto digest = world.upstream.put_blob("library/app", bytes);
  world.store.keep(digest, bytes);
  world.link(kApp, digest, bytes.size(), false);
  world.upstream.fail_next(Op::head_blob, failure(Kind::unavailable, 503));  // asked again
  auto asked = world.open(kApp, digest);
  world.advance(std::chrono::seconds(1));
  ASSERT_TRUE(asked->ok());
  EXPECT_EQ(Body(asked->value()->read_all()).drain().bytes, bytes);
  EXPECT_EQ(world.count(Op::head_blob), 2U);
  EXPECT_EQ(world.count(Op::get_blob), 0U);
}

TEST(KeptBytes, CompleteFileIsNotShownWhereUpstreamDoesNotHaveIt) {
  MirrorWorld world;
  const auto bytes = some_bytes(100'000);
  const auto digest = base::digest_of(bytes);
  world.store.keep(digest, bytes);
  world.link(kApp, digest, bytes.size(), false);
  auto asked = world.open(kApp, digest);
  world.run();
  ASSERT_NE(asked->refusal(), nullptr);
  EXPECT_EQ(asked->refusal()->kind, mirror::Refusal::Kind::not_found);
  EXPECT_EQ(world.store.kept(digest), bytes);  // it is somebody's
}

TEST(KeptBytes, PrefixIsNotShownBeforeUpstreamSaidYes) {
  mirror::MirrorOptions options;
  options.header_wait = std::chrono::seconds(1);
  MirrorWorld world(options);
  world.upstream.manual_blobs(true);
  const auto bytes = some_bytes(300'000);
  const auto digest = base::digest_of(bytes);
  world.store.keep(digest, bytes.substr(0, 200'000));
  world.link(kApp, digest, bytes.size(), false);
  auto asked = world.open(kApp, digest);
  world.advance(std::chrono::seconds(2));
  ASSERT_TRUE(asked->ok());  // the head
  Body body(asked->value()->read_all());
  body.follow();
  EXPECT_TRUE(body.bytes.empty());
  world.upstream.blob_call(0)->start(200'000, bytes.size());
  world.run();
  EXPECT_EQ(body.bytes, bytes.substr(0, 200'000));
}

TEST(KeptBytes, DamagedPrefixIsFetchedAgainAndNobodyBlamed) {
  MirrorWorld world;
  const auto bytes = some_bytes(60'000);
  const auto digest = world.upstream.put_blob("library/app", bytes);
  world.store.keep(digest, some_bytes(30'000, 9));
  const auto blob = world.opened(kApp, digest);
  ASSERT_NE(blob, nullptr);
  EXPECT_EQ(Body(blob->read_all()).drain().bytes, bytes);
  EXPECT_TRUE(world.upstream.corrupt_reports().empty());
  EXPECT_EQ(world.store.quarantined().size(), 1U);
  EXPECT_TRUE(world.store.has_blob(digest));
}

TEST(KeptBytes, BlobThatCannotBeOpenedForWantOfDescriptorsIsLeftAlone) {
  MirrorWorld world;
  const auto bytes = some_bytes(60'000);
  const auto digest = world.upstream.put_blob("library/app", bytes);
  world.store.put_blob(digest, bytes);
  world.link(kApp, digest, bytes.size(), true);
  world.store.refuse_blobs(base::Error(base::ErrorKind::busy, "Too many open files"));
  auto asked = world.open(kApp, digest);
  world.run();
  ASSERT_NE(asked->refusal(), nullptr);
  EXPECT_EQ(asked->refusal()->kind, mirror::Refusal::Kind::overloaded);
  EXPECT_EQ(world.store.fills_begun(), 0U);
  EXPECT_EQ(world.upstream.blob_calls(), 0U);
  world.store.refuse_blobs(std::nullopt);
  EXPECT_NE(world.opened(kApp, digest), nullptr);
}

TEST(KeptBytes, DamagedBlobIsHealed) {
  MirrorWorld world;
  const auto bytes = some_bytes(60'000);
  const auto digest = world.upstream.put_blob("library/app", bytes);
  auto damaged = bytes;
  damaged[100] ^= 1;
  world.store.damage_blob(digest, damaged);
  world.link(kApp, digest, bytes.size(), true);
  EXPECT_EQ(world.mirror->try_blob(kApp, digest), nullptr);
  const auto blob = world.opened(kApp, digest);
  ASSERT_NE(blob, nullptr);
  EXPECT_EQ(Body(blob->read_all()).drain().bytes, bytes);
  EXPECT_TRUE(world.store.has_blob(digest));
  EXPECT_NE(world.mirror->try_blob(kApp, digest), nullptr);
}

TEST(KeptBytes, RangeNotSatisfiableMeansThatAllIsHere) {
  MirrorWorld world;
  world.upstream.manual_blobs(true);
  const auto bytes = some_bytes(60'000);
  const auto digest = base::digest_of(bytes);
  world.store.keep(digest, bytes);
  auto asked = world.open(kApp, digest);  // its size is not known
  world.run();
  ASSERT_EQ(world.upstream.blob_calls(), 1U);
  world.upstream.blob_call(0)->end(failure(Kind::bad_answer, 416));
  world.run();
  ASSERT_TRUE(asked->ok());
  EXPECT_EQ(Body(asked->value()->read_all()).drain().bytes, bytes);
  EXPECT_EQ(world.upstream.blob_calls(), 1U);
}

TEST(DiskFull, EveryReaderGetsTheWholeBlobAndNothingIsKept) {
  MirrorWorld world;
  world.store.fill_up_at(1 << 20);
  world.upstream.manual_blobs(true);
  const auto bytes = some_bytes(6 << 20);
  const auto digest = base::digest_of(bytes);
  auto a = world.open(kApp, digest);
  auto b = world.open(kApp, digest);
  world.run();
  auto call = world.upstream.blob_call(0);
  call->start(0, bytes.size());
  world.run();
  Body body_a(a->value()->read_all());
  Body body_b(b->value()->read({5, bytes.size()}));
  body_a.follow();
  body_b.follow();
  for (std::size_t at = 0; at < bytes.size(); at += 100'000) call->data(bytes.substr(at, 100'000));
  call->end();
  world.run();
  EXPECT_TRUE(body_a.ended);
  EXPECT_EQ(body_a.bytes, bytes);
  EXPECT_TRUE(body_b.ended);
  EXPECT_EQ(body_b.bytes, bytes.substr(5));
  EXPECT_EQ(world.store.published(), 0U);
  EXPECT_FALSE(world.store.kept(digest).has_value());
  EXPECT_EQ(world.store.fills_running(), 0U);
}

TEST(DiskFull, SlowReaderHoldsBackUpstreamAndMemoryStaysBounded) {
  for (const std::size_t spill : {std::size_t{0}, std::size_t{1000}, std::size_t{1} << 20, std::size_t{4} << 20}) {
    SCOPED_TRACE(spill);
    mirror::MirrorOptions options;
    options.spill_memory = spill;
    MirrorWorld world(options);
    world.store.fill_up_at(0);
    world.upstream.manual_blobs(true);
    const auto bytes = some_bytes(24 << 20);
    const auto digest = base::digest_of(bytes);
    auto asked = world.open(kApp, digest);
    world.run();
    auto call = world.upstream.blob_call(0);
    call->start(0, bytes.size());
    for (std::size_t at = 0; at < bytes.size(); at += 64 * 1024) call->data(bytes.substr(at, 64 * 1024));
    call->end();
    world.run();
    ASSERT_TRUE(asked->ok());
    Body body(asked->value()->read_all());
    std::uint64_t most = 0;
    for (int i = 0; i < 10'000 && !body.ended && !body.error; ++i) {
      body.drain(50'000);
      world.run();
      most = std::max(most, call->delivered() - body.bytes.size());
    }
    EXPECT_TRUE(body.ended);
    EXPECT_EQ(body.bytes, bytes);
    EXPECT_LE(most, spill + (5 << 20));  // what waits to be hashed, and the end that is held back
  }
}

TEST(DiskFull, StuckReaderIsCutWhenOthersStarve) {
  MirrorWorld world;
  world.store.fill_up_at(1 << 20);
  world.upstream.manual_blobs(true);
  const auto bytes = some_bytes(30 << 20);
  const auto digest = base::digest_of(bytes);
  auto stuck = world.open(kApp, digest);
  auto fast = world.open(kApp, digest);
  world.run();
  auto call = world.upstream.blob_call(0);
  call->start(0, bytes.size());
  world.run();
  Body stuck_body(stuck->value()->read_all());
  Body fast_body(fast->value()->read_all());
  fast_body.follow();
  for (std::size_t at = 0; at < bytes.size(); at += 64 * 1024) call->data(bytes.substr(at, 64 * 1024));
  call->end();
  world.run();
  EXPECT_LT(fast_body.bytes.size(), bytes.size() / 2);
  world.advance(std::chrono::seconds(6));
  EXPECT_TRUE(fast_body.ended);
  EXPECT_EQ(fast_body.bytes, bytes);
  stuck_body.drain();
  EXPECT_TRUE(stuck_body.error);
  EXPECT_FALSE(stuck_body.ended);
}

TEST(DiskFull, ReaderThatIsAloneMayBeAsSlowAsItLikes) {
  MirrorWorld world;
  world.store.fill_up_at(0);
  world.upstream.manual_blobs(true);
  const auto bytes = some_bytes(12 << 20);
  auto asked = world.open(kApp, base::digest_of(bytes));
  world.run();
  auto call = world.upstream.blob_call(0);
  call->start(0, bytes.size());
  for (std::size_t at = 0; at < bytes.size(); at += 64 * 1024) call->data(bytes.substr(at, 64 * 1024));
  call->end();
  world.run();
  Body body(asked->value()->read_all());
  world.advance(std::chrono::minutes(1));
  body.follow();
  world.run();
  EXPECT_TRUE(body.ended);
  EXPECT_EQ(body.bytes, bytes);
}

TEST(DiskFull, LastReaderThatLeavesEndsTheFetch) {
  MirrorWorld world;
  world.store.fill_up_at(0);
  world.upstream.manual_blobs(true);
  auto asked = world.open(kApp, base::digest_of("x"));
  world.run();
  auto call = world.upstream.blob_call(0);
  call->start(0, 10 << 20);
  call->data(some_bytes(1 << 20));
  world.run();
  EXPECT_FALSE(call->dropped());
  asked.reset();
  world.run();
  EXPECT_TRUE(call->dropped());
  EXPECT_EQ(world.store.fills_running(), 0U);
}

TEST(DiskFull, LastReaderThatLeavesDuringARetryEndsIt) {
  MirrorWorld world;
  world.store.admit_up_to(0);
  world.upstream.manual_blobs(true);
  const auto digest = base::digest_of("x");
  world.link(kApp, digest, 10 << 20, true);
  auto asked = world.open(kApp, digest);
  world.run();
  world.upstream.blob_call(0)->start(0, 10 << 20);
  world.run();
  Body body(asked->value()->read_all());
  world.upstream.blob_call(0)->end(failure(Kind::unavailable));
  world.run();
  body.leave();
  world.advance(std::chrono::seconds(5));
  EXPECT_EQ(world.upstream.blob_calls(), 1U);
}

// A body that does not say where it ends must not push everything else out first.
TEST(DiskFull, BlobOfUnknownSizeIsKeptOnlyWhileThereWouldBeRoomForMore) {
  MirrorWorld world;
  world.store.admit_up_to(40 << 20);
  world.upstream.manual_blobs(true);
  const auto bytes = some_bytes(20 << 20);
  const auto digest = base::digest_of(bytes);
  auto asked = world.open(kApp, digest);
  world.run();
  auto call = world.upstream.blob_call(0);
  call->start(0, std::nullopt);
  world.run();
  ASSERT_TRUE(asked->ok());
  Body body(asked->value()->read_all());
  body.follow();
  for (std::size_t at = 0; at < bytes.size(); at += 1 << 20) {
    call->data(bytes.substr(at, 1 << 20));
    world.advance(std::chrono::milliseconds(2));
  }
  call->end();
  world.run();
  EXPECT_TRUE(body.ended);
  EXPECT_TRUE(body.bytes == bytes);
  EXPECT_FALSE(world.store.has_blob(digest));
  EXPECT_EQ(world.store.fills_running(), 0U);
}

TEST(DiskFull, FileThatCannotBeOpenedIsPassedThrough) {
  MirrorWorld world;
  world.store.fail_open(true);
  const auto bytes = some_bytes(300'000);
  const auto digest = world.upstream.put_blob("library/app", bytes);
  auto asked = world.open(kApp, digest);
  world.run();
  ASSERT_TRUE(asked->ok());
  EXPECT_FALSE(asked->value()->seekable());
  EXPECT_FALSE(asked->value()->provenance().stored);
  Body body(asked->value()->read_all());
  body.follow();
  world.run();
  EXPECT_TRUE(body.ended);
  EXPECT_EQ(body.bytes, bytes);
}

TEST(DiskFull, FailedPublishServesAndTheNextRequestTriesAgain) {
  MirrorWorld world;
  world.store.fail_publish(true);
  const auto bytes = some_bytes(1000);
  const auto digest = world.upstream.put_blob("library/app", bytes);
  auto blob = world.opened(kApp, digest);
  ASSERT_NE(blob, nullptr);
  EXPECT_EQ(Body(blob->read_all()).drain().bytes, bytes);
  EXPECT_FALSE(world.store.find_blob(digest).has_value());
  world.store.fail_publish(false);
  world.link(kApp, digest, bytes.size(), true);
  blob = world.opened(kApp, digest);
  ASSERT_NE(blob, nullptr);
  world.run();
  EXPECT_TRUE(world.store.has_blob(digest));
  EXPECT_EQ(world.count(Op::get_blob), 1U);
}

TEST(PassThrough, BlobLargerThanTheCacheIsPassedOn) {
  for (const bool size_known : {false, true}) {
    MirrorWorld world;
    world.store.admit_up_to(100'000);
    const auto bytes = some_bytes(400'000);
    const auto digest = world.upstream.put_blob("library/app", bytes);
    if (size_known) world.link(kApp, digest, bytes.size(), false);
    auto asked = world.open(kApp, digest);
    world.run();
    ASSERT_TRUE(asked->ok());
    EXPECT_FALSE(asked->value()->seekable());
    EXPECT_FALSE(asked->value()->provenance().stored);
    Body body(asked->value()->read_all());
    body.follow();
    world.run();
    EXPECT_TRUE(body.ended);
    EXPECT_EQ(body.bytes, bytes);
    EXPECT_FALSE(world.store.find_blob(digest).has_value());
  }
}

TEST(PassThrough, LateJoinerStartsAnotherFetch) {
  MirrorWorld world;
  world.store.admit_up_to(0);
  world.upstream.manual_blobs(true);
  const auto bytes = some_bytes(400'000);
  const auto digest = base::digest_of(bytes);
  auto first = world.open(kApp, digest);
  world.run();
  auto call = world.upstream.blob_call(0);
  call->start(0, bytes.size());
  world.run();
  Body body(first->value()->read_all());
  body.follow();
  call->data(bytes.substr(0, 300'000));
  world.run();
  EXPECT_GT(body.bytes.size(), 0U);
  auto late = world.open(kApp, digest);
  world.run();
  ASSERT_EQ(world.upstream.blob_calls(), 2U);
  auto second = world.upstream.blob_call(1);
  second->start(0, bytes.size());
  second->data(bytes);
  second->end();
  world.run();
  ASSERT_TRUE(late->ok());
  Body late_body(late->value()->read_all());
  late_body.follow();
  world.run();
  EXPECT_EQ(late_body.bytes, bytes);
  call->data(bytes.substr(300'000));
  call->end();
  world.run();
  EXPECT_EQ(body.bytes, bytes);  // the first was not disturbed
}

TEST(PassThrough, WrongBytesAreNeverACompleteBody) {
  MirrorWorld world;
  world.store.admit_up_to(0);
  world.upstream.manual_blobs(true);
  auto bytes = some_bytes(400'000);
  const auto digest = base::digest_of(bytes);
  bytes[7] ^= 1;
  auto asked = world.open(kApp, digest);
  world.run();
  world.upstream.blob_call(0)->start(0, bytes.size());
  world.run();
  Body body(asked->value()->read_all());
  body.follow();
  world.upstream.blob_call(0)->data(bytes);
  world.upstream.blob_call(0)->end();
  world.advance(std::chrono::seconds(1));
  EXPECT_FALSE(body.ended);
  EXPECT_TRUE(body.error.has_value());
  EXPECT_LE(body.bytes.size(), bytes.size() - 64 * 1024);
}

}  // namespace
}  // namespace shoal::test
