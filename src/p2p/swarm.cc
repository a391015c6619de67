#include "swarm.h"

#include <algorithm>
#include <deque>
#include <libtorrent/alert_types.hpp>
#include <libtorrent/ip_filter.hpp>
#include <libtorrent/session.hpp>
#include <libtorrent/session_params.hpp>
#include <map>
#include <set>
#include <thread>

#include "disk_io.h"
#include "p2p_probe.h"
#include "shoal/base/disk_error.h"
#include "shoal/obs/log.h"
#include "swarm_settings.h"
#include "swarm_torrent.h"

namespace shoal::p2p {

class Swarm::Impl {
 public:
  Impl(SwarmOptions options, base::Loop& loop, P2pProbe& probe,
       base::UniqueFunction<void(base::Result<std::uint16_t>)> listening);
  ~Impl();
  [[nodiscard]] std::uint16_t port() const { return port_; }
  [[nodiscard]] base::Result<std::unique_ptr<Share>> share(const ShareSpec& spec, std::shared_ptr<PieceFile> file,
                                                           const ShareState& state, ShareSink& sink);
  void set_rates(Rates rates) {
    if (session_) session_->apply_settings(rate_settings(rates.upload, rates.download));
  }
  [[nodiscard]] std::vector<BannedNode> bans() const { return peers_->bans(base::SystemClock().steady_now()); }
  void stop(base::UniqueFunction<void()> stopped);
  void drop(SwarmTorrent& torrent);
  [[nodiscard]] base::Lifetime::Watch watch() const { return life_.watch(); }

 private:
  using Queue = std::deque<std::unique_ptr<SwarmTorrent>>;  // of one name: the first is in the session
  void wake();
  void poll();
  void handle(lt::alert* alert);
  void listened(base::Result<std::uint16_t> port);
  [[nodiscard]] SwarmTorrent* find(const lt::client_data_t& userdata) const;
  void begin(SwarmTorrent& torrent);
  void gone(SwarmTorrent& torrent);
  void failed(const lt::client_data_t& userdata, const std::string& what, const lt::error_code& error);
  void tick();
  void end_session();

  const SwarmOptions options_;
  base::Loop& loop_;
  P2pProbe& probe_;
  base::UniqueFunction<void(base::Result<std::uint16_t>)> listening_;
  const std::shared_ptr<PeerTable> peers_ = std::make_shared<PeerTable>();  // shared with connections
  const std::shared_ptr<BlobTable> table_ = std::make_shared<BlobTable>();  // shared with the disk interface
  const std::shared_ptr<PeerGate> gate_;                                    // shared with both
  std::map<lt::sha1_hash, Queue> torrents_;
  std::set<const SwarmTorrent*> known_;  // all of torrents_
  std::size_t shares_ = 0;
  std::uint16_t port_ = 0;
  base::Timer timer_;
  std::unique_ptr<lt::session> session_;
  std::thread ending_;
  base::Lifetime life_;
};

namespace {

// The swarm's own key: what is signed with the secret elsewhere (seal.h) says nothing here.
base::HmacKey swarm_key(const std::string& secret) {
  const base::Mac key = base::hmac_sha256(secret, "shoal p2p swarm 1");
  return base::HmacKey({reinterpret_cast<const char*>(key.data()), key.size()});
}

// libtorrent exempts private networks and loopback from rate limits, and a site is nothing else.
lt::ip_filter everybody_is_limited() {
  lt::ip_filter filter;
  const std::uint32_t global = 1u << static_cast<std::uint32_t>(lt::session::global_peer_class_id);
  filter.add_rule(lt::make_address("0.0.0.0"), lt::make_address("255.255.255.255"), global);
  filter.add_rule(lt::make_address("::"), lt::make_address("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"), global);
  return filter;
}

class SwarmShare final : public Share {
 public:
  template <class Drop>
  SwarmShare(SwarmTorrent& torrent, base::Lifetime::Watch swarm, Drop drop)
      : torrent_(torrent), blob_(torrent.blob()), claims_(blob_), swarm_(std::move(swarm)), drop_(std::move(drop)) {}
  ~SwarmShare() override {
    if (!swarm_.gone()) drop_();
  }
  std::uint32_t pieces() const override { return blob_->naming().pieces(); }
  std::uint32_t piece_length() const override { return blob_->naming().piece_length(); }

  void connect(const std::string& ip, std::uint16_t port, const std::string& node) override {
    lt::error_code error;
    const auto address = lt::make_address(ip, error);
    if (error || port == 0) {
      obs::debug(obs::Category::p2p, "share {}: {}:{} is no address of a peer", blob_->naming().digest().to_string(),
                 ip, port);
    } else if (!swarm_.gone()) {
      torrent_.connect(lt::tcp::endpoint(address, port), node);
    }
  }
  void learn(std::uint32_t piece, const PieceHash& hash) override {
    if (piece < pieces()) blob_->learn(piece, hash);
  }
  std::optional<PieceHash> entry(std::uint32_t piece) const override {
    return piece < pieces() ? blob_->entry(piece) : std::nullopt;
  }
  const std::shared_ptr<PieceClaims>& claims() const override { return claims_; }
  void have(std::uint32_t piece) override {
    if (piece < pieces() && !swarm_.gone()) torrent_.have(piece);
  }
  void set_stripe(Stripe stripe, const std::string& author) override {
    if (!author.empty()) blob_->fresh().follow(author, stripe);
    if (swarm_.gone()) return;
    PieceWish wish = torrent_.wish();
    if (wish.rank == stripe.rank && wish.of == stripe.of) return;
    wish.rank = stripe.rank;
    wish.of = stripe.of;
    torrent_.wish(wish);
  }
  void forget_author(const std::string& author) override { blob_->fresh().forget(author); }
  void forget_authors() override { blob_->fresh().forget_all(); }
  void set_window(std::uint32_t reader, std::uint32_t pieces_ahead) override {
    blob_->fresh().set_reader(reader);
    if (swarm_.gone()) return;
    PieceWish wish = torrent_.wish();
    wish.reader = reader;
    wish.ahead = pieces_ahead;
    torrent_.wish(wish);
  }
  void verified() override { (void)blob_->take_convicted(); }
  void resume() override {
    if (!swarm_.gone()) torrent_.resume();
  }

 private:
  SwarmTorrent& torrent_;                      // lives until drop_(), or the swarm is gone
  const std::shared_ptr<SharedBlob> blob_;     // shared with the session
  const std::shared_ptr<PieceClaims> claims_;  // the same
  base::Lifetime::Watch swarm_;
  base::UniqueFunction<void()> drop_;
};

}  // namespace

Swarm::Impl::Impl(SwarmOptions options, base::Loop& loop, P2pProbe& probe,
                  base::UniqueFunction<void(base::Result<std::uint16_t>)> listening)
    : options_(std::move(options)),
      loop_(loop),
      probe_(probe),
      listening_(std::move(listening)),
      gate_(std::make_shared<PeerGate>(swarm_key(options_.secret), options_.node, options_.ban_time, peers_, probe)) {
  // Only this plugin: ut_metadata and ut_pex would tell strangers more, and smart_ban blames the wrong (blame.h).
  lt::session_params params(swarm_settings(options_), {make_peer_gate_plugin(gate_, table_)});
  DiskOptions disk;
  disk.workers = options_.disk_threads;
  disk.memory = options_.memory;
  disk.map_wait = options_.map_wait;
  params.disk_io_constructor = [table = table_, gate = gate_, disk](lt::io_context& io, lt::settings_interface const&,
                                                                    lt::counters&) {
    return std::make_unique<DiskIo>(io, table, gate, disk);
  };
  session_ = std::make_unique<lt::session>(std::move(params));
  session_->set_peer_class_filter(everybody_is_limited());
  session_->set_ip_filter(only_these(options_.allow));
  session_->set_alert_notify([&posting = loop_, alive = life_.watch(), this] {  // network thread
    posting.post([alive, this] {
      if (!alive.gone()) poll();
    });
  });
  tick();
}

Swarm::Impl::~Impl() {
  end_session();
  if (ending_.joinable()) ending_.join();
}

void Swarm::Impl::tick() {
  const auto every = std::clamp<std::chrono::milliseconds>(options_.map_wait / 4, std::chrono::milliseconds(20),
                                                           std::chrono::milliseconds(1'000));
  timer_ = loop_.schedule(every, [this] {
    for (auto& [name, queue] : torrents_) queue.front()->blob()->expire(base::SystemClock().steady_now());
    tick();
  });
}

void Swarm::Impl::stop(base::UniqueFunction<void()> stopped) {
  for (auto& [name, queue] : torrents_)
    for (auto& torrent : queue) torrent->drop();
  timer_.cancel();
  if (!session_) return loop_.post(std::move(stopped));
  // Both wait for the network thread, which has connections to close and jobs to wait for.
  session_->set_alert_notify([] {});
  ending_ = std::thread([session = std::move(session_), &posting = loop_, stopped = std::move(stopped)]() mutable {
    session.reset();
    posting.post(std::move(stopped));
  });
}

void Swarm::Impl::end_session() {
  for (auto& [name, queue] : torrents_)
    for (auto& torrent : queue) torrent->drop();
  if (session_) session_->set_alert_notify([] {});
  session_.reset();
}

base::Result<std::unique_ptr<Share>> Swarm::Impl::share(const ShareSpec& spec, std::shared_ptr<PieceFile> file,
                                                        const ShareState& state, ShareSink& sink) {
  const std::string name = spec.digest.to_string();
  if (!session_) return base::Error(base::ErrorKind::cancelled, "the swarm has stopped").at("share", name);
  if (shares_ >= options_.max_shares)
    return base::Error(base::ErrorKind::busy, "as many shares as allowed are open").at("share", name);
  auto naming = Naming::make(gate_->secret(), spec.digest, spec.size,
                             spec.piece_length != 0 ? spec.piece_length : piece_length_for(spec.size));
  if (!naming) return naming.error().at("share", name);
  auto events = std::make_shared<ShareEvents>(loop_);
  auto blob = std::make_shared<SharedBlob>(std::move(*naming), std::move(file), events, state);
  auto params = torrent_of(*blob, options_);
  if (!params) return params.error().at("share", name);
  Queue& queue = torrents_[params->ti->info_hashes().v1];
  if (!queue.empty() && !queue.back()->dropped())
    return base::Error(base::ErrorKind::invalid, "it is shared already").at("share", name);
  queue.push_back(std::make_unique<SwarmTorrent>(std::move(blob), std::move(events), peers_, std::move(*params), sink));
  SwarmTorrent& torrent = *queue.back();
  known_.insert(&torrent);
  probe_.shares(++shares_);
  if (queue.size() == 1) begin(torrent);
  return std::unique_ptr<Share>(
      std::make_unique<SwarmShare>(torrent, life_.watch(), [this, &torrent] { drop(torrent); }));
}

void Swarm::Impl::begin(SwarmTorrent& torrent) {
  table_->put(torrent.name(), torrent.blob());
  session_->async_add_torrent(torrent.begin());
}

void Swarm::Impl::drop(SwarmTorrent& torrent) {
  torrent.drop();
  probe_.shares(--shares_);
  if (torrent.state() == SwarmTorrent::State::waiting) return gone(torrent);
  const lt::torrent_handle handle = torrent.begin_removal();
  if (handle.is_valid() && session_) session_->remove_torrent(handle);  // else when it was added
}

void Swarm::Impl::gone(SwarmTorrent& torrent) {
  const lt::sha1_hash name = torrent.name();
  const auto found = torrents_.find(name);
  Queue& queue = found->second;
  const bool first = queue.front().get() == &torrent;
  known_.erase(&torrent);
  queue.erase(std::find_if(queue.begin(), queue.end(), [&torrent](const auto& t) { return t.get() == &torrent; }));
  if (first) table_->erase(name);
  if (queue.empty())
    torrents_.erase(found);
  else if (first && session_)
    begin(*queue.front());
}

SwarmTorrent* Swarm::Impl::find(const lt::client_data_t& userdata) const {
  auto* torrent = userdata.get<SwarmTorrent>();
  return known_.count(torrent) != 0 ? torrent : nullptr;
}

void Swarm::Impl::poll() {
  if (!session_) return;
  std::vector<lt::alert*> alerts;
  session_->pop_alerts(&alerts);
  const auto alive = life_.watch();
  for (lt::alert* alert : alerts) {
    handle(alert);
    if (alive.gone() || !session_) return;  // a sink may have ended all this, and the alerts with it
  }
}

void Swarm::Impl::listened(base::Result<std::uint16_t> port) {
  if (port.ok()) port_ = *port;
  if (listening_) std::exchange(listening_, nullptr)(std::move(port));
}

void Swarm::Impl::failed(const lt::client_data_t& userdata, const std::string& what, const lt::error_code& error) {
  if (SwarmTorrent* torrent = find(userdata)) {
    const bool disk = error.category() == lt::system_category() && base::is_of_the_disk(error.value());
    auto trouble = base::Error(disk ? base::ErrorKind::corrupt : base::ErrorKind::gone, error.message()).at(what);
    torrent->failed(trouble.at("share", torrent->blob()->naming().digest().to_string()));
  }
}

// Never asks a handle for anything: getters wait for the network thread.
void Swarm::Impl::handle(lt::alert* alert) {
  if (const auto* added = lt::alert_cast<lt::add_torrent_alert>(alert)) {
    SwarmTorrent* torrent = find(added->params.userdata);
    if (torrent == nullptr) return;
    if (added->error) {
      failed(added->params.userdata, "add", added->error);
      if ((torrent = find(added->params.userdata)) != nullptr) gone(*torrent);
      return;
    }
    torrent->added(added->handle);
    if (torrent->dropped()) session_->remove_torrent(torrent->begin_removal());
  } else if (const auto* checked = lt::alert_cast<lt::torrent_checked_alert>(alert)) {
    if (SwarmTorrent* torrent = find(checked->handle.userdata())) torrent->checked();
  } else if (const auto* removed = lt::alert_cast<lt::torrent_removed_alert>(alert)) {
    if (SwarmTorrent* torrent = find(removed->userdata)) gone(*torrent);
  } else if (const auto* listens = lt::alert_cast<lt::listen_succeeded_alert>(alert)) {
    if (listens->socket_type == lt::socket_type_t::tcp) listened(static_cast<std::uint16_t>(listens->port));
  } else if (const auto* refused = lt::alert_cast<lt::listen_failed_alert>(alert)) {
    if (refused->socket_type == lt::socket_type_t::tcp)
      listened(base::Error(base::ErrorKind::gone, refused->error.message())
                   .at("listen", options_.listen + ":" + std::to_string(options_.port)));
  } else if (lt::alert_cast<lt::peer_blocked_alert>(alert) != nullptr) {
    probe_.refused("network");
  } else if (const auto* file = lt::alert_cast<lt::file_error_alert>(alert)) {
    failed(file->handle.userdata(), "read", file->error);
  } else if (const auto* broken = lt::alert_cast<lt::torrent_error_alert>(alert)) {
    failed(broken->handle.userdata(), "torrent", broken->error);
  }
}

base::Result<std::unique_ptr<Swarm>> Swarm::make(SwarmOptions options, base::Loop& loop, P2pProbe& probe,
                                                 base::UniqueFunction<void(base::Result<std::uint16_t>)> listening) {
  using base::ErrorKind;
  lt::error_code error;
  (void)lt::make_address(options.listen, error);
  if (error) return base::Error(ErrorKind::invalid, "p2p: '" + options.listen + "' is no address to listen on");
  if (options.secret.size() < 16) return base::Error(ErrorKind::invalid, "p2p: the secret wants at least 16 bytes");
  if (options.node.size() != 32 || options.node.find_first_not_of("0123456789abcdef") != std::string::npos)
    return base::Error(ErrorKind::invalid, "p2p: a node's id is 32 hex digits");
  if (options.requests_served == 0 || options.requests_made == 0 || options.max_connections == 0)
    return base::Error(ErrorKind::invalid, "p2p: a limit of 0 would stop everything");
  try {
    return std::unique_ptr<Swarm>(
        new Swarm(std::make_unique<Impl>(std::move(options), loop, probe, std::move(listening))));
  } catch (const std::exception& e) {
    return base::Error(ErrorKind::gone, e.what()).at("start the swarm");
  }
}

Swarm::Swarm(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Swarm::~Swarm() = default;
std::uint16_t Swarm::port() const { return impl_->port(); }
base::Result<std::unique_ptr<Share>> Swarm::share(const ShareSpec& spec, std::shared_ptr<PieceFile> file,
                                                  const ShareState& state, ShareSink& sink) {
  return impl_->share(spec, std::move(file), state, sink);
}
void Swarm::set_rates(Rates rates) { impl_->set_rates(rates); }
std::vector<BannedNode> Swarm::bans() const { return impl_->bans(); }
void Swarm::stop(base::UniqueFunction<void()> stopped) { impl_->stop(std::move(stopped)); }

}  // namespace shoal::p2p
