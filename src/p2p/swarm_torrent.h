// SwarmTorrent: one share's torrent in the session, from add to removal, and the calls that wait until libtorrent is
// done with checking it (2.0.8 drops add_piece without a word before that). On the loop; the Swarm keeps it until
// libtorrent says that the torrent is gone, the Share may go earlier.
#pragma once

#include <functional>
#include <libtorrent/add_torrent_params.hpp>
#include <libtorrent/socket.hpp>
#include <libtorrent/torrent_handle.hpp>
#include <map>
#include <string>
#include <vector>

#include "piece_choice.h"
#include "share_events.h"
#include "shared_blob.h"

namespace shoal::p2p {

class SwarmTorrent final : public BlobEvents {
 public:
  enum class State { waiting, adding, ready, removing };  // waiting: for an earlier one of the same name to be gone

  SwarmTorrent(std::shared_ptr<SharedBlob> blob, std::shared_ptr<ShareEvents> events, std::shared_ptr<PeerTable> peers,
               lt::add_torrent_params params, ShareSink& sink);
  ~SwarmTorrent() override;

  [[nodiscard]] const lt::sha1_hash& name() const { return name_; }
  [[nodiscard]] const std::shared_ptr<SharedBlob>& blob() const { return blob_; }
  [[nodiscard]] State state() const { return state_; }
  [[nodiscard]] bool dropped() const { return sink_ == nullptr; }

  // The Swarm's.
  [[nodiscard]] lt::add_torrent_params begin();
  void added(const lt::torrent_handle& handle) { handle_ = handle; }
  void checked();
  void failed(const base::Error& error);  // for good; told once
  void drop();                            // the Share is gone: nobody hears any more
  // The handle to remove, once it is known; not valid: not yet.
  [[nodiscard]] lt::torrent_handle begin_removal();

  // The Share's.
  void connect(const lt::tcp::endpoint& peer, const std::string& node);
  void have(std::uint32_t piece);
  void wish(const PieceWish& wish);
  [[nodiscard]] const PieceWish& wish() const { return wish_; }
  void resume();

  // From other threads, by way of ShareEvents.
  void piece_good(std::uint32_t piece) override;
  void piece_bad(std::uint32_t piece, Judgement judgement) override;
  void map_missing(std::uint32_t piece) override;
  void piece_restored(std::uint32_t piece) override;
  void trouble(base::Error error) override;

 private:
  using Call = std::function<void(lt::torrent_handle&)>;
  void with(Call call);
  void run(const Call& call);

  const std::shared_ptr<SharedBlob> blob_;
  const std::shared_ptr<ShareEvents> events_;
  const std::shared_ptr<PeerTable> peers_;
  lt::add_torrent_params params_;  // until begin()
  const lt::sha1_hash name_;
  ShareSink* sink_;  // null: the Share was dropped
  State state_ = State::waiting;
  bool failed_ = false;
  lt::torrent_handle handle_;
  std::vector<Call> calls_;
  std::multimap<std::string, lt::tcp::endpoint> endpoints_;  // of nodes, as we were told
  PieceWish wish_;
  std::vector<std::uint8_t> priorities_;  // empty: all the same
};

}  // namespace shoal::p2p
