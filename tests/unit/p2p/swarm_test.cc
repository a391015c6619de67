// Real sessions in one process, on 127.0.0.x.
#include "fresh_pieces.h"
#include "swarm_rig.h"

namespace shoal::p2p {
namespace {

constexpr std::uint32_t kPiece = 64 * 1024;

TEST(Swarm, AWarmSeedServesEverybodyAndEachPieceIsWrittenOnce) {
  const Content content(3'000'000, kPiece);
  Node seed("127.0.0.2"), a("127.0.0.3"), b("127.0.0.4");
  seed.seed(content);
  ASSERT_TRUE(seed.events.wait([&] { return seed.events.ready == 1; }));
  a.open(content, {}, {&seed, &b});
  b.open(content, {}, {&seed, &a});
  for (Node* node : {&a, &b}) {
    ASSERT_TRUE(node->events.wait_pieces(content.pieces()));
    EXPECT_TRUE(node->file->right());
    EXPECT_EQ(node->file->writes, content.pieces());
    EXPECT_TRUE(node->events.bad.empty() && node->events.trouble.empty());
  }
  EXPECT_EQ(seed.file->writes, 0u);
}

TEST(Swarm, AColdBlobFlowsPieceByPieceWithTheMapBehind) {
  const Content content(20 * kPiece + 777, kPiece);
  Node fetcher("127.0.0.2"), a("127.0.0.3"), b("127.0.0.4");
  fetcher.open(content, {}, {}, /*with_map=*/false);
  ASSERT_TRUE(fetcher.events.wait([&] { return fetcher.events.ready == 1; }));
  a.open(content, {}, {&fetcher, &b}, false);
  b.open(content, {}, {&fetcher, &a}, false);
  for (std::uint32_t i = 0; i < content.pieces(); ++i) {
    fetcher.thread.run([&] {
      ASSERT_TRUE(fetcher.share->claims()->claim(i));
      fetcher.file->put(std::uint64_t{i} * kPiece, content.piece(i));
      fetcher.share->learn(i, content.map[i]);
      fetcher.share->have(i);
    });
    EXPECT_EQ(a.file->writes, i);  // the piece may be there, but its entry is not
    EXPECT_EQ(b.file->writes, i);
    for (Node* node : {&a, &b}) node->thread.run([&] { node->share->learn(i, *fetcher.share->entry(i)); });
    ASSERT_TRUE(a.events.wait_pieces(i + 1)) << i;
    ASSERT_TRUE(b.events.wait_pieces(i + 1)) << i;
  }
  EXPECT_TRUE(a.file->right() && b.file->right());
  EXPECT_EQ(fetcher.file->writes, 0u);
  EXPECT_TRUE(a.events.bad.empty() && b.events.bad.empty());
}

// Two followers that do not know each other, so that nobody passes on what is of the other's stripe.
TEST(Swarm, AFetcherSendsEachItsStripeAndTheRestIfNobodyElseDoes) {
  const Content content(9 * kPiece, kPiece);
  Node fetcher("127.0.0.2"), a("127.0.0.3"), b("127.0.0.4");
  fetcher.open(content, {}, {});
  ASSERT_TRUE(fetcher.events.wait([&] { return fetcher.events.ready == 1; }));
  a.open(content, {}, {&fetcher});
  b.open(content, {}, {&fetcher});
  a.thread.run([&] { a.share->set_stripe({0, 2}, fetcher.id); });
  b.thread.run([&] { b.share->set_stripe({1, 2}, fetcher.id); });
  const auto bring = [&](std::uint32_t piece) {
    fetcher.thread.run([&] {
      ASSERT_TRUE(fetcher.share->claims()->claim(piece));
      fetcher.file->put(std::uint64_t{piece} * kPiece, content.piece(piece));
      fetcher.share->have(piece);
    });
  };
  bring(0);  // everybody's; and now both are connected
  ASSERT_TRUE(a.events.wait_pieces(1) && b.events.wait_pieces(1));
  const auto began = std::chrono::steady_clock::now();
  for (std::uint32_t i = 1; i < content.pieces(); ++i) bring(i);
  ASSERT_TRUE(a.events.wait_pieces(6) && b.events.wait_pieces(6));  // more than the own ones
  EXPECT_GE(std::chrono::steady_clock::now() - began, HeldBack::kNothingCame);
  ASSERT_TRUE(a.events.wait_pieces(9) && b.events.wait_pieces(9));
  EXPECT_TRUE(a.file->right() && b.file->right());
}

TEST(Swarm, FollowersOfASeedThatDoNotKnowEachOtherGetAllOfIt) {
  const Content content(300 * kPiece, kPiece);
  Node seed("127.0.0.2"), a("127.0.0.3"), b("127.0.0.4");
  seed.seed(content);
  ASSERT_TRUE(seed.events.wait([&] { return seed.events.ready == 1; }));
  for (Node* node : {&a, &b}) {
    node->open(content, {});
    node->thread.run([&] {
      node->share->set_stripe({node == &a ? 0U : 1U, 2}, seed.id);
      node->share->connect(seed.ip, seed.port, seed.id);
    });
  }
  ASSERT_TRUE(a.events.wait_pieces(300) && b.events.wait_pieces(300));
  EXPECT_TRUE(a.file->right() && b.file->right());
}

TEST(Swarm, WhatUpstreamClaimedIsNotTakenFromPeers) {
  const Content content(8 * kPiece, kPiece);
  Node seed("127.0.0.2"), node("127.0.0.3");
  seed.seed(content);
  node.file = std::make_shared<TestFile>(node.dir, content);
  node.open(content, {}, {}, true);
  node.thread.run([&] {
    EXPECT_TRUE(node.share->claims()->claim(3));
    EXPECT_TRUE(node.share->claims()->claim(4));
    node.share->connect(seed.ip, seed.port, seed.id);
  });
  ASSERT_TRUE(node.events.wait_pieces(6));
  EXPECT_EQ(node.events.pieces.count(3) + node.events.pieces.count(4), 0u);
  node.thread.run([&] {
    node.file->put(3 * kPiece, content.piece(3));
    node.share->have(3);
    node.share->claims()->unclaim(4);  // upstream failed: it is the peers' again
    EXPECT_FALSE(node.share->claims()->claim(0));
  });
  ASSERT_TRUE(node.events.wait_pieces(7));
  EXPECT_EQ(node.events.pieces.count(4), 1u);
  EXPECT_TRUE(node.file->right());
}

TEST(Swarm, ResumesWithTheGoodPiecesAndFetchesTheRest) {
  const Content content(20 * kPiece, kPiece);
  Node seed("127.0.0.2"), node("127.0.0.3");
  seed.seed(content);
  node.file = std::make_shared<TestFile>(node.dir, content);
  ShareState state;
  for (std::uint32_t i = 0; i < 13; ++i) {
    state.good.push_back(i % 2 == 0);
    if (i % 2 == 0) node.file->put(std::uint64_t{i} * kPiece, content.piece(i));
  }
  node.open(content, state, {&seed});
  ASSERT_TRUE(node.events.wait_pieces(13));
  EXPECT_TRUE(node.file->right());
  EXPECT_EQ(node.file->writes, 13u);
}

TEST(Swarm, ALateMapIsToldOfAndThePieceComesAgain) {
  const Content content(4 * kPiece, kPiece);
  Node seed("127.0.0.2"), node("127.0.0.3", [](SwarmOptions&o) { o.map_wait = std::chrono::milliseconds(50); });
  seed.seed(content);
  node.open(content, {}, {&seed}, /*with_map=*/false);
  ASSERT_TRUE(node.events.wait([&] { return node.events.missing.count(2) >= 2; }));  // asked for again
  EXPECT_EQ(node.file->writes, 0u);
  node.thread.run([&] {
    for (std::uint32_t i = 0; i < content.pieces(); ++i) node.share->learn(i, content.map[i]);
  });
  ASSERT_TRUE(node.events.wait_pieces(4));
  EXPECT_TRUE(node.file->right());
  EXPECT_TRUE(node.events.bad.empty());
}

TEST(Swarm, APeerThatGoesInTheMiddleOfAPieceIsReplaced) {
  constexpr std::uint32_t kLarge = 1024 * 1024;
  const Content content(4 * kLarge, kLarge);
  Node slow("127.0.0.2", [](SwarmOptions&o) { o.upload_rate = 400'000; }), other("127.0.0.4"), node("127.0.0.3");
  slow.seed(content);
  other.seed(content);
  node.open(content, {}, {&slow});
  const auto deadline = std::chrono::steady_clock::now() + kDeadline;
  while (node.gauge("shoal_p2p_unfinished_bytes") == 0 && std::chrono::steady_clock::now() < deadline)
    node.thread.run([] {});
  EXPECT_GT(node.gauge("shoal_p2p_unfinished_bytes"), 0);
  slow.drop();
  node.connect(other);
  ASSERT_TRUE(node.events.wait_pieces(4));
  EXPECT_TRUE(node.file->right());
  EXPECT_TRUE(node.events.bad.empty());
}

TEST(Swarm, AFullDiskStopsFetchingNotServing) {
  const Content content(16 * kPiece, kPiece);
  Node seed("127.0.0.2"), node("127.0.0.3"), third("127.0.0.4");
  seed.seed(content);
  node.file = std::make_shared<TestFile>(node.dir, content);
  node.file->room = 5;
  node.open(content, {}, {&seed});
  ASSERT_TRUE(node.events.wait([&] { return !node.events.trouble.empty(); }));
  EXPECT_EQ(node.events.trouble[0].kind(), base::ErrorKind::full);
  ASSERT_TRUE(node.events.wait_pieces(5));
  third.open(content, {}, {&node});
  ASSERT_TRUE(third.events.wait_pieces(5));  // what is there is served on
  node.file->room = 1'000;
  node.thread.run([&] { node.share->resume(); });
  ASSERT_TRUE(node.events.wait_pieces(16));
  ASSERT_TRUE(third.events.wait_pieces(16));
  EXPECT_TRUE(node.file->right() && third.file->right());
  EXPECT_EQ(node.events.trouble.size(), 1u);
}

TEST(Swarm, AFileThatCannotBeReadIsToldOfOnce) {
  const Content content(4 * kPiece, kPiece);
  Node seed("127.0.0.2"), node("127.0.0.3");
  seed.seed(content);
  ASSERT_EQ(::ftruncate(seed.file->file()->fd(), 10), 0);  // a disk that lost the rest
  node.open(content, {}, {&seed});
  ASSERT_TRUE(seed.events.wait([&] { return !seed.events.trouble.empty(); }));
  EXPECT_EQ(seed.events.trouble[0].kind(), base::ErrorKind::corrupt);
  EXPECT_NE(seed.events.trouble[0].message().find(content.digest.to_string()), std::string::npos);
  seed.stop();
  EXPECT_EQ(seed.events.trouble.size(), 1u);
  EXPECT_EQ(node.file->writes, 0u);
}

TEST(Swarm, AShareThatIsDroppedCanBeOpenedAgainAtOnce) {
  const Content content(64 * kPiece, kPiece);
  Node seed("127.0.0.2", [](SwarmOptions&o) { o.upload_rate = 2'000'000; }), node("127.0.0.3");
  seed.seed(content);
  node.open(content, {}, {&seed});
  ASSERT_TRUE(node.events.wait_pieces(3));
  node.thread.run([&] {
    ShareState state;
    for (std::uint32_t i = 0; i < content.pieces(); ++i) state.good.push_back(node.share->claims()->good(i));
    node.share.reset();
    auto again = node.swarm->share(content.spec(), node.file, state, node.events);
    ASSERT_TRUE(again.ok()) << again.error().message();
    node.share = std::move(*again);
    for (std::uint32_t i = 0; i < content.pieces(); ++i) node.share->learn(i, content.map[i]);
    node.share->connect(seed.ip, seed.port, seed.id);
  });
  const auto deadline = std::chrono::steady_clock::now() + kDeadline;
  bool all = false;
  while (!all && std::chrono::steady_clock::now() < deadline)
    node.thread.run([&] {
      all = true;
      for (std::uint32_t i = 0; i < content.pieces(); ++i) all = all && node.share->claims()->good(i);
    });
  EXPECT_TRUE(all);
  EXPECT_TRUE(node.file->right());
}

TEST(Swarm, StopsWhileTransfersRun) {
  const Content content(256 * kPiece, kPiece);
  Node seed("127.0.0.2"), a("127.0.0.3"), b("127.0.0.4");
  seed.seed(content);
  a.open(content, {}, {&seed, &b});
  b.open(content, {}, {&seed, &a}, /*with_map=*/false);  // pieces in memory, waiting
  ASSERT_TRUE(a.events.wait_pieces(2));
  std::weak_ptr<TestFile> files[] = {seed.file, a.file, b.file};
  for (Node* node : {&b, &seed, &a}) {
    node->stop();
    node->drop();  // a share may outlive its swarm
    node->file.reset();
  }
  for (const auto& file : files) EXPECT_TRUE(file.expired());
}

TEST(Swarm, TwoHundredSharesComeAndGoAndLeaveNothing) {
  Node node("127.0.0.2");
  std::vector<std::weak_ptr<TestFile>> files;
  std::vector<Content> contents;
  for (unsigned i = 0; i < 200; ++i) contents.emplace_back(kPiece + 1, kPiece, i + 1);
  {
    std::vector<std::unique_ptr<Share>> shares(200);
    node.thread.run([&] {
      for (std::size_t i = 0; i < 200; ++i) {
        auto file = std::make_shared<TestFile>(node.dir, contents[i]);
        files.push_back(file);
        auto share = node.swarm->share(contents[i].spec(), file, {.complete = i % 2 == 0, .good = {}}, node.events);
        ASSERT_TRUE(share.ok());
        shares[i] = std::move(*share);
        if (i % 3 == 0) shares[i].reset();  // before libtorrent knows of it
      }
    });
    EXPECT_EQ(node.gauge("shoal_p2p_shares"), 133);
    node.thread.run([&] { shares.clear(); });
  }
  EXPECT_EQ(node.gauge("shoal_p2p_shares"), 0);
  const auto deadline = std::chrono::steady_clock::now() + kDeadline;
  const auto left = [&] { return std::count_if(files.begin(), files.end(), [](auto& f) { return !f.expired(); }); };
  while (left() != 0 && std::chrono::steady_clock::now() < deadline) node.thread.run([] {});
  EXPECT_EQ(left(), 0);
}

}  // namespace
}  // namespace shoal::p2p
