#include "swarm_torrent.h"

#include <algorithm>
#include <libtorrent/torrent_flags.hpp>
#include <libtorrent/torrent_info.hpp>

#include "shoal/obs/log.h"

namespace shoal::p2p {

SwarmTorrent::SwarmTorrent(std::shared_ptr<SharedBlob> blob, std::shared_ptr<ShareEvents> events,
                           std::shared_ptr<PeerTable> peers, lt::add_torrent_params params, ShareSink& sink)
    : blob_(std::move(blob)),
      events_(std::move(events)),
      peers_(std::move(peers)),
      params_(std::move(params)),
      name_(params_.ti->info_hashes().v1),
      sink_(&sink) {
  wish_.pieces = blob_->naming().pieces();
  events_->receive(this);
}

SwarmTorrent::~SwarmTorrent() { events_->receive(nullptr); }

lt::add_torrent_params SwarmTorrent::begin() {
  state_ = State::adding;
  params_.userdata = lt::client_data_t(this);
  return std::move(params_);
}

void SwarmTorrent::checked() {
  if (state_ != State::adding) return;
  state_ = State::ready;
  // Peers given when adding, or by connect_peer() later, wait for a tick of a second. Only resume() calls the known
  // ones at once ("connect boost"): hence added paused, and resumed behind the calls that wait.
  for (const Call& call : std::exchange(calls_, {})) run(call);
  run([](lt::torrent_handle& handle) { handle.resume(); });
  if (sink_ != nullptr) sink_->on_ready();
}

void SwarmTorrent::failed(const base::Error& error) {
  if (!std::exchange(failed_, true) && sink_ != nullptr) sink_->on_trouble(error);
}

void SwarmTorrent::drop() {
  sink_ = nullptr;
  events_->receive(nullptr);
  blob_->close();
  for (const PeerRef peer : blob_->take_convicted()) peers_->pardon(peer);
  calls_.clear();
}

lt::torrent_handle SwarmTorrent::begin_removal() {
  if (handle_.is_valid()) state_ = State::removing;
  return handle_;
}

void SwarmTorrent::with(Call call) {
  if (state_ == State::ready)
    run(call);
  else if (state_ != State::removing)
    calls_.push_back(std::move(call));
}

void SwarmTorrent::run(const Call& call) try {
  call(handle_);
} catch (const std::exception& e) {  // the torrent is gone: its removal is on its way to us
  obs::debug(obs::Category::p2p, "share {}: {}", blob_->naming().digest().to_string(), e.what());
}

void SwarmTorrent::connect(const lt::tcp::endpoint& peer, const std::string& node) {
  if (!node.empty()) {
    blob_->nodes_at().add(peer.address().to_string(), peer.port(), node);
    const auto [first, last] = endpoints_.equal_range(node);
    if (std::none_of(first, last, [&peer](const auto& known) { return known.second == peer; }))
      endpoints_.emplace(node, peer);
  }
  // A later peer would wait for a tick of a second, but for the resume (see checked()). Our plugin keeps the pause from
  // cutting connections.
  const bool late = state_ == State::ready;
  with([peer, late](lt::torrent_handle& handle) {
    handle.connect_peer(peer);
    if (!late) return;
    handle.pause();
    handle.resume();
  });
}

void SwarmTorrent::have(std::uint32_t piece) {
  blob_->have(piece);
  // What is in it does not matter, since the disk interface skips what is good; only the size must be right.
  const std::size_t size = blob_->naming().piece_size(piece);
  with([piece, size](lt::torrent_handle& handle) {
    handle.add_piece(lt::piece_index_t(static_cast<int>(piece)), std::vector<char>(size));
  });
}

void SwarmTorrent::wish(const PieceWish& wish) {
  wish_ = wish;
  wish_.pieces = blob_->naming().pieces();
  priorities_ = priorities(wish_);
  std::vector<lt::download_priority_t> values(priorities_.begin(), priorities_.end());
  with([values = std::move(values)](lt::torrent_handle& handle) { handle.prioritize_pieces(values); });
}

void SwarmTorrent::resume() {
  blob_->resume_writing();
  with([](lt::torrent_handle& handle) { handle.unset_flags(lt::torrent_flags::upload_mode); });
}

void SwarmTorrent::piece_good(std::uint32_t piece) {
  if (sink_ != nullptr) sink_->on_piece(piece);
}

void SwarmTorrent::piece_bad(std::uint32_t piece, Judgement judgement) {
  for (const PeerRef peer : judgement.pardoned) {
    const auto [first, last] = endpoints_.equal_range(peers_->node(peer));
    for (auto at = first; at != last; ++at)
      with([peer = at->second](lt::torrent_handle& handle) { handle.connect_peer(peer); });
  }
  if (judgement.bad_map && sink_ != nullptr) sink_->on_bad_map(piece);
  for (const PeerRef peer : judgement.guilty)
    if (sink_ != nullptr) sink_->on_bad_piece(piece, peers_->node(peer));
}

void SwarmTorrent::map_missing(std::uint32_t piece) {
  if (sink_ != nullptr) sink_->on_map_missing(piece);
}

void SwarmTorrent::piece_restored(std::uint32_t piece) {
  if (blob_->good(piece)) return;
  // Its blocks may be asked for again, but 2.0.8 does not look for somebody to ask while the peers are idle: it does
  // when the piece becomes wanted.
  const auto wanted = lt::download_priority_t(priorities_.empty() ? std::uint8_t{4} : priorities_[piece]);
  with([piece, wanted](lt::torrent_handle& handle) {
    const lt::piece_index_t index(static_cast<int>(piece));
    handle.piece_priority(index, lt::dont_download);
    handle.piece_priority(index, wanted);
  });
}

void SwarmTorrent::trouble(base::Error error) {
  // Seeding goes on; nothing more is asked for.
  with([](lt::torrent_handle& handle) { handle.set_flags(lt::torrent_flags::upload_mode); });
  if (sink_ != nullptr) sink_->on_trouble(error);
}

}  // namespace shoal::p2p
