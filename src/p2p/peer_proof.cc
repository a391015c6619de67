#include "peer_proof.h"

#include <sys/socket.h>

#include <algorithm>
#include <boost/variant/get.hpp>
#include <libtorrent/aux_/socket_type.hpp>
#include <libtorrent/bdecode.hpp>
#include <libtorrent/entry.hpp>
#include <libtorrent/error_code.hpp>
#include <libtorrent/peer_connection.hpp>
#include <libtorrent/peer_connection_handle.hpp>
#include <libtorrent/peer_request.hpp>
#include <libtorrent/torrent_handle.hpp>
#include <libtorrent/torrent_peer.hpp>

#include "author_words.h"
#include "big_endian.h"
#include "blob_table.h"
#include "peer_hello.h"
#include "request_depth.h"
#include "shoal/base/clock.h"
#include "shoal/obs/log.h"

namespace shoal::p2p {
namespace {

constexpr std::chrono::seconds kToldEvery{10};  // of floods, to the log

base::SteadyTime now() { return base::SystemClock().steady_now(); }

std::string_view view(const lt::sha1_hash& hash) { return {hash.data(), 20}; }

// libtorrent leaves Nagle's algorithm on: have, interested, unchoke, request are small messages that answer each other,
// and each waited for a delayed acknowledgement (40 ms on Linux), so a piece took 45 to 200 ms to follow the one
// before.
void send_at_once(lt::peer_connection& connection) {
  if (auto* tcp = boost::get<lt::tcp::socket>(&connection.get_socket())) {
    lt::error_code ignored;  // best effort: slower, not wrong
    tcp->set_option(lt::tcp::no_delay(true), ignored);
    // Where a queue before the link knows priorities, what goes to clients leaves first (TC_PRIO_FILLER). libtorrent
    // marks its packets as less than best effort (RFC 8622), for queues further on.
    constexpr int kFiller = 1;
    (void)::setsockopt(tcp->native_handle(), SOL_SOCKET, SO_PRIORITY, &kFiller, sizeof kFiller);
  }
}

}  // namespace

class PeerProof final : public lt::peer_plugin {
 public:
  PeerProof(lt::peer_connection_handle peer, lt::sha1_hash info_hash, std::shared_ptr<PeerGate> gate,
            std::shared_ptr<SharedBlob> blob)
      : peer_(std::move(peer)),
        info_hash_(info_hash),
        gate_(std::move(gate)),
        blob_(blob),
        words_(std::move(blob), [this](const std::string& message) { send(message); }) {
    gate_->live_.insert(this);
  }
  ~PeerProof() override { gate_->live_.erase(this); }
  PeerProof(const PeerProof&) = delete;
  PeerProof& operator=(const PeerProof&) = delete;

  lt::string_view type() const override { return "shoal_proof"; }

  // libtorrent writes the extension handshake after it has read the other's peer id: both are known.
  void add_handshake(lt::entry& handshake) override {
    const auto connection = peer_.native_handle();
    if (!connection) return;
    send_at_once(*connection);
    const base::Mac proof = prove(connection->our_pid(), peer_.pid(), gate_->node());
    handshake[PeerHello::kProof] = std::string(reinterpret_cast<const char*>(proof.data()), proof.size());
    handshake[PeerHello::kNode] = gate_->node();
    handshake["m"][PeerHello::kName] = AuthorWords::kMessage;
    handshake["reqq"] = static_cast<int>(RequestDepth::kFirst);
  }

  bool on_handshake(lt::span<char const> reserved) override {
    // Bit 20 from the right says that an extension handshake will follow (BEP 10); without it there will be no proof.
    if ((reserved[5] & 0x10) == 0) refuse("no proof");
    return true;
  }

  bool on_extension_handshake(lt::bdecode_node const& handshake) override {
    const auto connection = peer_.native_handle();
    if (!connection || refused_) return true;
    conduct_.hello();
    if (ref_ != 0) {  // it has proven itself already
      (void)floods();
      return true;
    }
    const auto hello = read_hello(handshake);
    // Returning false would only unload this plugin and let the peer stay.
    if (!hello || !proves(*hello, prove(peer_.pid(), connection->our_pid(), hello->node))) {
      refuse("no proof");
      return true;
    }
    if (hello->name != 0) words_.can_name(hello->name);
    admit(*connection, hello->node);
    return true;
  }

  // Other messages may precede the extension handshake: who asks or brings before it is a stranger.
  bool on_request(lt::peer_request const&) override { return stranger() || floods(); }
  bool on_interested() override { return stranger() || floods(); }
  bool on_piece(lt::peer_request const& block, lt::span<char const>) override {
    if (stranger()) return true;
    take_one_asked() ? conduct_.block() : conduct_.unasked_block();
    if (floods()) return true;
    gate_->block_ = {static_cast<int>(block.piece), block.start, ref_};
    return false;
  }
  // What libtorrent does not hear (fresh_pieces.h): true.
  bool on_have(lt::piece_index_t index) override {
    return floods() || words_.has(static_cast<std::uint32_t>(static_cast<int>(index)), now());
  }
  bool on_have_all() override { return floods() || words_.has_all(now()); }
  bool on_bitfield(lt::bitfield const& bits) override {
    const auto has = [&bits](std::uint32_t piece) { return bits.get_bit(static_cast<int>(piece)); };
    return floods() || words_.has_those(static_cast<std::uint32_t>(bits.size()), has, now());
  }
  bool on_extended(int length, int message, lt::span<char const> body) override {
    if (message != AuthorWords::kMessage) return false;
    if (stranger() || !AuthorWords::well_formed(length)) {
      refuse("malformed");
      return true;
    }
    if (body.size() < length || floods()) return true;  // more of it is to come
    if (!words_.asks({body.data(), static_cast<std::size_t>(length)})) refuse("too many questions");
    return true;
  }
  void passed(std::uint32_t piece, const HeldBack::Is& elsewhere) {
    if (!refused_) words_.arrived(piece, elsewhere, now());
  }
  void look_for_orphans(const HeldBack::Is& elsewhere) {
    if (!refused_) words_.look_for_orphans(elsewhere, now());
  }
  [[nodiscard]] bool has(std::uint32_t piece) const {
    return ref_ != 0 && !refused_ && peer_.has_piece(lt::piece_index_t(static_cast<int>(piece)));
  }
  bool on_choke() override { return floods(); }
  bool on_unchoke() override { return floods(); }
  bool on_not_interested() override { return floods(); }
  bool on_dont_have(lt::piece_index_t) override { return floods(); }
  bool on_have_none() override { return floods(); }
  bool on_allowed_fast(lt::piece_index_t) override { return floods(); }
  bool on_cancel(lt::peer_request const&) override { return floods(); }
  bool on_reject(lt::peer_request const&) override {
    (void)take_one_asked();
    return floods();
  }
  void sent_request(lt::peer_request const&) override { ++asked_; }
  bool on_suggest(lt::piece_index_t) override { return floods(); }
  void sent_piece(lt::peer_request const& block) override {
    conduct_.block();
    if (const auto depth = depth_.sent(static_cast<std::uint64_t>(block.length), now())) allow(*depth);
  }
  void on_disconnect(lt::error_code const&) override { refused_ = true; }

  void tick() override {  // each second
    conduct_.second();
    if (ref_ != 0 || refused_ || peer_.is_connecting()) return;
    if (++waited_ > kProofTime.count()) refuse("no proof");
  }

  void enforce() {
    if (ref_ == 0 || refused_) return;
    const auto connection = peer_.native_handle();
    if (!connection) return;
    if (gate_->peers().banned(ref_, now())) return refuse("banned");
    const std::uint32_t suspicions = gate_->peers().suspicions(ref_);
    if (suspicions == suspicions_) return;
    suspicions_ = suspicions;
    if (lt::torrent_peer* info = connection->peer_info_struct()) info->on_parole = true;
  }

 private:
  void admit(lt::peer_connection& connection, const std::string& id) {
    const lt::tcp::endpoint remote = peer_.remote();
    const std::string ip = remote.address().to_string();
    if (id == gate_->node()) return refuse("self");
    if (connection.is_outgoing() && blob_ && !blob_->nodes_at().may_be(ip, remote.port(), id)) {
      return refuse("other node");
    }
    const PeerRef ref = gate_->peers().meet(id, ip);
    if (ref == 0) return refuse("too many nodes");
    if (gate_->peers().banned(ref, now())) return refuse("banned");
    const auto same = [&](const PeerProof* p) { return p->ref_ == ref && p->info_hash_ == info_hash_ && !p->refused_; };
    const auto live = std::count_if(gate_->live_.begin(), gate_->live_.end(), same);
    if (static_cast<std::size_t>(live) >= kMostOfOne) return refuse("too many connections");
    suspicions_ = gate_->peers().suspicions(ref);
    ref_ = ref;
    words_.is(id);
  }
  bool stranger() {
    if (ref_ != 0 && !refused_) return false;
    refuse("no proof");
    return true;
  }
  bool take_one_asked() {
    if (asked_ == 0) return false;
    --asked_;
    return true;
  }
  // A message more.
  bool floods() {
    if (refused_) return true;
    conduct_.message();
    const auto connection = peer_.native_handle();
    if (!connection || !conduct_.floods(static_cast<std::size_t>(connection->send_buffer_size()))) return false;
    if (gate_->ban(ref_, BanCause::flood)) told();
    refuse("flood");
    return true;
  }
  void told() {
    if (gate_->told_ != base::SteadyTime{} && now() - gate_->told_ < kToldEvery) return;
    gate_->told_ = now();
    obs::warn(obs::Category::p2p, "node {} at {} floods this one with messages; it is banned for a while",
              gate_->peers().node(ref_), peer_.remote().address().to_string());
  }
  void refuse(std::string_view why) {
    if (refused_) return;
    refused_ = true;
    gate_->probe().refused(why);
    peer_.disconnect(lt::error_code(boost::system::errc::permission_denied, boost::system::generic_category()),
                     lt::operation_t::bittorrent);
  }
  [[nodiscard]] base::Mac prove(const lt::peer_id& from, const lt::peer_id& to, const std::string& node) const {
    return prove_hello(gate_->secret(), view(info_hash_), view(from), view(to), node);
  }

  // So many requests at once, from now on: BEP 10 lets a handshake be said again, and the fields it leaves out stay.
  void allow(unsigned requests) {
    const std::string body = "d4:reqqi" + std::to_string(requests) + "ee";
    std::string message;
    put32(message, static_cast<std::uint32_t>(2 + body.size()));
    message.push_back(20);
    message.push_back(0);
    send(message + body);
  }
  void send(const std::string& message) { peer_.send_buffer(message.data(), static_cast<int>(message.size())); }

  lt::peer_connection_handle peer_;
  const lt::sha1_hash info_hash_;
  const std::shared_ptr<PeerGate> gate_;
  const std::shared_ptr<SharedBlob> blob_;
  AuthorWords words_;
  PeerRef ref_ = 0;  // 0: has not proven itself
  PeerConduct conduct_;
  RequestDepth depth_;
  std::uint64_t asked_ = 0;  // blocks of it that did not come yet; those that were cancelled too
  int waited_ = 0;           // seconds, for its proof
  std::uint32_t suspicions_ = 0;
  bool refused_ = false;
};

namespace {

class TorrentGate final : public lt::torrent_plugin {
 public:
  TorrentGate(lt::sha1_hash info_hash, std::shared_ptr<PeerGate> gate, std::shared_ptr<SharedBlob> blob)
      : info_hash_(info_hash), gate_(std::move(gate)), blob_(std::move(blob)) {}
  std::shared_ptr<lt::peer_plugin> new_connection(lt::peer_connection_handle const& peer) override {
    auto proof = std::make_shared<PeerProof>(peer, info_hash_, gate_, blob_);
    connections_.push_back(proof);
    return proof;
  }
  void on_piece_pass(lt::piece_index_t index) override {
    const auto proofs = living();
    for (const auto& proof : proofs) {
      proof->passed(static_cast<std::uint32_t>(static_cast<int>(index)), elsewhere(proofs, proof));
    }
  }
  void tick() override {  // once a second
    const auto proofs = living();
    for (const auto& proof : proofs) proof->look_for_orphans(elsewhere(proofs, proof));
  }
  // A pause that lets everything be: SwarmTorrent::connect() pauses and resumes, to have peers called at once.
  bool on_pause() override { return true; }

 private:
  using Proofs = std::vector<std::shared_ptr<PeerProof>>;
  // Another than `proof` has it. Both have to live.
  static HeldBack::Is elsewhere(const Proofs& proofs, const Proofs::value_type& proof) {
    return [&](std::uint32_t piece) {
      return std::any_of(proofs.begin(), proofs.end(), [&](const auto& p) { return p != proof && p->has(piece); });
    };
  }
  Proofs living() {
    std::erase_if(connections_, [](const auto& connection) { return connection.expired(); });
    Proofs proofs;
    for (const auto& connection : connections_) {
      if (auto proof = connection.lock()) proofs.push_back(std::move(proof));
    }
    return proofs;
  }

  const lt::sha1_hash info_hash_;
  const std::shared_ptr<PeerGate> gate_;
  const std::shared_ptr<SharedBlob> blob_;
  std::vector<std::weak_ptr<PeerProof>> connections_;
};

class GatePlugin final : public lt::plugin {
 public:
  GatePlugin(std::shared_ptr<PeerGate> gate, std::shared_ptr<const BlobTable> blobs)
      : gate_(std::move(gate)), blobs_(std::move(blobs)) {}
  std::shared_ptr<lt::torrent_plugin> new_torrent(lt::torrent_handle const& torrent, lt::client_data_t) override {
    const auto name = torrent.info_hashes().v1;  // a getter, but on the network thread
    return std::make_shared<TorrentGate>(name, gate_, blobs_->find(name));
  }

 private:
  const std::shared_ptr<PeerGate> gate_;
  const std::shared_ptr<const BlobTable> blobs_;
};

}  // namespace

PeerRef PeerGate::bringer(int piece, int start) {
  const Block block = std::exchange(block_, Block{});
  return block.piece == piece && block.start == start ? block.peer : 0;
}

bool PeerGate::ban(PeerRef peer, BanCause why) {
  const bool news = peers_->ban(peer, now(), ban_time_, why);
  if (news) probe_.banned(to_string(why));
  return news;
}

void PeerGate::enforce() {
  const std::vector<PeerProof*> live(live_.begin(), live_.end());
  for (PeerProof* peer : live)
    if (live_.count(peer) != 0) peer->enforce();  // one that is cut off may take others with it
}

std::shared_ptr<lt::plugin> make_peer_gate_plugin(std::shared_ptr<PeerGate> gate,
                                                  std::shared_ptr<const BlobTable> blobs) {
  return std::make_shared<GatePlugin>(std::move(gate), std::move(blobs));
}

}  // namespace shoal::p2p
