// The swarm of simulated nodes, in place of src/p2p/swarm.cc and libtorrent (the linker takes this p2p::Swarm). What is
// decided is the product's: which piece first (piece_choice.h), what becomes of one (SharedBlob), who is to blame
// (Blame, PeerTable). What libtorrent does is simple here: each node asks each neighbour it is connected to for a few
// pieces at a time, as a whole, over the simulated links.
#include "pieces.h"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <set>

#include "p2p_probe.h"
#include "piece_choice.h"
#include "share_events.h"
#include "shared_blob.h"
#include "swarm.h"

namespace shoal::sim {

using namespace p2p;

namespace {

Pieces* the_pieces = nullptr;
constexpr std::size_t kAskedAtOnce =
    1;  // pieces, of one neighbour: as many blocks as the product's seeds serve at once
constexpr Millis kTick{500};
constexpr Millis kPieceTimeout{10'000};
constexpr Millis kCutAgain{50};
constexpr std::uint16_t kPort = 6881;

}  // namespace

Pieces::Pieces(World& w, Net& n) : world(w), net(n) {
  if (the_pieces != nullptr) std::abort();
  the_pieces = this;
}
Pieces::~Pieces() { the_pieces = nullptr; }
Pieces& Pieces::current() {
  if (the_pieces == nullptr) std::abort();
  return *the_pieces;
}

// One blob of one node. Shared with what is under way to it.
class Torrent final : public BlobEvents, public std::enable_shared_from_this<Torrent> {
 public:
  Torrent(SwarmPort& port, std::shared_ptr<SharedBlob> b, std::shared_ptr<ShareEvents> events, ShareSink& sink)
      : blob(std::move(b)), port_(port), events_(std::move(events)), sink_(&sink) {
    wish.pieces = blob->naming().pieces();
    events_->receive(this);
  }
  ~Torrent() override { events_->receive(nullptr); }

  void ready() {
    ready_ = true;
    if (sink_ != nullptr) sink_->on_ready();
    pump();
  }
  void drop();
  void connect(int node);
  void tick();
  void pump();
  void have(std::uint32_t piece) {
    blob->have(piece);
    announce();
  }
  void resume() {
    blob->resume_writing();
    stuck_ = false;
    pump();
  }
  void connected(int node);
  void disconnected(int node);
  void asked(int by, std::uint32_t piece);  // a neighbour wants it
  void came(int from, std::uint32_t piece, const std::shared_ptr<const std::string>& bytes);
  [[nodiscard]] bool dropped() const { return sink_ == nullptr; }
  [[nodiscard]] bool has_peer(int node) const {
    const auto it = peers_.find(node);
    return it != peers_.end() && it->second.up;
  }

  void piece_good(std::uint32_t piece) override {
    if (sink_ != nullptr) sink_->on_piece(piece);
  }
  void piece_bad(std::uint32_t piece, Judgement judgement) override;
  void map_missing(std::uint32_t piece) override {
    if (sink_ != nullptr) sink_->on_map_missing(piece);
  }
  void piece_restored(std::uint32_t) override { pump(); }
  void trouble(base::Error error) override {
    stuck_ = true;
    if (sink_ != nullptr) sink_->on_trouble(error);
  }

  const std::shared_ptr<SharedBlob> blob;
  PieceWish wish;

 private:
  struct Peer {
    bool up = false;
    std::map<std::uint32_t, base::SteadyTime> asked;
  };
  void announce();
  void judge(int from, std::uint32_t piece, const std::shared_ptr<const std::string>& bytes);
  void punish(const Judgement& judgement);
  void forget(std::uint32_t piece);
  [[nodiscard]] bool is_asked(std::uint32_t piece) const;

  SwarmPort& port_;
  const std::shared_ptr<ShareEvents> events_;
  ShareSink* sink_;
  bool ready_ = false, stuck_ = false;
  std::map<int, Peer> peers_;
};

class SwarmPort {
 public:
  SwarmPort(SwarmOptions o, base::Loop& l, P2pProbe& p)
      : all(Pieces::current()),
        options(std::move(o)),
        loop(l),
        probe(p),
        node(all.net.node_at(options.listen)),
        key(options.secret) {
    all.ports[node] = this;
    tick();
  }
  ~SwarmPort() {
    if (all.ports[node] == this) all.ports.erase(node);
    for (const auto& torrent : std::exchange(torrents, {})) torrent->drop();
  }
  [[nodiscard]] std::shared_ptr<Torrent> find(const base::Digest& digest) const {
    for (const auto& torrent : torrents) {
      if (torrent->blob->naming().digest() == digest) return torrent;
    }
    return nullptr;
  }
  void tick() {
    const auto copy = torrents;
    for (const auto& torrent : copy) torrent->tick();
    timer = loop.schedule(kTick, [this] { tick(); });
  }
  [[nodiscard]] PeerRef ref(int other) { return table.meet(base::format("{}", other), Net::ip_of(other)); }
  [[nodiscard]] bool banned(int other) { return table.banned(ref(other), all.world.now()); }

  Pieces& all;
  const SwarmOptions options;
  base::Loop& loop;
  P2pProbe& probe;
  const int node;
  const base::HmacKey key;
  PeerTable table;
  std::vector<std::shared_ptr<Torrent>> torrents;
  base::Timer timer;
  base::Lifetime life;
};

std::size_t Pieces::torrents() const {
  std::size_t count = 0;
  for (const auto& [node, port] : ports) count += port->torrents.size();
  return count;
}

namespace {

// `run` at `when`, with that node's torrent of the blob, if it still has one; waits while the link is cut.
void later(Pieces& all, base::SteadyTime when, int from, int to, const base::Digest& digest,
           base::UniqueFunction<void(Torrent&)> run) {
  all.world.schedule(when, to, World::Kind::timer, [&all, from, to, digest, run = std::move(run)]() mutable {
    if (all.net.is_cut(from, to)) return later(all, all.world.now() + kCutAgain, from, to, digest, std::move(run));
    const auto port = all.ports.find(to);
    if (port == all.ports.end()) return;
    if (const auto torrent = port->second->find(digest)) run(*torrent);
  });
}

}  // namespace

void Torrent::drop() {
  const auto self = shared_from_this();
  if (sink_ == nullptr) return;
  sink_ = nullptr;
  events_->receive(nullptr);
  blob->close();
  for (const auto& [node, peer] : peers_) {
    if (!peer.up) continue;
    later(port_.all, port_.all.world.now() + port_.all.net.latency(port_.node, node), port_.node, node,
          blob->naming().digest(), [me = port_.node](Torrent& other) { other.disconnected(me); });
  }
  peers_.clear();
}

void Torrent::connect(int node) {
  if (node == kNobody || node == port_.node) return;
  if (!has_peer(node)) peers_[node];
  auto& all = port_.all;
  if (has_peer(node) || all.net.calls(port_.node, node) != Net::Calls::open || port_.banned(node)) return;
  const auto away = all.net.latency(port_.node, node);
  later(all, all.world.now() + away, port_.node, node, blob->naming().digest(),
        [&all, me = port_.node, node, away, digest = blob->naming().digest()](Torrent& other) {
          if (other.port_.banned(me)) return;
          other.connected(me);
          later(all, all.world.now() + away, node, me, digest, [node](Torrent& here) { here.connected(node); });
        });
}

void Torrent::connected(int node) {
  if (dropped() || port_.banned(node)) return;
  peers_[node].up = true;
  pump();
}

void Torrent::disconnected(int node) {
  if (const auto it = peers_.find(node); it != peers_.end()) it->second = {};
  pump();
}

void Torrent::tick() {
  if (dropped() || !ready_) return;
  const auto self = shared_from_this();
  const auto now = port_.all.world.now();
  blob->expire(now);
  if (dropped()) return;
  std::vector<int> call;
  for (auto& [node, peer] : peers_) {
    std::erase_if(peer.asked, [now](const auto& asked) { return asked.second <= now; });
    const auto& life = port_.all.net.host(node).life;
    if (peer.up && (life == nullptr || !life->alive || port_.banned(node))) peer = {};
    if (!peer.up && !blob->complete()) call.push_back(node);
  }
  for (const int node : call) connect(node);
  pump();
}

bool Torrent::is_asked(std::uint32_t piece) const {
  return std::any_of(peers_.begin(), peers_.end(), [piece](const auto& p) { return p.second.asked.count(piece) != 0; });
}

// Each connected neighbour is asked for what it has and we lack, the most wanted first.
void Torrent::pump() {
  if (dropped() || !ready_ || stuck_ || blob->complete()) return;
  auto& all = port_.all;
  const auto priority = priorities(wish);
  const auto digest = blob->naming().digest();
  for (auto& [node, peer] : peers_) {
    const auto port = all.ports.find(node);
    if (!peer.up || port == all.ports.end() || port_.banned(node)) continue;
    const auto other = port->second->find(digest);
    if (other == nullptr) continue;
    while (peer.asked.size() < kAskedAtOnce) {
      std::vector<std::uint32_t> best;
      for (std::uint32_t i = 0; i < wish.pieces; ++i) {
        if (blob->good(i) || !other->blob->good(i) || is_asked(i)) continue;
        if (!best.empty() && priority[i] < priority[best.front()]) continue;
        if (!best.empty() && priority[i] > priority[best.front()]) best.clear();
        best.push_back(i);
      }
      if (best.empty()) break;
      const auto piece = best[all.world.pick(best.size())];
      peer.asked[piece] = all.world.now() + kPieceTimeout;
      later(all, all.net.carry(port_.node, node, 30), port_.node, node, digest,
            [me = port_.node, piece](Torrent& there) { there.asked(me, piece); });
    }
  }
}

void Torrent::asked(int by, std::uint32_t piece) {
  if (dropped() || !has_peer(by) || !blob->good(piece)) return;
  auto& all = port_.all;
  std::string bytes(blob->naming().piece_size(piece), '\0');
  const auto offset = static_cast<off_t>(blob->naming().offset(piece));
  if (::pread(blob->file().file()->fd(), bytes.data(), bytes.size(), offset) != static_cast<ssize_t>(bytes.size()))
    return;
  if (all.spoils[port_.node]) bytes[all.world.pick(bytes.size())] ^= 0x20;
  ++all.sent;
  port_.probe.served(bytes.size());
  const auto size = bytes.size();
  later(all, all.net.carry(port_.node, by, size), port_.node, by, blob->naming().digest(),
        [me = port_.node, piece, whole = std::make_shared<const std::string>(std::move(bytes))](Torrent& there) {
          there.came(me, piece, whole);
        });
}

void Torrent::came(int from, std::uint32_t piece, const std::shared_ptr<const std::string>& bytes) {
  if (dropped()) return;
  if (!port_.banned(from)) judge(from, piece, bytes);
}

void Torrent::forget(std::uint32_t piece) {
  for (auto& [node, peer] : peers_) peer.asked.erase(piece);
}

// As DiskIo::judge does.
void Torrent::judge(int from, std::uint32_t piece, const std::shared_ptr<const std::string>& bytes) {
  const auto self = shared_from_this();
  SharedBlob::Again again = [weak = weak_from_this(), from, piece, bytes](bool give_up) {
    const auto torrent = weak.lock();
    if (torrent == nullptr) return;
    if (give_up) return torrent->forget(piece);
    torrent->port_.loop.post([weak, from, piece, bytes] {
      if (const auto there = weak.lock(); there != nullptr && !there->dropped()) there->judge(from, piece, bytes);
    });
  };
  const auto hash = hash_of(*bytes);
  const auto deadline = port_.all.world.now() + port_.options.map_wait;
  switch (blob->next(piece, hash, deadline, again)) {
    case SharedBlob::Next::wait: return;
    case SharedBlob::Next::good:
    case SharedBlob::Next::drop: break;
    case SharedBlob::Next::mismatch: {
      port_.probe.piece_failed();
      ++port_.all.failed;
      const std::vector<PeerRef> authors((bytes->size() + kBlockSize - 1) / kBlockSize, port_.ref(from));
      punish(blob->blame(piece, *bytes, hash, authors));
      break;
    }
    case SharedBlob::Next::write:
      if (const auto put = blob->file().write(blob->naming().offset(piece), *bytes); !put.ok()) {
        blob->write_failed(piece, put.error());
        break;
      }
      punish(blob->written(piece, *bytes));
      announce();
  }
  forget(piece);
  pump();
}

void Torrent::punish(const Judgement& judgement) {
  const auto now = port_.all.world.now();
  for (const PeerRef peer : judgement.guilty) {
    (void)port_.table.ban(peer, now, port_.options.ban_time, BanCause::bad_piece);
  }
  for (const PeerRef peer : judgement.suspects) port_.table.suspect(peer);
  for (const PeerRef peer : judgement.pardoned) port_.table.pardon(peer);
}

void Torrent::piece_bad(std::uint32_t piece, Judgement judgement) {
  const auto self = shared_from_this();
  if (judgement.bad_map && sink_ != nullptr) sink_->on_bad_map(piece);
  for (const PeerRef peer : judgement.guilty) {
    if (sink_ != nullptr) sink_->on_bad_piece(piece, port_.table.node(peer));
  }
}

void Torrent::announce() {
  auto& all = port_.all;
  for (const auto& [node, peer] : peers_) {
    if (!peer.up) continue;
    later(all, all.world.now() + all.net.latency(port_.node, node), port_.node, node, blob->naming().digest(),
          [](Torrent& there) { there.pump(); });
  }
}

}  // namespace shoal::sim

namespace shoal::p2p {

class Swarm::Impl {
 public:
  Impl(SwarmOptions options, base::Loop& loop, P2pProbe& probe) : port(std::move(options), loop, probe) {}
  sim::SwarmPort port;
};

namespace {

class SimShare final : public Share {
 public:
  SimShare(sim::SwarmPort& port, std::shared_ptr<sim::Torrent> torrent)
      : port_(port), alive_(port.life.watch()), torrent_(std::move(torrent)), claims_(torrent_->blob) {}
  ~SimShare() override {
    torrent_->drop();
    if (alive_.gone()) return;
    std::erase(port_.torrents, torrent_);
    port_.probe.shares(port_.torrents.size());
  }
  std::uint32_t pieces() const override { return torrent_->blob->naming().pieces(); }
  std::uint32_t piece_length() const override { return torrent_->blob->naming().piece_length(); }
  void connect(const std::string& ip, std::uint16_t, const std::string&) override {
    if (!torrent_->dropped()) torrent_->connect(port_.all.net.node_at(ip));
  }
  void learn(std::uint32_t piece, const PieceHash& hash) override {
    if (piece < pieces()) torrent_->blob->learn(piece, hash);
  }
  std::optional<PieceHash> entry(std::uint32_t piece) const override { return torrent_->blob->entry(piece); }
  const std::shared_ptr<PieceClaims>& claims() const override { return claims_; }
  void have(std::uint32_t piece) override {
    if (!torrent_->dropped()) torrent_->have(piece);
  }
  void set_stripe(Stripe stripe, const std::string&) override {
    if (torrent_->dropped()) return;
    torrent_->wish.rank = stripe.rank;
    torrent_->wish.of = stripe.of;
    torrent_->pump();
  }
  void forget_author(const std::string&) override {}
  void forget_authors() override {}
  void set_window(std::uint32_t reader, std::uint32_t pieces_ahead) override {
    torrent_->wish.reader = reader;
    torrent_->wish.ahead = pieces_ahead;
  }
  void resume() override {
    if (!torrent_->dropped()) torrent_->resume();
  }
  void verified() override { (void)torrent_->blob->take_convicted(); }

 private:
  sim::SwarmPort& port_;
  base::Lifetime::Watch alive_;
  const std::shared_ptr<sim::Torrent> torrent_;  // shared with what is under way
  const std::shared_ptr<PieceClaims> claims_;
};

}  // namespace

base::Result<std::unique_ptr<Swarm>> Swarm::make(SwarmOptions options, base::Loop& loop, P2pProbe& probe,
                                                 base::UniqueFunction<void(base::Result<std::uint16_t>)> listening) {
  auto swarm = std::unique_ptr<Swarm>(new Swarm(std::make_unique<Impl>(std::move(options), loop, probe)));
  loop.post([listening = std::move(listening), alive = swarm->impl_->port.life.watch()]() mutable {
    if (!alive.gone()) listening(sim::kPort);
  });
  return swarm;
}

Swarm::Swarm(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Swarm::~Swarm() = default;
std::uint16_t Swarm::port() const { return sim::kPort; }
void Swarm::set_rates(Rates) {}
std::vector<BannedNode> Swarm::bans() const { return {}; }

base::Result<std::unique_ptr<Share>> Swarm::share(const ShareSpec& spec, std::shared_ptr<PieceFile> file,
                                                  const ShareState& state, ShareSink& sink) {
  auto& port = impl_->port;
  if (port.torrents.size() >= port.options.max_shares) return base::Error(base::ErrorKind::busy, "too many shares");
  if (port.find(spec.digest) != nullptr) return base::Error(base::ErrorKind::invalid, "it is shared already");
  const auto length = spec.piece_length != 0 ? spec.piece_length : piece_length_for(spec.size);
  auto naming = Naming::make(port.key, spec.digest, spec.size, length);
  if (!naming.ok()) return naming.error();
  auto events = std::make_shared<ShareEvents>(port.loop);
  auto blob = std::make_shared<SharedBlob>(std::move(*naming), std::move(file), events, state);
  auto torrent = std::make_shared<sim::Torrent>(port, std::move(blob), std::move(events), sink);
  port.torrents.push_back(torrent);
  port.probe.shares(port.torrents.size());
  port.all.world.after(std::chrono::milliseconds(2), port.node, [weak = std::weak_ptr(torrent)] {
    if (const auto ready = weak.lock(); ready != nullptr && !ready->dropped()) ready->ready();
  });
  return std::unique_ptr<Share>(std::make_unique<SimShare>(port, std::move(torrent)));
}

void Swarm::stop(base::UniqueFunction<void()> stopped) {
  for (const auto& torrent : std::exchange(impl_->port.torrents, {})) torrent->drop();
  impl_->port.timer.cancel();
  impl_->port.loop.post(std::move(stopped));
}

}  // namespace shoal::p2p
