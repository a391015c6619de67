// A transfer that reaches a piece of a neighbour: it waits, is read over, or is left.
#include "pieces_world.h"

namespace shoal::test {
namespace {

using Op = FakeUpstream::Op;
using std::chrono::milliseconds;
using std::chrono::seconds;

TEST(HeldTransfer, UpstreamStopsWhereANeighbourBringsAPieceAndGoesOnBehindIt) {
  PiecesWorld world;
  world.near.swarmed.not_before = kPiece;  // piece 1 is a neighbour's
  world.upstream.set_chunk_bytes(30'000);
  auto asked = world.begin();
  ASSERT_TRUE(asked->ok());
  Body body(asked->value()->read_all());
  body.follow();
  EXPECT_EQ(body.bytes.size(), kPiece) << "not a byte of the next piece is written over";
  EXPECT_EQ(world.near.swarmed.advanced, kPiece);
  world.near.swarmed.not_before = UINT64_MAX;
  world.bring(1);
  world.tell(2);
  world.advance(milliseconds(200));
  EXPECT_TRUE(body.ended && body.bytes == world.bytes);
  EXPECT_TRUE(world.store.has_blob(world.digest));
  EXPECT_EQ(world.count(Op::get_blob), 1U) << "so little is read over";
  EXPECT_EQ(asked->value()->origins()->count(), (mirror::BytesFrom{0, 250'000, kPiece, kPiece}));
  EXPECT_EQ(asked->value()->origins()->count({90'000, 110'000}), (mirror::BytesFrom{0, 10'000, 10'000, 10'000}));
  EXPECT_EQ(world.metric("shoal_fill_bytes_total", {{"source", "swarm"}}), kPiece);
  EXPECT_EQ(world.copies(), 1.0);
}

TEST(HeldTransfer, ALongStretchThatANeighbourBroughtIsNotReadOver) {
  PiecesWorld world(2'000'000);
  world.upstream.manual_blobs(true);
  auto asked = world.begin();
  const auto first = world.send_up_to(1, 30'000);
  for (unsigned piece = 1; piece < 15; ++piece) world.bring(piece);
  world.tell(2);
  EXPECT_EQ(world.count(Op::get_blob), 1U);
  world.upstream.manual_blobs(false);
  world.near.swarmed.not_before = UINT64_MAX;
  world.tell(15);
  world.advance(milliseconds(200));
  EXPECT_EQ(world.count(Op::get_blob), 2U);
  EXPECT_TRUE(world.store.has_blob(world.digest));
  EXPECT_EQ(world.copies(), (kPiece + 30'000 + 500'000) / 2e6);
}

// A neighbour that was slow for a while: it sends again, and upstream the same.
TEST(HeldTransfer, UpstreamIsLeftToNeighboursThatBringMuchAndAskedAgainWhenTheyStop) {
  PiecesWorld world(4'000'000);
  world.near.swarmed.expected_to = world.bytes.size();
  world.upstream.manual_blobs(true);
  auto asked = world.begin();
  world.advance(milliseconds(1'200));
  ASSERT_EQ(world.count(Op::get_blob), 1U) << "they brought nothing";
  const auto call = world.upstream.blob_call(0);
  call->start(0, world.bytes.size());
  unsigned piece = 0;
  for (; piece < 30 && !call->dropped(); ++piece) {
    world.bring(piece);
    world.tell(piece + 1);
    call->data(world.bytes.substr(piece * kPiece, kPiece));
    world.advance(milliseconds(10));
  }
  EXPECT_EQ(piece, 11U) << "a MiB in vain, and no more";
  for (; piece < 30; ++piece) {
    world.bring(piece);
    world.tell(piece + 1);
    world.advance(milliseconds(500));
  }
  EXPECT_EQ(world.count(Op::get_blob), 1U);
  world.upstream.manual_blobs(false);
  world.advance(milliseconds(1'500));
  EXPECT_EQ(world.count(Op::get_blob), 2U);
  EXPECT_EQ(world.upstream.blob_call(1)->offset, 30 * kPiece);
  world.expect_whole(asked);
}

TEST(HeldTransfer, WhatWasHereBeforeIsReadOverHoweverMuchItIsInAll) {
  PiecesWorld world(4'000'000);
  world.upstream.manual_blobs(true);
  auto asked = world.begin();
  const auto call = world.upstream.blob_call(0);
  call->start(0, world.bytes.size());
  for (unsigned piece = 1; piece < 40; piece += 2) world.bring(piece);
  for (unsigned piece = 0; piece < 40; piece += 2) {
    world.near.swarmed.not_before = (piece + 1) * kPiece;
    call->data(world.bytes.substr(piece * kPiece, 2 * kPiece));
    world.advance(milliseconds(10));
    world.near.swarmed.not_before = UINT64_MAX;
    if (world.near.swarmed.taker != nullptr) world.near.swarmed.taker->on_swarm_bytes((piece + 2) * kPiece);
    world.advance(milliseconds(10));
  }
  call->end();
  world.advance(milliseconds(100));
  EXPECT_EQ(world.count(Op::get_blob), 1U);
  EXPECT_TRUE(world.store.has_blob(world.digest));
}

TEST(HeldTransfer, ATransferWaitsForPieceAfterPieceOfANeighbour) {
  PiecesWorld world;
  world.upstream.manual_blobs(true);
  auto asked = world.begin();
  const auto call = world.send_up_to(1, 130'000);  // all of piece 1, and of piece 2, which is a neighbour's as well
  for (unsigned piece : {1U, 2U}) {
    call->data(world.bytes.substr(kPiece + 130'000 + (piece - 1) * 10'000, 10'000));
    world.advance(milliseconds(700));
    world.bring(piece);
    world.near.swarmed.not_before = piece == 1 ? 2 * kPiece : UINT64_MAX;
    world.tell(piece + 1);
  }
  call->data(world.bytes.substr(250'000));
  call->end();
  world.advance(milliseconds(200));
  EXPECT_EQ(world.count(Op::get_blob), 1U);
  EXPECT_TRUE(world.store.has_blob(world.digest));
  world.expect_whole(asked);
}

TEST(HeldTransfer, ATransferThatEndsWhileItWaitsForANeighbourIsTakenToItsEnd) {
  PiecesWorld world;
  world.upstream.manual_blobs(true);
  auto asked = world.begin();
  const auto call = world.send_up_to(1, 250'000);  // to the end
  call->end();
  world.advance(milliseconds(10));
  world.bring(1);
  world.near.swarmed.not_before = UINT64_MAX;
  world.tell(2);
  world.advance(milliseconds(200));
  EXPECT_EQ(world.count(Op::get_blob), 1U);
  EXPECT_TRUE(world.store.has_blob(world.digest));
}

TEST(HeldTransfer, ATransferThatFailsWhileItWaitsForANeighbourGoesOnWhereItWas) {
  PiecesWorld world;
  world.upstream.manual_blobs(true);
  auto asked = world.begin();
  const auto call = world.send_up_to(1, 250'000);
  call->end(upstream::Failure{upstream::Failure::Kind::unavailable, 0, {}, "reset"});
  world.upstream.manual_blobs(false);
  world.near.swarmed.not_before = UINT64_MAX;
  world.advance(milliseconds(500));
  EXPECT_EQ(world.count(Op::get_blob), 2U);
  EXPECT_TRUE(world.store.has_blob(world.digest));
  world.advance(seconds(2));
  EXPECT_EQ(world.count(Op::get_blob), 2U);
}

TEST(HeldTransfer, ALeaseThatIsLostWhileATransferWaitsForANeighbourDisturbsNoOther) {
  PiecesWorld world;
  world.near.advice = {FakeSite::fetch(), FakeSite::follow_fetcher('b')};
  world.near.blobs[std::string(32, 'b')] = {.bytes = world.bytes.substr(0, 200'000), .hang = true, .claim = 350'000};
  world.upstream.manual_blobs(true);
  auto asked = world.begin();
  const auto call = world.send_up_to(1, 30'000);
  world.near.lost();
  world.near.swarmed.not_before = UINT64_MAX;
  world.advance(milliseconds(1'500));
  EXPECT_TRUE(call->dropped());
  EXPECT_EQ(world.near.gets.size(), 1U);
  EXPECT_EQ(world.count(Op::get_blob), 1U);
}

TEST(HeldTransfer, ALeaseThatIsLostWhenTheDiskHasJustFilledUpLosesNothing) {
  PiecesWorld world;
  world.near.advice = {FakeSite::fetch(), FakeSite::follow_fetcher('b')};
  world.near.blobs[std::string(32, 'b')] = {.bytes = world.bytes, .proven = true};
  world.upstream.manual_blobs(true);
  auto asked = world.begin();
  world.near.swarmed.not_before = kPiece;
  const auto call = world.upstream.blob_call(0);
  call->start(0, world.bytes.size());
  world.run();
  ASSERT_TRUE(asked->ok());
  Body body(asked->value()->read_all());
  body.follow();
  world.store.fill_up_at(60'000);
  call->data(world.bytes.substr(0, 130'000));
  auto& owner = world.loops[world.digest.hash() % 2];
  while (world.near.swarmed.taker != nullptr) {  // the append has failed; what is held is to be let go
    const bool ran = owner.run_one() || world.disk.run_one();
    ASSERT_TRUE(ran);
  }
  world.near.lost();
  world.advance(milliseconds(500));
  EXPECT_TRUE(body.ended && body.bytes == world.bytes) << (body.error ? body.error->message() : "");
}

TEST(HeldTransfer, ANeighboursTransferWaitsForPiecesAsUpstreamsDoes) {
  PiecesWorld world;
  world.near.advice = {FakeSite::follow_by_pieces('a')};
  world.near.blobs[std::string(32, 'a')] = {.bytes = world.bytes, .proven = true};
  auto asked = world.begin();
  world.near.swarmed.not_before = kPiece;
  world.near.swarmed.taker->on_swarm_lost(base::Error(base::ErrorKind::not_found, "not shared here"));
  world.advance(milliseconds(200));
  ASSERT_EQ(world.near.gets.size(), 1U) << "over HTTP";
  EXPECT_EQ(world.near.swarmed.advanced, kPiece);
  world.bring(1);
  world.near.swarmed.not_before = UINT64_MAX;
  world.tell(2);
  world.advance(milliseconds(100));
  EXPECT_EQ(world.near.gets.size(), 1U);
  EXPECT_EQ(world.count(Op::get_blob), 0U);
  EXPECT_TRUE(world.store.has_blob(world.digest));
  world.expect_whole(asked);
}

TEST(HeldTransfer, APieceThatANeighbourDoesNotBringAfterAllIsNotWaitedForLong) {
  PiecesWorld world;
  world.upstream.manual_blobs(true);
  auto asked = world.begin();
  const auto call = world.send_up_to(1, 30'000);
  world.advance(milliseconds(800));
  EXPECT_EQ(world.count(Op::get_blob), 1U);
  world.upstream.manual_blobs(false);
  world.near.swarmed.not_before = UINT64_MAX;  // its disk failed: the piece is anybody's again
  world.advance(milliseconds(400));
  EXPECT_EQ(world.count(Op::get_blob), 2U);
  EXPECT_TRUE(world.store.has_blob(world.digest));
}

TEST(HeldTransfer, ADiskThatFillsUpWhileATransferWaitsForANeighbourLosesNothing) {
  PiecesWorld world;
  world.upstream.manual_blobs(true);
  auto asked = world.begin();
  world.store.fill_up_at(60'000);
  const auto call = world.send_up_to(1, 30'000);
  ASSERT_TRUE(asked->ok());
  Body body(asked->value()->read_all());
  body.follow();
  call->data(world.bytes.substr(130'000));
  call->end();
  world.advance(milliseconds(100));
  EXPECT_TRUE(body.ended && body.bytes == world.bytes) << (body.error ? body.error->message() : "");
  EXPECT_EQ(world.count(Op::get_blob), 1U);
}

}  // namespace
}  // namespace shoal::test
