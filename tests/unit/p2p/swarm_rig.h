// A node of the swarm with its own loop, and blobs with their maps. Everything waits on events, with a deadline.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <random>
#include <set>

#include "blame.h"
#include "p2p_probe.h"
#include "support/loop_thread.h"
#include "support/temp_dir.h"
#include "swarm.h"

namespace shoal::p2p {

constexpr std::chrono::seconds kDeadline{60};

struct Content {
  std::string bytes;
  std::uint32_t piece_length;
  base::Digest digest;
  std::vector<PieceHash> map;

  Content(std::size_t size, std::uint32_t length, unsigned seed = 1)
      : bytes(size, '\0'), piece_length(length), digest(base::digest_of("")) {
    std::mt19937_64 random(seed);
    for (char& byte : bytes) byte = static_cast<char>(random());
    digest = base::digest_of(bytes);
    for (std::size_t at = 0; at < size; at += length)
      map.push_back(hash_of(std::string_view(bytes).substr(at, length)));
  }
  [[nodiscard]] std::uint32_t pieces() const { return static_cast<std::uint32_t>(map.size()); }
  [[nodiscard]] std::string_view piece(std::uint32_t i) const {
    return std::string_view(bytes).substr(std::size_t{i} * piece_length, piece_length);
  }
  [[nodiscard]] ShareSpec spec() const { return {digest, bytes.size(), piece_length}; }
};

// Looks at all that is written: nothing may reach a file that is not what it should be.
class TestFile final : public PieceFile {
 public:
  TestFile(const test::TempDir& dir, const Content& content) : content_(content) {
    static std::atomic<int> next{0};
    const std::string path = dir.file("blob" + std::to_string(next++));
    const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0 || ::ftruncate(fd, static_cast<off_t>(content.bytes.size())) != 0) std::abort();
    file_ = std::make_shared<base::File>(fd);
  }
  const std::shared_ptr<const base::File>& file() const override { return file_; }
  base::Result<void> write(std::uint64_t offset, std::string_view bytes) override {
    if (writes >= room) return base::Error(base::ErrorKind::full, "no room");
    if (content_.bytes.compare(offset, bytes.size(), bytes) != 0) ++unproven;
    ++writes;
    put(offset, bytes);
    return {};
  }
  void put(std::uint64_t offset, std::string_view bytes) {
    if (::pwrite(file_->fd(), bytes.data(), bytes.size(), static_cast<off_t>(offset)) !=
        static_cast<ssize_t>(bytes.size()))
      std::abort();
  }
  [[nodiscard]] bool right() const {
    std::string all(content_.bytes.size(), '\0');
    return ::pread(file_->fd(), all.data(), all.size(), 0) == static_cast<ssize_t>(all.size()) && all == content_.bytes;
  }
  std::atomic<unsigned> writes{0}, unproven{0}, room{1'000'000};

 private:
  const Content& content_;
  std::shared_ptr<const base::File> file_;
};

class Events final : public ShareSink {
 public:
  void on_ready() override {
    note([&] { ++ready; });
  }
  void on_piece(std::uint32_t piece) override {
    note([&] { pieces.insert(piece); });
  }
  void on_bad_piece(std::uint32_t, const std::string& node) override {
    note([&] { bad.push_back(node); });
  }
  void on_bad_map(std::uint32_t piece) override {
    note([&] { bad_map.push_back(piece); });
  }
  void on_map_missing(std::uint32_t piece) override {
    note([&] { missing.insert(piece); });
  }
  void on_trouble(const base::Error& error) override {
    note([&] { trouble.push_back(error); });
  }
  template <class P>
  [[nodiscard]] bool wait(P arrived) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, kDeadline, arrived);
  }
  [[nodiscard]] bool wait_pieces(std::size_t n) {
    return wait([&] { return pieces.size() >= n; });
  }
  template <class F>
  auto locked(F f) {
    const std::lock_guard lock(mutex_);
    return f();
  }
  std::multiset<std::uint32_t> pieces;
  std::multiset<std::uint32_t> missing;
  std::vector<std::uint32_t> bad_map;
  std::vector<std::string> bad;
  std::vector<base::Error> trouble;
  int ready = 0;

 private:
  template <class F>
  void note(F f) {
    const std::lock_guard lock(mutex_);
    f();
    changed_.notify_all();
  }
  std::mutex mutex_;
  std::condition_variable changed_;
};

inline std::string node_id(const std::string& ip) { return base::digest_of(ip).hex().substr(0, 32); }

class Node {
 public:
  explicit Node(std::string address, std::function<void(SwarmOptions&)> change = {},
                const std::string& secret = "the secret of this site")
      : ip(std::move(address)), id(node_id(ip)) {
    SwarmOptions options;
    options.listen = ip;
    options.secret = secret;
    options.node = id;
    if (change) change(options);
    std::promise<std::uint16_t> listening;
    thread.run([&] {
      auto made = Swarm::make(options, thread.loop(), probe, [&listening](base::Result<std::uint16_t> p) {
        listening.set_value(p.ok() ? *p : std::uint16_t{0});
      });
      ASSERT_TRUE(made.ok()) << made.error().message();
      swarm = std::move(*made);
    });
    port = listening.get_future().get();
    EXPECT_NE(port, 0);
  }
  ~Node() {
    drop();
    stop();
  }
  Node(const Node&) = delete;
  Node& operator=(const Node&) = delete;

  void stop() {
    if (!swarm) return;
    std::promise<void> stopped;
    thread.run([&] { swarm->stop([&stopped] { stopped.set_value(); }); });
    stopped.get_future().wait();
    thread.run([&] { swarm.reset(); });
  }
  void drop() {
    thread.run([&] { share.reset(); });
  }
  // Takes part in the blob; `others` are connected in the same turn. With the whole map unless told otherwise.
  void open(const Content& content, const ShareState& state, const std::vector<const Node*>& others = {},
            bool with_map = true) {
    if (!file) file = std::make_shared<TestFile>(dir, content);
    thread.run([&] {
      auto opened = swarm->share(content.spec(), file, state, events);
      ASSERT_TRUE(opened.ok()) << opened.error().message();
      share = std::move(*opened);
      if (with_map)
        for (std::uint32_t i = 0; i < content.pieces(); ++i) share->learn(i, content.map[i]);
      for (const Node* other : others) share->connect(other->ip, other->port, other->id);
    });
  }
  void seed(const Content& content, bool poisoned = false) {
    file = std::make_shared<TestFile>(dir, content);
    std::string bytes = content.bytes;
    if (poisoned)
      for (std::size_t at = 5; at < bytes.size(); at += content.piece_length) bytes[at] ^= 1;
    file->put(0, bytes);
    open(content, {.complete = true, .good = {}});
  }
  void connect(const Node& other) {
    thread.run([&] { share->connect(other.ip, other.port, other.id); });
  }
  [[nodiscard]] double gauge(const char* name) { return metrics.gauge(name, "").value(); }

  const std::string ip, id;
  test::TempDir dir;
  obs::Metrics metrics;
  P2pProbe probe{metrics};
  test::LoopThread thread;
  Events events;
  std::shared_ptr<TestFile> file;
  std::unique_ptr<Swarm> swarm;
  std::unique_ptr<Share> share;
  std::uint16_t port = 0;
};

}  // namespace shoal::p2p
