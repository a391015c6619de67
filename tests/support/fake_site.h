// FakeSite: p2p::Neighbours driven by the test. It gives the advice that was scripted, serves the blobs, manifests and
// tags that were put, and counts. Answers come on its loop, never inside a call.
#pragma once

#include <algorithm>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "shoal/base/loop.h"
#include "shoal/p2p/neighbours.h"

namespace shoal::test {

class FakeSite final : public p2p::Neighbours {
 public:
  explicit FakeSite(base::Loop& loop) : loop_(loop) {}

  static p2p::NodeInfo node(char name) {
    return {std::string(32, name), std::string("http://node-") + name + ":5000", "", 0};
  }
  struct PeerBlob {
    std::string bytes;
    bool proven = false;
    std::optional<std::uint64_t> cut_after = {};  // so many bytes, then an error; once
    bool hang = false;                            // after them: nothing more
    std::optional<std::uint64_t> claim = {};      // says that the blob has so many bytes
  };

  // Answers to questions, in order; the last one again and again. None: Fetch.
  std::deque<p2p::Ticket::Answer> advice;
  std::map<std::string, PeerBlob> blobs;               // by node id; the digest does not matter
  std::map<std::string, p2p::PeerManifest> manifests;  // by node id
  std::optional<p2p::PeerTag> tag;
  p2p::NeighbourOptions edit_options;
  std::chrono::milliseconds answers_after{0};               // a question's answer takes so long
  std::vector<std::vector<std::string>> asked;              // what each question avoided
  std::vector<std::pair<std::string, std::uint64_t>> gets;  // node id, offset
  std::size_t renewed = 0, completed = 0, dropped = 0, tickets = 0;
  base::UniqueFunction<void()> lost;  // of the last ticket

  static p2p::Ticket::Answer fetch(std::string alone = "") { return {p2p::Fetch{}, std::move(alone)}; }
  static p2p::Ticket::Answer follow(char complete) { return {p2p::Follow{{node(complete)}, {}, {}}, ""}; }
  static p2p::Ticket::Answer follow_fetcher(char name) { return {p2p::Follow{{}, node(name), {}}, ""}; }
  static p2p::Ticket::Answer follow_by_pieces(char name) {
    auto author = node(name);
    author.port = 6881;
    return {p2p::Follow{{}, author, {}}, ""};
  }
  static p2p::Ticket::Answer wait(std::chrono::milliseconds again) { return {p2p::Wait{again}, ""}; }

  [[nodiscard]] const p2p::NeighbourOptions& options() const override { return edit_options; }
  [[nodiscard]] std::unique_ptr<p2p::Ticket> ticket(const base::Digest&, std::optional<std::uint64_t>,
                                                    base::UniqueFunction<void()> on_lost) override {
    ++tickets;
    if (on_lost) lost = std::move(on_lost);
    return std::make_unique<FakeTicket>(*this);
  }
  [[nodiscard]] std::unique_ptr<p2p::PeerCall> get_blob(const p2p::NodeInfo& from, const base::Digest&,
                                                        const std::string&, std::uint64_t offset,
                                                        p2p::PeerSink& sink) override {
    gets.emplace_back(from.id, offset);
    return std::make_unique<BlobCall>(*this, from.id, offset, sink);
  }
  [[nodiscard]] std::unique_ptr<p2p::PeerCall> get_manifest(
      const p2p::NodeInfo& from, const base::Digest&, const std::string&,
      base::UniqueFunction<void(base::Result<p2p::PeerManifest>)> done) override {
    gets.emplace_back(from.id, 0);
    const auto it = manifests.find(from.id);
    if (it == manifests.end()) {
      return later<p2p::PeerManifest>(base::Error(base::ErrorKind::not_found, "not here"), std::move(done));
    }
    return later<p2p::PeerManifest>(it->second, std::move(done));
  }
  [[nodiscard]] std::unique_ptr<p2p::PeerCall> find_tag(
      const std::string&, const std::string&, base::UniqueFunction<void(base::Result<p2p::PeerTag>)> done) override {
    if (!tag) return later<p2p::PeerTag>(base::Error(base::ErrorKind::not_found, "none"), std::move(done));
    return later<p2p::PeerTag>(*tag, std::move(done));
  }
  // The swarm of the one blob, if `pieces` is set: the test writes pieces and tells the fill, as neighbours would.
  struct FakeSwarm {
    std::shared_ptr<store::PieceWriter> file;
    p2p::SwarmTaker* taker = nullptr;  // null: the fill has left
    std::uint64_t have = 0, advanced = 0;
    std::vector<std::vector<p2p::NodeInfo>> followed;
    std::size_t opened = 0, led = 0, completed = 0;
    std::uint64_t not_before = UINT64_MAX;  // claims end here: a neighbour brings what follows
    std::uint64_t expected_from = 0, expected_to = 0;

    // What neighbours bring at `offset`, and then: all is good up to `good`.
    void bring(std::uint64_t offset, std::string_view bytes) const { (void)file->write(offset, bytes); }
    void tell(std::uint64_t good) const {
      taker->on_swarm_piece();
      taker->on_swarm_bytes(good);
    }
  };
  bool pieces = false;
  FakeSwarm swarmed;
  [[nodiscard]] std::unique_ptr<p2p::Swarming> swarm(const base::Digest&, std::uint64_t,
                                                     std::shared_ptr<store::PieceWriter> file, std::uint64_t have,
                                                     p2p::SwarmTaker& taker) override {
    if (!pieces || file == nullptr) return nullptr;
    swarmed.file = std::move(file);
    swarmed.taker = &taker;
    swarmed.have = have;
    ++swarmed.opened;
    return std::make_unique<FakeSwarming>(swarmed);
  }

 private:
  struct FakeTicket final : p2p::Ticket {
    explicit FakeTicket(FakeSite& s) : site(s) {}
    ~FakeTicket() override { ++site.dropped; }
    void ask(std::vector<std::string> avoid, base::UniqueFunction<void(Answer)> done) override {
      site.asked.push_back(std::move(avoid));
      auto answer = site.advice.empty() ? fetch() : site.advice.front();
      if (site.advice.size() > 1) site.advice.pop_front();
      timer = site.loop_.schedule(site.answers_after, [answer = std::move(answer), done = std::move(done)]() mutable {
        auto run = std::move(done);  // the next question may come inside, and replace this timer
        auto said = std::move(answer);
        run(std::move(said));
      });
    }
    void progress() override { ++site.renewed; }
    void complete() override { ++site.completed; }
    FakeSite& site;
    base::Timer timer;
  };

  struct FakeSwarming final : p2p::Swarming {
    explicit FakeSwarming(FakeSwarm& s) : swarm(s) {}
    ~FakeSwarming() override { swarm.taker = nullptr; }
    void follow(std::vector<p2p::NodeInfo> authors, const std::string&) override {
      swarm.followed.push_back(std::move(authors));
    }
    void lead() override { ++swarm.led; }
    [[nodiscard]] std::uint64_t claim(std::uint64_t begin, std::uint64_t end) override {
      return std::max(begin, std::min(end, swarm.not_before));
    }
    void advance(std::uint64_t end) override { swarm.advanced = end; }
    [[nodiscard]] bool expects(std::uint64_t offset) const override {
      return offset >= swarm.expected_from && offset < swarm.expected_to;
    }
    void complete(std::shared_ptr<void>) override { ++swarm.completed; }
    FakeSwarm& swarm;
  };

  struct BlobCall final : p2p::PeerCall {
    BlobCall(FakeSite& s, std::string i, std::uint64_t o, p2p::PeerSink& k)
        : site(s), id(std::move(i)), at(o), sink(k) {
      timer = site.loop_.schedule(std::chrono::milliseconds(0), [this] { start(); });
    }
    void resume() override {
      timer = site.loop_.schedule(std::chrono::milliseconds(0), [this] { go_on(); });
    }
    void start() {
      const auto it = site.blobs.find(id);
      if (it == site.blobs.end()) return sink.on_peer_end(base::Error(base::ErrorKind::not_found, "not here"));
      blob = it->second;
      it->second.cut_after.reset();
      if (blob.cut_after) blob.bytes.resize(at + *blob.cut_after);
      const auto watch = life.watch();
      sink.on_peer_start(at, blob.claim.value_or(it->second.bytes.size()), blob.proven);
      if (!watch.gone()) resume();
    }
    void go_on() {
      const auto left = std::string_view(blob.bytes).substr(std::min<std::size_t>(at, blob.bytes.size()));
      if (left.empty()) {
        if (blob.hang) return;
        if (blob.cut_after) return sink.on_peer_end(base::Error(base::ErrorKind::gone, "cut"));
        return sink.on_peer_end(std::nullopt);
      }
      const auto piece = left.substr(0, 64 * 1024);
      at += piece.size();
      const auto watch = life.watch();
      const auto flow = sink.on_peer_data(piece);
      if (!watch.gone() && flow == fetch::Flow::go_on) resume();
    }
    FakeSite& site;
    std::string id;
    std::uint64_t at;
    p2p::PeerSink& sink;
    PeerBlob blob;
    base::Timer timer;
    base::Lifetime life;
  };

  struct Later final : p2p::PeerCall {
    void resume() override {}
    base::Timer timer;
  };
  template <class T>
  std::unique_ptr<p2p::PeerCall> later(base::Result<T> result, base::UniqueFunction<void(base::Result<T>)> done) {
    auto call = std::make_unique<Later>();
    call->timer =
        loop_.schedule(std::chrono::milliseconds(0),
                       [result = std::move(result), done = std::move(done)]() mutable { done(std::move(result)); });
    return call;
  }

  base::Loop& loop_;
};

}  // namespace shoal::test
