// Limits of a swarm, and what it does not do.
#include <dirent.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <fstream>
#include <sstream>

#include "swarm_rig.h"

namespace shoal::p2p {
namespace {

constexpr std::uint32_t kPiece = 64 * 1024;

TEST(SwarmLimits, OptionsThatMakeNoSenseAreRefused) {
  obs::Metrics metrics;
  P2pProbe probe(metrics);
  test::LoopThread thread;
  const auto refused = [&](std::function<void(SwarmOptions&)> change) {
    SwarmOptions options;
    options.listen = "127.0.0.2";
    options.secret = "the secret of this site";
    options.node = node_id("x");
    change(options);
    bool invalid = false;
    thread.run([&] {
      const auto made = Swarm::make(options, thread.loop(), probe, [](base::Result<std::uint16_t>) {});
      invalid = !made.ok() && made.error().kind() == base::ErrorKind::invalid &&
                made.error().message().find(options.secret) == std::string::npos;
    });
    return invalid;
  };
  EXPECT_TRUE(refused([](SwarmOptions& o) { o.listen = "localhost"; }));
  EXPECT_TRUE(refused([](SwarmOptions& o) { o.secret = "fifteen bytes.."; }));
  EXPECT_TRUE(refused([](SwarmOptions& o) { o.node = "me"; }));
  EXPECT_TRUE(refused([](SwarmOptions& o) { o.requests_served = 0; }));
}

TEST(SwarmLimits, APortThatIsTakenIsAnError) {
  Node first("127.0.0.2");
  test::LoopThread thread;
  std::promise<base::Result<std::uint16_t>> listening;
  std::unique_ptr<Swarm> swarm;
  thread.run([&] {
    SwarmOptions options;
    options.listen = first.ip;
    options.port = first.port;
    options.secret = "the secret of this site";
    options.node = node_id("second");
    auto made = Swarm::make(options, thread.loop(), first.probe,
                            [&listening](base::Result<std::uint16_t> p) { listening.set_value(std::move(p)); });
    ASSERT_TRUE(made.ok());
    swarm = std::move(*made);
  });
  const auto port = listening.get_future().get();
  ASSERT_FALSE(port.ok());
  EXPECT_NE(port.error().message().find("listen 127.0.0.2:"), std::string::npos) << port.error().message();
  thread.run([&] { swarm.reset(); });  // without stop(): waits
}

TEST(SwarmLimits, NoMoreSharesThanAllowedAndOneOfABlob) {
  const Content one(10, kPiece, 1), two(10, kPiece, 2), three(10, kPiece, 3);
  Node node("127.0.0.2", [](SwarmOptions& o) { o.max_shares = 2; });
  node.open(one, {});
  node.thread.run([&] {
    const auto same = node.swarm->share(one.spec(), node.file, {}, node.events);
    EXPECT_EQ(same.error().kind(), base::ErrorKind::invalid);
    auto second = node.swarm->share(two.spec(), node.file, {}, node.events);
    ASSERT_TRUE(second.ok());
    EXPECT_EQ(node.swarm->share(three.spec(), node.file, {}, node.events).error().kind(), base::ErrorKind::busy);
    (*second).reset();
    EXPECT_TRUE(node.swarm->share(three.spec(), node.file, {}, node.events).ok());
    EXPECT_EQ(node.swarm->share({one.digest, 0, 0}, node.file, {}, node.events).error().kind(),
              base::ErrorKind::invalid);
  });
}

TEST(SwarmLimits, TheUploadRateHoldsOnLoopbackToo) {
  const Content content(2'000'000, kPiece);
  Node seed("127.0.0.2", [](SwarmOptions&o) { o.upload_rate = 1'000'000; }), node("127.0.0.3");
  seed.seed(content);
  const auto began = std::chrono::steady_clock::now();
  node.open(content, {}, {&seed});
  ASSERT_TRUE(node.events.wait_pieces(content.pieces()));
  EXPECT_GE(std::chrono::steady_clock::now() - began, std::chrono::milliseconds(1'000));
}

TEST(SwarmLimits, MemoryOfPiecesThatWaitIsBoundedAndAllComesInTheEnd) {
  const Content content(256 * kPiece, kPiece);
  constexpr std::size_t kMemory = 16 * kPiece;
  Node s1("127.0.0.2"), s2("127.0.0.4"), s3("127.0.0.5");
  Node node("127.0.0.3", [](SwarmOptions& o) {
    o.memory = kMemory;
    o.map_wait = std::chrono::milliseconds(500);
  });
  for (Node* seed : {&s1, &s2, &s3}) seed->seed(content);
  node.open(content, {}, {&s1, &s2, &s3}, /*with_map=*/false);
  double most = 0;
  const auto deadline = std::chrono::steady_clock::now() + kDeadline;
  while (node.events.locked([&] { return node.events.missing.size(); }) < 8 &&
         std::chrono::steady_clock::now() < deadline)
    node.thread.run([&] { most = std::max(most, node.gauge("shoal_p2p_unfinished_bytes")); });
  EXPECT_GT(most, 0);
  EXPECT_LE(most, 3.0 * kMemory);
  node.thread.run([&] {
    for (std::uint32_t i = 0; i < content.pieces(); ++i) node.share->learn(i, content.map[i]);
  });
  ASSERT_TRUE(node.events.wait_pieces(content.pieces()));
  EXPECT_TRUE(node.file->right());
  EXPECT_TRUE(node.events.bad.empty());
}

TEST(SwarmLimits, ABlobWhoseMapIsSilentHoldsUpItselfNotTheOthers) {
  const Content mute(256 * kPiece, kPiece), other(64 * kPiece, kPiece, 2);
  constexpr std::size_t kMemory = 64 * kPiece;
  Node s1("127.0.0.2"), s2("127.0.0.4"), seed("127.0.0.5");
  Node node("127.0.0.3", [](SwarmOptions& o) {
    o.memory = kMemory;
    o.map_wait = std::chrono::seconds(120);
  });
  for (Node* of_mute : {&s1, &s2}) of_mute->seed(mute);
  seed.seed(other);
  Events events;
  const auto file = std::make_shared<TestFile>(node.dir, mute);
  std::unique_ptr<Share> share;
  node.thread.run([&] {
    auto opened = node.swarm->share(mute.spec(), file, {}, events);
    ASSERT_TRUE(opened.ok());
    share = std::move(*opened);
    for (const Node* of_mute : {&s1, &s2}) share->connect(of_mute->ip, of_mute->port, of_mute->id);
  });
  double waiting = 0;
  auto grown = std::chrono::steady_clock::now();
  while (waiting < kMemory / 4 || std::chrono::steady_clock::now() - grown < std::chrono::milliseconds(500)) {
    ASSERT_LT(std::chrono::steady_clock::now() - grown, kDeadline);
    double now = 0;
    node.thread.run([&] { now = node.gauge("shoal_p2p_unfinished_bytes"); });
    if (now > waiting) grown = std::chrono::steady_clock::now();
    waiting = std::max(waiting, now);
  }
  EXPECT_LE(waiting, kMemory / 2.0) << "with what of it was on its way, or is not whole";
  node.open(other, {}, {&seed});
  EXPECT_TRUE(node.events.wait_pieces(other.pieces()));
  node.thread.run([&] {
    for (std::uint32_t i = 0; i < mute.pieces(); ++i) share->learn(i, mute.map[i]);
  });
  EXPECT_TRUE(events.wait_pieces(mute.pieces()));
  EXPECT_TRUE(file->right());
  node.thread.run([&] { share.reset(); });
}

// Inodes of this process's sockets, with the local port, from /proc/net/<table>. state 0A: listening.
std::vector<unsigned> ports_of_sockets(const char* table, const std::string& state) {
  std::set<std::string> own;
  if (DIR* fds = ::opendir("/proc/self/fd")) {
    while (const dirent* entry = ::readdir(fds)) {
      char target[64] = {};
      const std::string path = std::string("/proc/self/fd/") + entry->d_name;
      if (::readlink(path.c_str(), target, sizeof target - 1) > 0 && std::string(target).rfind("socket:[", 0) == 0)
        own.insert(std::string(target).substr(8, std::string(target).size() - 9));
    }
    ::closedir(fds);
  }
  std::vector<unsigned> out;
  std::ifstream file(std::string("/proc/net/") + table);
  std::string line;
  std::getline(file, line);
  while (std::getline(file, line)) {
    std::istringstream in(line);
    std::string skip, local, st, inode;
    in >> skip >> local >> skip >> st >> skip >> skip >> skip >> skip >> skip >> inode;
    if (own.count(inode) != 0 && (state.empty() || st == state))
      out.push_back(static_cast<unsigned>(std::stoul(local.substr(local.find(':') + 1), nullptr, 16)));
  }
  return out;
}

TEST(SwarmLimits, OnePortAndNoDiscovery) {
  const Content content(4 * kPiece, kPiece);
  Node node("127.0.0.2");
  node.seed(content);
  node.thread.run([] {});
  EXPECT_EQ(ports_of_sockets("tcp", "0A"), std::vector<unsigned>{node.port});
  EXPECT_TRUE(ports_of_sockets("tcp6", "0A").empty());
  // libtorrent binds UDP on its port whatever the settings say; nothing is sent from it, and no other is there (LSD,
  // UPnP, NAT-PMP and DHT would have some).
  for (const unsigned port : ports_of_sockets("udp", "")) EXPECT_EQ(port, node.port);
  EXPECT_TRUE(ports_of_sockets("udp6", "").empty());
}

}  // namespace
}  // namespace shoal::p2p
