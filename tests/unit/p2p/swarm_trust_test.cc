// Peers that lie, and strangers.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/sha.h>
#include <sys/socket.h>

#include "naming.h"
#include "swarm_rig.h"

namespace shoal::p2p {
namespace {

constexpr std::uint32_t kPiece = 64 * 1024;

TEST(SwarmTrust, WhoSendsABadPieceAloneIsBannedAndNothingOfItIsWritten) {
  const Content content(16 * kPiece, kPiece);
  Node evil("127.0.0.2"), good("127.0.0.4"), node("127.0.0.3");
  evil.seed(content, /*poisoned=*/true);
  good.seed(content);
  node.open(content, {}, {&evil});
  ASSERT_TRUE(node.events.wait([&] { return !node.events.bad.empty(); }));
  EXPECT_EQ(node.file->writes, 0u);
  node.connect(good);
  ASSERT_TRUE(node.events.wait_pieces(content.pieces()));
  EXPECT_TRUE(node.file->right());
  EXPECT_EQ(node.file->unproven, 0u);
  for (const auto& who : node.events.bad) EXPECT_EQ(who, evil.id);
}

TEST(SwarmTrust, ABanEnds) {
  const Content content(4 * kPiece, kPiece);
  Node evil("127.0.0.2"), node("127.0.0.3", [](SwarmOptions&o) { o.ban_time = std::chrono::milliseconds(300); });
  evil.seed(content, /*poisoned=*/true);
  node.open(content, {}, {&evil});
  ASSERT_TRUE(node.events.wait([&] { return !node.events.bad.empty(); }));
  evil.file->put(0, content.bytes);  // its disk was repaired
  ASSERT_TRUE(node.events.wait_pieces(content.pieces()));
  EXPECT_TRUE(node.file->right());
}

TEST(SwarmTrust, AmongSeveralOnlyTheLiarIsBlamed) {
  constexpr std::uint32_t kLarge = 256 * 1024;
  const Content content(24 * kLarge, kLarge);
  const auto slow = [](SwarmOptions& o) { o.upload_rate = 1'500'000; };  // so that the liar is asked, too
  Node g1("127.0.0.4", slow), g2("127.0.0.5", slow), evil("127.0.0.2"), a("127.0.0.3"), b("127.0.0.6");
  g1.seed(content);
  g2.seed(content);
  evil.seed(content, /*poisoned=*/true);
  a.open(content, {}, {&g1, &g2, &evil, &b});
  b.open(content, {}, {&evil, &g1, &g2, &a});
  for (Node* node : {&a, &b}) {
    ASSERT_TRUE(node->events.wait_pieces(content.pieces()));
    EXPECT_TRUE(node->file->right());
    EXPECT_EQ(node->file->unproven, 0u);
    EXPECT_GE(node->metrics.counter("shoal_p2p_pieces_failed_total", "").value(), 1u);
    ASSERT_TRUE(node->events.wait([&] { return !node->events.bad.empty(); }));
    node->events.locked([&] {
      for (const auto& who : node->events.bad) EXPECT_EQ(who, evil.id);
    });
  }
}

TEST(SwarmTrust, AWrongMapIsItsAuthorsFaultNotThePeers) {
  const Content content(32 * kPiece, kPiece);
  Node s1("127.0.0.2"), s2("127.0.0.4"), node("127.0.0.3");
  s1.seed(content);
  s2.seed(content);
  node.open(content, {}, {}, /*with_map=*/false);
  PieceHash lie = content.map[3];
  lie[0] ^= 1;
  node.thread.run([&] {
    for (std::uint32_t i = 0; i < content.pieces(); ++i) node.share->learn(i, i == 3 ? lie : content.map[i]);
    for (const Node* seed : {&s1, &s2}) node.share->connect(seed->ip, seed->port, seed->id);
  });
  ASSERT_TRUE(node.events.wait([&] { return !node.events.bad_map.empty(); }));
  EXPECT_EQ(node.events.bad_map, std::vector<std::uint32_t>{3});
  node.thread.run([&] {
    EXPECT_FALSE(node.share->entry(3).has_value());
    node.share->learn(3, content.map[3]);
  });
  ASSERT_TRUE(node.events.wait_pieces(content.pieces()));
  EXPECT_TRUE(node.file->right());
  // Both may come again: each alone gives the node the rest of another blob.
  const Content other(2 * kPiece, kPiece, 7);
  for (Node* seed : {&s1, &s2}) {
    node.drop();
    seed->drop();
    seed->seed(other);
    node.file = std::make_shared<TestFile>(node.dir, other);
    node.events.locked([&] { node.events.pieces.clear(); });
    node.open(other, {}, {seed});
    ASSERT_TRUE(node.events.wait_pieces(other.pieces()));
  }
}

TEST(SwarmTrust, ANodeThatIsNotTheOneExpectedIsNotTalkedTo) {
  const Content content(4 * kPiece, kPiece);
  Node seed("127.0.0.2"), node("127.0.0.3");
  seed.seed(content);
  node.open(content, {});
  node.thread.run([&] { node.share->connect(seed.ip, seed.port, node_id("somebody else")); });
  auto& refused = node.metrics.counter("shoal_p2p_refused_total", "", {{"why", "other node"}});
  const auto deadline = std::chrono::steady_clock::now() + kDeadline;
  while (refused.value() == 0 && std::chrono::steady_clock::now() < deadline) node.thread.run([] {});
  EXPECT_GT(refused.value(), 0u);
  EXPECT_EQ(node.file->writes, 0u);
  node.connect(seed);
  ASSERT_TRUE(node.events.wait_pieces(content.pieces()));
}

TEST(SwarmTrust, AFalseWordOfWhoIsWhereKeepsNobodyAway) {
  const Content content(4 * kPiece, kPiece), other(4 * kPiece, kPiece, 2);
  Node seed("127.0.0.2"), node("127.0.0.3");
  seed.seed(content);
  node.open(content, {});
  Events events;
  std::unique_ptr<Share> share_of_a_liar;
  node.thread.run([&] {
    auto opened = node.swarm->share(other.spec(), std::make_shared<TestFile>(node.dir, other), {}, events);
    ASSERT_TRUE(opened.ok());
    share_of_a_liar = std::move(*opened);
    node.share->connect(seed.ip, seed.port, seed.id);
    share_of_a_liar->connect(seed.ip, seed.port, node_id("another blob's author says so"));
    node.share->connect(seed.ip, seed.port, node_id("another author of this blob says so"));
  });
  EXPECT_TRUE(node.events.wait_pieces(content.pieces()));
  node.thread.run([&] { share_of_a_liar.reset(); });
}

// --- strangers, as bytes on a socket (BEP 3, BEP 10) ---

std::string info_hash(const Content& content, const std::string& secret) {
  const base::Mac key = base::hmac_sha256(secret, "shoal p2p swarm 1");
  const base::HmacKey swarm({reinterpret_cast<const char*>(key.data()), key.size()});
  const std::string info = Naming::make(swarm, content.digest, content.bytes.size(), content.piece_length)->metainfo();
  std::string out(20, '\0');
  ::SHA1(reinterpret_cast<const unsigned char*>(info.data() + 7), info.size() - 8,
         reinterpret_cast<unsigned char*>(out.data()));
  return out;
}

std::string hello(const std::string& hash, bool extended) {
  std::string out = std::string("\x13") + "BitTorrent protocol" + std::string(8, '\0') + hash + "-XX0000-stranger----";
  if (extended) out[25] = 0x10;
  return out;
}

std::string message(char type, const std::string& body) {
  std::string out(4, '\0');
  out[2] = static_cast<char>((body.size() + 1) >> 8);
  out[3] = static_cast<char>(body.size() + 1);
  return out + type + body;
}

const std::string kRequest = message(6, std::string(8, '\0') + std::string("\0\0\x40\0", 4));  // piece 0, 16 KiB
const std::string kInterested = message(2, "");

class Socket {
 public:
  explicit Socket(int fd) : fd_(fd) {
    const timeval limit{30, 0};
    (void)::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  }
  ~Socket() { (void)::close(fd_); }
  [[nodiscard]] int fd() const { return fd_; }
  void send(const std::string& bytes) const { (void)::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL); }
  // All that comes until the other side closes; nullopt: it does not.
  [[nodiscard]] std::optional<std::string> read_to_end() const {
    std::string out;
    char buffer[65'536];
    for (;;) {
      const ssize_t n = ::recv(fd_, buffer, sizeof buffer, 0);
      if (n == 0 || (n < 0 && errno == ECONNRESET)) return out;
      if (n < 0) return std::nullopt;
      out.append(buffer, static_cast<std::size_t>(n));
    }
  }

 private:
  int fd_;
};

sockaddr_in address_of(const std::string& ip, std::uint16_t port) {
  sockaddr_in out{};
  out.sin_family = AF_INET;
  out.sin_port = htons(port);
  (void)::inet_pton(AF_INET, ip.c_str(), &out.sin_addr);
  return out;
}

std::optional<std::string> call(const Node& node, const std::string& bytes) {
  const Socket socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const sockaddr_in to = address_of(node.ip, node.port);
  if (::connect(socket.fd(), reinterpret_cast<const sockaddr*>(&to), sizeof to) != 0) return std::nullopt;
  socket.send(bytes);
  return socket.read_to_end();
}

TEST(SwarmTrust, AStrangerWithAnotherSecretGetsNothing) {
  const Content content(4 * kPiece, kPiece);
  Node seed("127.0.0.2"), mate("127.0.0.4"), stranger("127.0.0.3", {}, "the secret of another site");
  seed.seed(content);
  mate.open(content, {}, {&seed});
  ASSERT_TRUE(mate.events.wait_pieces(content.pieces()));  // the seed is up
  stranger.open(content, {}, {&seed});
  // Knows digest and size; so it says another info-hash, and is cut off before the seed has said a word.
  EXPECT_EQ(call(seed, hello(info_hash(content, "the secret of another site"), true)), "");
  EXPECT_EQ(stranger.file->writes, 0u);
  EXPECT_TRUE(stranger.events.locked([&] { return stranger.events.pieces.empty(); }));
}

TEST(SwarmTrust, WhoKnowsTheInfoHashButNotTheSecretGetsNoByteOfTheBlob) {
  const Content content(4 * kPiece, kPiece);
  Node seed("127.0.0.2"), mate("127.0.0.4");
  seed.seed(content);
  mate.open(content, {}, {&seed});
  ASSERT_TRUE(mate.events.wait_pieces(content.pieces()));  // the seed is up
  const std::string hash = info_hash(content, "the secret of this site");
  const std::string ask = kInterested + kRequest + kRequest;
  const std::string no_proof = message(20, std::string(1, '\0') + "d1:md6:ut_pexi1eee");
  const std::string bad_proof = message(
      20, std::string(1, '\0') + "d1:mde10:shoal_node32:" + seed.id + "11:shoal_proof32:" + std::string(32, 'x') + "e");
  for (const std::string& talk : {hello(hash, false) + ask, hello(hash, true) + ask, hello(hash, true) + no_proof + ask,
                                  hello(hash, true) + bad_proof + ask}) {
    const auto heard = call(seed, talk);
    ASSERT_TRUE(heard.has_value());  // and then it hung up
    EXPECT_EQ(heard->find(content.bytes.substr(0, 64)), std::string::npos);
  }
  EXPECT_GE(seed.metrics.counter("shoal_p2p_refused_total", "", {{"why", "no proof"}}).value(), 4u);
}

TEST(SwarmTrust, AStrangerThatWeCallCannotFeedUs) {
  const Content content(4 * kPiece, kPiece);
  const Socket listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in at = address_of("127.0.0.7", 0);
  ASSERT_EQ(::bind(listener.fd(), reinterpret_cast<sockaddr*>(&at), sizeof at), 0);
  ASSERT_EQ(::listen(listener.fd(), 4), 0);
  socklen_t size = sizeof at;
  ASSERT_EQ(::getsockname(listener.fd(), reinterpret_cast<sockaddr*>(&at), &size), 0);
  Node node("127.0.0.3");
  node.open(content, {});
  node.thread.run([&] { node.share->connect("127.0.0.7", ntohs(at.sin_port), ""); });
  const Socket peer(::accept(listener.fd(), nullptr, nullptr));
  std::string piece(8, '\0');
  piece += content.bytes.substr(0, 16 * 1024);
  peer.send(hello(info_hash(content, "the secret of this site"), true) + message(5, std::string(1, '\xf0')) +
            message(1, "") + message(7, piece));
  EXPECT_TRUE(peer.read_to_end().has_value());  // it hangs up
  EXPECT_EQ(node.file->writes, 0u);
  EXPECT_EQ(node.gauge("shoal_p2p_unfinished_bytes"), 0);
}

}  // namespace
}  // namespace shoal::p2p
