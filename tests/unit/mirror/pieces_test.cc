// A fill whose blob is in the swarm of its site: pieces of neighbours come in any order, and beside upstream.
#include "pieces_world.h"

namespace shoal::test {
namespace {

using Op = FakeUpstream::Op;
using std::chrono::milliseconds;
using std::chrono::seconds;

TEST(MirrorPieces, AFollowersClientReadsInOrderWhatComesInAnyOrder) {
  PiecesWorld world;
  world.near.advice = {FakeSite::follow_by_pieces('a')};
  auto asked = world.begin();
  ASSERT_EQ(world.near.swarmed.followed.size(), 1U);
  EXPECT_EQ(world.near.swarmed.followed[0].front().id, std::string(32, 'a'));
  world.start();
  ASSERT_TRUE(asked->ok());
  EXPECT_EQ(asked->value()->provenance().detail, "swarm, neighbour http://node-a:5000");
  Body body(asked->value()->read_all());
  body.follow();
  world.bring(2);
  EXPECT_EQ(body.bytes.size(), 0U);
  world.bring(0);
  world.tell(1);
  EXPECT_EQ(body.bytes.size(), kPiece) << "while the rest is still on its way";
  world.bring(1);
  world.tell(3);
  world.bring(3);
  world.tell(4);
  EXPECT_TRUE(body.ended && body.bytes == world.bytes);
  EXPECT_TRUE(world.store.has_blob(world.digest));
  EXPECT_EQ(world.count(Op::get_blob), 0U);
  EXPECT_EQ(world.near.swarmed.completed, 1U) << "others may go on to have it from here";
  EXPECT_EQ(world.near.completed, 1U);
}

TEST(MirrorPieces, TheFetcherLeadsAndTellsHowFarTheFileIsGood) {
  PiecesWorld world;
  auto asked = world.begin();
  EXPECT_EQ(world.near.swarmed.led, 1U);
  ASSERT_TRUE(asked->ok());
  world.expect_whole(asked);
  EXPECT_EQ(world.near.swarmed.advanced, world.bytes.size());
  EXPECT_EQ(world.near.swarmed.completed, 1U);
}

TEST(MirrorPieces, WhoTakesOverLetsNeighboursBringWhatTheyHaveFirst) {
  PiecesWorld world;
  world.near.advice = {FakeSite::follow_by_pieces('a'), FakeSite::fetch()};
  auto asked = world.begin();
  world.start();
  world.bring(0);
  world.tell(1);
  world.near.swarmed.expected_from = kPiece;  // piece 1 is known to others
  world.near.swarmed.expected_to = 2 * kPiece;
  world.near.swarmed.taker->on_swarm_lost(base::Error(base::ErrorKind::gone, "the fetcher died"));
  world.advance(milliseconds(300));
  EXPECT_EQ(world.near.swarmed.led, 1U);
  EXPECT_EQ(world.count(Op::get_blob), 0U);
  world.bring(1);
  world.tell(2);
  world.advance(milliseconds(200));
  EXPECT_EQ(world.count(Op::get_blob), 1U) << "upstream sends what nobody has";
  world.expect_whole(asked);
}

TEST(MirrorPieces, WhatNeighboursDoNotBringInTimeUpstreamSends) {
  PiecesWorld world;
  world.near.advice = {FakeSite::fetch()};
  world.near.swarmed.expected_to = world.bytes.size();  // so it was said, but nobody comes
  world.upstream.script_blob({.cut_after = kPiece});
  auto asked = world.begin();
  world.advance(milliseconds(500));
  world.near.swarmed.taker->on_swarm_piece();  // some of it, but not the next one
  world.advance(milliseconds(700));
  EXPECT_EQ(world.count(Op::get_blob), 0U) << "they may bring more";
  world.advance(milliseconds(1'000));
  EXPECT_EQ(world.count(Op::get_blob), 2U) << "they were waited for once in this turn";
  EXPECT_TRUE(world.store.has_blob(world.digest));
}

TEST(MirrorPieces, ASwarmThatIsNotThereIsDoneWithoutAndTheNodeIsNotAvoided) {
  PiecesWorld world;
  world.near.advice = {FakeSite::follow_by_pieces('a')};
  world.near.blobs[std::string(32, 'a')] = {.bytes = world.bytes, .proven = true};
  auto asked = world.begin();
  world.near.swarmed.taker->on_swarm_lost(base::Error(base::ErrorKind::not_found, "not shared here"));
  world.advance(milliseconds(200));
  ASSERT_EQ(world.near.gets.size(), 1U) << "over HTTP";
  EXPECT_TRUE(world.near.asked.back().empty());
  EXPECT_TRUE(world.store.has_blob(world.digest));
  EXPECT_EQ(world.count(Op::get_blob), 0U);
}

TEST(MirrorPieces, AnAuthorThatFallsSilentIsLeftAndAvoided) {
  PiecesWorld world;
  world.near.advice = {FakeSite::follow_by_pieces('a'), FakeSite::wait(milliseconds(100))};
  auto asked = world.begin();
  world.start();
  world.advance(milliseconds(4'900));
  EXPECT_EQ(world.near.asked.size(), 1U);
  world.advance(milliseconds(1'000));
  ASSERT_GE(world.near.asked.size(), 2U);
  EXPECT_EQ(world.near.asked[1], std::vector<std::string>{std::string(32, 'a')});
}

// Nobody whom it reaches holds the blob or fetches it; some that it reaches are getting it.
p2p::Ticket::Answer follow_through(char name) {
  auto node = FakeSite::node(name);
  node.port = 6881;
  return {p2p::Follow{{}, {}, {node}}, ""};
}

TEST(MirrorPieces, WhoReachesNoHolderGetsPiecesOfThoseThatAreGettingIt) {
  PiecesWorld world;
  world.near.advice = {follow_through('b')};
  auto asked = world.begin();
  ASSERT_EQ(world.near.swarmed.followed.size(), 1U);
  EXPECT_EQ(world.near.swarmed.followed[0].front().id, std::string(32, 'b'));
  world.start('b');
  for (unsigned piece : {3U, 2U, 1U, 0U}) world.bring(piece);
  world.tell(4);
  EXPECT_TRUE(world.store.has_blob(world.digest));
  EXPECT_EQ(world.count(Op::get_blob), 0U);
}

TEST(MirrorPieces, ThoseThatAreGettingItAndBringNothingAreLeftInTimeToHearOfANewFetcher) {
  PiecesWorld world;
  world.near.advice = {FakeSite::follow_by_pieces('a'), follow_through('b')};
  auto asked = world.begin();
  world.start();
  world.advance(milliseconds(6'000));  // a is silent
  ASSERT_EQ(world.near.swarmed.followed.size(), 2U);
  const auto questions = world.near.asked.size();
  world.advance(milliseconds(1'500));
  EXPECT_EQ(world.near.asked.size(), questions) << "the silence of another is not theirs";
  world.advance(milliseconds(2'000));
  EXPECT_GT(world.near.asked.size(), questions + 5);
  EXPECT_EQ(world.near.asked.back(), std::vector<std::string>{std::string(32, 'a')}) << "they are not to blame";
  EXPECT_EQ(world.near.swarmed.followed.size(), 2U) << "once, until something comes";
  EXPECT_TRUE(world.near.gets.empty()) << "whole they cannot send it";
}

TEST(MirrorPieces, NoRoomForPiecesEndsTheSwarmNotTheAnswer) {
  PiecesWorld world;
  world.near.advice = {FakeSite::follow_by_pieces('a')};
  world.near.blobs[std::string(32, 'a')] = {.bytes = world.bytes, .proven = true};
  auto asked = world.begin();
  world.start();
  world.bring(0);
  world.tell(1);
  Body body(asked->value()->read_all());
  body.follow();
  world.near.swarmed.taker->on_swarm_failed(base::Error(base::ErrorKind::full, "no room"));
  EXPECT_EQ(world.near.swarmed.taker, nullptr);
  world.advance(milliseconds(200));
  EXPECT_TRUE(body.ended && body.bytes == world.bytes);
  ASSERT_EQ(world.near.gets.size(), 1U);
  EXPECT_EQ(world.near.gets[0].second, kPiece) << "what came before is kept";
  EXPECT_EQ(world.near.swarmed.opened, 1U);
}

TEST(MirrorPieces, PiecesBehindBytesThatTheDiskHadNoRoomForReachClientsAllTheSame) {
  PiecesWorld world;
  world.upstream.manual_blobs(true);
  auto asked = world.begin();
  const auto call = world.upstream.blob_call(0);
  ASSERT_NE(call, nullptr);
  call->start(0, world.bytes.size());
  call->data(world.bytes.substr(0, 60'000));
  world.advance(milliseconds(10));
  ASSERT_TRUE(asked->ok());
  Body body(asked->value()->read_all());
  body.follow();
  ASSERT_EQ(body.bytes.size(), 60'000U);
  for (unsigned piece : {1U, 2U}) world.bring(piece);
  world.store.fill_up_at(60'000);
  call->data(world.bytes.substr(60'000, 40'000));
  auto& owner = world.loops[world.digest.hash() % 2];
  while (call->delivered() < kPiece) ASSERT_TRUE(owner.run_one());
  world.near.swarmed.tell(3 * kPiece);  // behind the append that fails, before its answer
  world.run();
  EXPECT_EQ(body.bytes.size(), world.bytes.size() - 64 * 1024) << (body.error ? body.error->message() : "");
  call->data(world.bytes.substr(kPiece));
  call->end();
  world.advance(milliseconds(100));
  EXPECT_TRUE(body.ended && body.bytes == world.bytes);
  EXPECT_EQ(world.count(Op::get_blob), 1U);
  EXPECT_FALSE(world.store.has_blob(world.digest));
}

TEST(MirrorPieces, AFetcherThatToldFalsePiecesTwiceIsLeftForGoodAndTheSiteIsAskedAgain) {
  PiecesWorld world;
  const std::vector<std::string> a{std::string(32, 'a')};
  world.near.advice = {FakeSite::follow_by_pieces('a'), FakeSite::follow_by_pieces('a'),
                       FakeSite::follow_by_pieces('b')};
  auto asked = world.begin();
  for (unsigned round = 1; round <= 2; ++round) {
    ASSERT_EQ(world.near.swarmed.opened, round);
    EXPECT_TRUE(world.near.asked.back().empty()) << "the first time it may have been upstream";
    world.start();
    world.near.swarmed.bring(0, std::string(world.bytes.size(), 'x'));
    world.tell(4);
    world.advance(milliseconds(500));
  }
  ASSERT_EQ(world.near.swarmed.followed.size(), 3U);
  EXPECT_EQ(world.near.swarmed.followed[2].front().id, std::string(32, 'b'));
  EXPECT_EQ(world.near.asked.back(), a);
  world.start('b');
  world.bring(0);
  world.tell(1);
  world.near.swarmed.taker->on_swarm_lost(base::Error(base::ErrorKind::cancelled, "tells no more"));
  world.advance(milliseconds(100));
  EXPECT_EQ(world.near.asked.back(), a) << "good bytes of another do not excuse it";
  for (unsigned piece : {3U, 2U, 1U}) world.bring(piece);
  world.tell(4);
  EXPECT_TRUE(world.store.has_blob(world.digest));
  EXPECT_EQ(world.count(Op::get_blob), 0U);
}

TEST(MirrorPieces, WhenOneLiarFollowsTheOtherUpstreamIsAskedAlone) {
  PiecesWorld world;
  world.near.advice = {FakeSite::follow_by_pieces('a'), FakeSite::follow_by_pieces('b'),
                       FakeSite::follow_by_pieces('c')};
  auto asked = world.begin();
  for (unsigned round = 1; round <= 3; ++round) {
    ASSERT_EQ(world.near.swarmed.opened, round);
    world.start("abc"[round - 1]);
    world.near.swarmed.bring(0, std::string(world.bytes.size(), 'x'));
    world.tell(4);
    world.advance(milliseconds(500));
  }
  EXPECT_EQ(world.near.swarmed.opened, 3U);
  EXPECT_EQ(world.count(Op::get_blob), 1U);
  EXPECT_TRUE(world.store.has_blob(world.digest));
  world.expect_whole(asked);
}

TEST(MirrorPieces, NeighboursThatContradictEachOtherMakeTheFillBeginAgain) {
  PiecesWorld world;
  world.near.advice = {FakeSite::follow_by_pieces('a')};
  auto asked = world.begin();
  world.start();
  world.near.swarmed.bring(0, std::string(kPiece, 'x'));
  world.tell(1);
  world.near.swarmed.taker->on_swarm_failed(base::Error(base::ErrorKind::corrupt, "they do not agree"));
  world.advance(milliseconds(500));
  ASSERT_EQ(world.near.swarmed.opened, 2U);
  EXPECT_EQ(world.near.swarmed.have, 0U);
  world.start();
  for (unsigned piece : {3U, 2U, 1U, 0U}) world.bring(piece);
  world.tell(4);
  EXPECT_TRUE(world.store.has_blob(world.digest));
}

// Found by tests/sim: two holders, one of them with other bytes, kept a blob from everybody for good.
TEST(MirrorPieces, NeighboursThatContradictEachOtherBeforeAByteCameAreLeftTheSecondTime) {
  PiecesWorld world;
  world.near.advice = {FakeSite::follow_by_pieces('a')};
  auto asked = world.begin();
  for (unsigned round = 1; round <= 2; ++round) {
    ASSERT_EQ(world.near.swarmed.opened, round);
    world.start();
    world.near.swarmed.taker->on_swarm_failed(base::Error(base::ErrorKind::corrupt, "they do not agree"));
    world.advance(milliseconds(500));
  }
  EXPECT_EQ(world.near.swarmed.opened, 2U) << "it was the only one, so it is the one";
  EXPECT_EQ(world.near.asked.back(), std::vector<std::string>{std::string(32, 'a')});
  world.advance(seconds(11));
  EXPECT_EQ(world.count(Op::get_blob), 1U);
  EXPECT_EQ(world.metric("shoal_site_turns_total", {{"role", "fall-back"}}), 1);
  EXPECT_TRUE(world.store.has_blob(world.digest));
  world.expect_whole(asked);
}

TEST(MirrorPieces, PiecesThatAreNotTheNextOneAreNoStall) {
  PiecesWorld world;
  world.near.advice = {FakeSite::follow_by_pieces('a'), FakeSite::wait(milliseconds(100))};
  auto asked = world.begin();
  world.start();
  for (int i = 0; i < 4; ++i) {
    world.advance(milliseconds(4'000));
    world.tell(0);
  }
  EXPECT_EQ(world.near.asked.size(), 1U);
}

TEST(MirrorPieces, PiecesThatComeBesideUpstreamAreNotFetchedTwice) {
  PiecesWorld world;
  world.upstream.set_chunk_bytes(50'000);
  world.upstream.hold(true);
  auto asked = world.begin();
  for (unsigned piece : {0U, 1U, 2U}) world.bring(piece);
  world.tell(3);
  world.upstream.release();
  world.upstream.hold(false);
  world.advance(milliseconds(200));
  EXPECT_TRUE(world.store.has_blob(world.digest));
  world.expect_whole(asked);
}

TEST(MirrorPieces, PiecesThatCameWhileATransferEndedAreNotForgotten) {
  PiecesWorld world;
  world.near.advice = {FakeSite::follow_by_pieces('a')};
  auto asked = world.begin();
  world.start();
  for (unsigned piece : {0U, 1U, 2U, 3U}) world.bring(piece);
  world.near.swarmed.tell(kPiece);  // its turn on the disk is still to come
  world.near.swarmed.taker->on_swarm_lost(base::Error(base::ErrorKind::cancelled, "no more"));
  world.near.swarmed.tell(world.bytes.size());  // the fill waits for the disk, then asks again
  world.advance(milliseconds(300));
  EXPECT_TRUE(world.store.has_blob(world.digest));
  EXPECT_EQ(world.count(Op::get_blob), 0U);
}

TEST(MirrorPieces, AClientThatLeavesEndsTheSwarmOfAnUnfinishedBlob) {
  PiecesWorld world;
  world.near.advice = {FakeSite::follow_by_pieces('a')};
  auto asked = world.begin();
  world.start();
  EXPECT_NE(world.near.swarmed.taker, nullptr);
  world.near.swarmed.taker->on_swarm_failed(base::Error(base::ErrorKind::gone, "the swarm has stopped"));
  EXPECT_EQ(world.near.swarmed.taker, nullptr);
  EXPECT_EQ(world.near.swarmed.completed, 0U);
}

}  // namespace
}  // namespace shoal::test
