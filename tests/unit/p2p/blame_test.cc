#include "blame.h"

#include <gtest/gtest.h>

#include "peer_conduct.h"

namespace shoal::p2p {
namespace {

using Peers = std::set<PeerRef>;

std::string piece_of(char a, char b) { return std::string(kBlockSize, a) + std::string(kBlockSize, b); }

struct Case {
  Blame blame;
  Judgement failed(const std::string& bytes, PeerRef a, PeerRef b, std::uint32_t piece = 0) {
    return blame.failed(piece, bytes, hash_of(bytes), {a, b});
  }
};

TEST(Blame, WhoBroughtAllOfABadPieceIsGuilty) {
  Case c;
  const Judgement judgement = c.failed(piece_of('x', 'b'), 1, 1);
  EXPECT_EQ(judgement.guilty, Peers{1});
  EXPECT_TRUE(judgement.suspects.empty());
  EXPECT_FALSE(judgement.bad_map);
}

TEST(Blame, SeveralAreSuspectsUntilThePieceComesRight) {
  Case c;
  const Judgement judgement = c.failed(piece_of('a', 'x'), 1, 2);
  EXPECT_TRUE(judgement.guilty.empty());
  EXPECT_EQ(judgement.suspects, (Peers{1, 2}));
  EXPECT_EQ(c.blame.passed(0, piece_of('a', 'b')).guilty, Peers{2});
  EXPECT_FALSE(c.blame.remembers(0));
}

TEST(Blame, HindsightFindsAllWhoLied) {
  Case c;
  (void)c.failed(piece_of('x', 'y'), 1, 2);
  (void)c.failed(piece_of('a', 'z'), 4, 3);
  EXPECT_EQ(c.blame.passed(0, piece_of('a', 'b')).guilty, (Peers{1, 2, 3}));
}

TEST(Blame, NobodyIsToldOfTwice) {
  Case c;
  (void)c.failed(piece_of('x', 'b'), 1, 1);
  EXPECT_TRUE(c.blame.passed(0, piece_of('a', 'b')).guilty.empty());
}

TEST(Blame, TwoWhoAgreeOnOtherBytesShowThatTheMapIsWrong) {
  Case c;
  EXPECT_EQ(c.failed(piece_of('a', 'b'), 1, 1).guilty, Peers{1});
  const Judgement judgement = c.failed(piece_of('a', 'b'), 2, 2);
  EXPECT_TRUE(judgement.bad_map);
  EXPECT_TRUE(judgement.guilty.empty());
  EXPECT_EQ(judgement.pardoned, Peers{1});
}

TEST(Blame, TheSameMixAgainSaysNothingAboutTheMap) {
  Case c;
  (void)c.failed(piece_of('x', 'b'), 1, 2);
  EXPECT_FALSE(c.failed(piece_of('x', 'b'), 1, 1).bad_map);  // 1 may well have sent the same bad block again
  const Judgement judgement = c.failed(piece_of('x', 'b'), 2, 2);
  EXPECT_TRUE(judgement.bad_map);  // 2 alone says what 1 alone said
  EXPECT_EQ(judgement.pardoned, Peers{1});
}

TEST(Blame, TwoWhoLieDifferentlyAreBothGuilty) {
  Case c;
  EXPECT_EQ(c.failed(piece_of('x', 'b'), 1, 1).guilty, Peers{1});
  EXPECT_EQ(c.failed(piece_of('y', 'b'), 2, 2).guilty, Peers{2});
}

TEST(Blame, BytesOfNobodyBlameNobody) {
  Case c;
  const Judgement judgement = c.failed(piece_of('x', 'b'), 0, 0);
  EXPECT_TRUE(judgement.guilty.empty() && judgement.suspects.empty());
  EXPECT_FALSE(c.blame.remembers(0));
}

TEST(Blame, WhatIsRememberedIsBounded) {
  Case c;
  for (std::uint32_t piece = 0; piece < Blame::kMostPieces + 1; ++piece)
    (void)c.failed(piece_of('x', 'b'), 1, 2, piece);
  EXPECT_FALSE(c.blame.remembers(0));
  EXPECT_TRUE(c.blame.remembers(1));
  for (char bad = 'A'; bad < 'A' + static_cast<int>(Blame::kMostAttempts) + 1; ++bad)
    (void)c.failed(piece_of(bad, 'b'), static_cast<PeerRef>(bad), 2, 1);
  EXPECT_EQ(c.blame.passed(1, piece_of('a', 'b')).guilty.size(), Blame::kMostAttempts);
}

TEST(PeerTable, ABanIsOfANodeAtAnAddressAndEnds) {
  PeerTable peers;
  const base::SteadyTime now{std::chrono::seconds(100)};
  const PeerRef there = peers.meet("n1", "10.0.0.1");
  const PeerRef elsewhere = peers.meet("n1", "10.0.0.2");
  EXPECT_NE(there, elsewhere);
  EXPECT_EQ(peers.meet("n1", "10.0.0.1"), there);
  EXPECT_TRUE(peers.ban(there, now, std::chrono::seconds(5), BanCause::flood));
  EXPECT_FALSE(peers.ban(there, now, std::chrono::seconds(2), BanCause::bad_piece)) << "it is banned already";
  EXPECT_TRUE(peers.banned(there, now));
  const auto bans = peers.bans(now + std::chrono::seconds(1));
  ASSERT_EQ(bans.size(), 1u);
  EXPECT_EQ(bans[0].node, "n1");
  EXPECT_EQ(bans[0].ip, "10.0.0.1");
  EXPECT_EQ(to_string(bans[0].why), "flood");
  EXPECT_EQ(bans[0].left, std::chrono::seconds(4));
  EXPECT_FALSE(peers.banned(elsewhere, now));
  EXPECT_FALSE(peers.banned(there, now + std::chrono::seconds(5)));
  peers.pardon(there);
  EXPECT_FALSE(peers.banned(there, now));
  EXPECT_TRUE(peers.bans(now).empty());
  EXPECT_FALSE(peers.banned(0, now));
  EXPECT_FALSE(peers.ban(0, now, std::chrono::seconds(1), BanCause::flood));
  EXPECT_EQ(peers.node(there), "n1");
}

TEST(PeerTable, ItDoesNotGrowForever) {
  PeerTable peers;
  const auto address = [](std::size_t i) { return "10.0.0." + std::to_string(i / PeerTable::kMostOfOne); };
  for (std::size_t i = 0; i < PeerTable::kMost; ++i) ASSERT_NE(peers.meet(std::to_string(i), address(i)), 0u);
  EXPECT_EQ(peers.meet("one more", "10.0.1.1"), 0u);
  EXPECT_NE(peers.meet("7", "10.0.0.0"), 0u);
}

TEST(PeerTable, WhoInventsIdsTakesNoRoomFromOthers) {
  PeerTable peers;
  for (std::size_t i = 0; i < PeerTable::kMostOfOne; ++i) ASSERT_NE(peers.meet(std::to_string(i), "10.0.0.1"), 0u);
  EXPECT_EQ(peers.meet("one more", "10.0.0.1"), 0u);
  EXPECT_NE(peers.meet("one more", "10.0.0.2"), 0u);
}

TEST(NodesAt, OneOfThoseThatWereToldAndAnybodyWhereNobodyWas) {
  NodesAt nodes;
  EXPECT_TRUE(nodes.may_be("10.0.0.1", 80, "a"));
  nodes.add("10.0.0.1", 80, "b");
  EXPECT_FALSE(nodes.may_be("10.0.0.1", 80, "a"));
  EXPECT_FALSE(nodes.may_be("10.0.0.1", 80, "c"));
  EXPECT_TRUE(nodes.may_be("10.0.0.1", 79, "a"));
  EXPECT_TRUE(nodes.may_be("10.0.0.1", 81, "a"));
  EXPECT_TRUE(nodes.may_be("10.0.0.2", 80, "a"));
  nodes.add("10.0.0.1", 80, "a");
  EXPECT_TRUE(nodes.may_be("10.0.0.1", 80, "a"));
  EXPECT_TRUE(nodes.may_be("10.0.0.1", 80, "b")) << "one word does not undo another";
}

TEST(PeerConduct, WhoExchangesPiecesMaySayAllThatTakes) {
  PeerConduct peer;
  peer.hello();
  for (int have = 0; have < 1'024; ++have) peer.message();
  for (int piece = 0; piece < 100'000; ++piece) {
    for (int said = 0; said < 8; ++said) peer.message();  // request, cancel, reject, have, choke, ...
    peer.block();
  }
  EXPECT_FALSE(peer.floods(64 << 10));
}

TEST(PeerConduct, MessagesWithoutBlocksAreAFlood) {
  PeerConduct peer;
  std::size_t messages = 0;
  for (; !peer.floods(0); ++messages) peer.message();
  EXPECT_EQ(messages, ConductLimits().most + 1);
  peer.second();
  EXPECT_FALSE(peer.floods(0));
}

TEST(PeerConduct, SlowFloodsLastForEver) {
  PeerConduct peer;
  for (int second = 0; second < 1'000; ++second) {
    for (std::uint32_t i = 0; i < ConductLimits().each_second; ++i) peer.message();
    peer.second();
  }
  EXPECT_FALSE(peer.floods(0));  // and cost next to nothing
}

TEST(PeerConduct, BlocksThatNobodyAskedForAndRepeatedHellosCountMore) {
  PeerConduct bringer, greeter;
  for (std::uint32_t i = 0; i <= ConductLimits().most / ConductLimits().unasked_block; ++i) bringer.unasked_block();
  EXPECT_TRUE(bringer.floods(0));
  for (std::uint32_t i = 0; i <= ConductLimits().most / ConductLimits().repeated_hello; ++i) greeter.hello();
  EXPECT_FALSE(greeter.floods(0));
  greeter.hello();
  EXPECT_TRUE(greeter.floods(0));
}

TEST(PeerConduct, WhoDoesNotReadIsCutOff) {
  const PeerConduct peer;
  EXPECT_FALSE(peer.floods(ConductLimits().most_unread));
  EXPECT_TRUE(peer.floods(ConductLimits().most_unread + 1));
}

}  // namespace
}  // namespace shoal::p2p
