// SwarmedBlob: one blob that this node takes part in: a fill's, or a stored one that a neighbour asked for. Holds the
// share; follows the maps of others, makes its own of what upstream brings, and lets neighbours follow that. Home loop.
//
// An author of a map is a meeting point: whoever follows a map says at which port it listens, once it does, and is told
// of those that came before. So each of two nodes is there when the later one calls the earlier.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "followers.h"
#include "map_call.h"
#include "swarm_link.h"

namespace shoal::p2p {

class Swarm;

class SwarmedBlob final : private ShareSink, private MapCall::Taker {
 public:
  struct Parts {
    Site::Core& core;
    base::Loop& home;
    fetch::Client& client;
    Swarm& swarm;
  };
  // A fill's.
  SwarmedBlob(const Parts& parts, std::shared_ptr<SwarmLink> link);
  // A stored one. `map`: all entries, if they were known before.
  SwarmedBlob(const Parts& parts, const base::Digest& digest, std::uint64_t size, std::shared_ptr<PieceFile> file,
              std::shared_ptr<void> lease, std::vector<MapEntry> map);
  ~SwarmedBlob() override;

  // Once. An error: there is no share.
  [[nodiscard]] base::Result<void> open();

  void follow(const std::vector<NodeInfo>& authors, const std::string& repository);
  void lead();
  void advance(std::uint64_t end);
  void complete(std::shared_ptr<void> lease);

  // A neighbour follows our map from now on. `ready` runs once, when peers can get in.
  struct Subscription {
    std::uint64_t id = 0;
    std::uint16_t swarm_port = 0;
    MapPlace place;
    std::shared_ptr<MapFeed> feed;
  };
  struct Subscriber {
    PeerAddress peer;
    bool wants_call = false;  // it does not know our address
    base::UniqueFunction<void(base::Result<Subscription>)> ready;
  };
  void subscribe(Subscriber subscriber);
  void unsubscribe(std::uint64_t id);

  [[nodiscard]] const base::Digest& digest() const { return digest_; }
  [[nodiscard]] std::uint64_t size() const { return size_; }
  [[nodiscard]] bool is_of(const SwarmLink& link) const { return link_.get() == &link; }
  [[nodiscard]] bool has_fill() const { return link_ != nullptr && !complete_; }
  [[nodiscard]] bool unused() const { return !has_fill() && followers_.empty(); }
  [[nodiscard]] base::SteadyTime last_use() const { return last_use_; }
  // Served to its end, for nobody any more.
  [[nodiscard]] bool idle(base::SteadyTime now) const;
  [[nodiscard]] std::vector<MapEntry> whole_map() const;  // empty: not all of it is known
  [[nodiscard]] SwarmStatus status() const;

 private:
  struct Waiting {
    Subscriber subscriber;
    Followers::Joined joined;
  };
  void on_ready() override;
  void on_piece(std::uint32_t piece) override;
  void on_bad_piece(std::uint32_t piece, const std::string& node) override;
  void on_bad_map(std::uint32_t piece) override;
  void on_map_missing(std::uint32_t piece) override;
  void on_trouble(const base::Error& error) override;
  void on_author(const NodeInfo& author, bool proven) override;
  void on_author_lost(const NodeInfo& author, base::Error why) override;
  void on_entries(const std::vector<MapEntry>& entries) override;
  void on_place(const PeerAddress& swarm, const MapPlace& place) override;

  void call_authors();
  void drop_calls();
  void forget_map();
  void contradicted(std::uint32_t piece);
  void leave(const base::Error& why);
  void serve(Waiting waiting);
  void tell_places();
  void set_leading(bool leading);
  void hash_on();
  void hashed(std::uint32_t first, const base::Result<std::vector<PieceHash>>& hashes);
  void move_on();
  void set_window();
  [[nodiscard]] std::uint32_t whole_pieces(std::uint64_t end) const;
  [[nodiscard]] std::uint64_t end_of(std::uint32_t pieces) const;

  const Parts parts_;
  const base::Digest digest_;
  const std::uint64_t size_;
  const std::shared_ptr<SwarmLink> link_;  // null: a stored blob
  const std::shared_ptr<PieceFile> file_;
  std::shared_ptr<void> lease_;
  const std::uint32_t piece_length_;
  const std::uint32_t pieces_;
  std::shared_ptr<MapFeed> feed_;  // shared with readers on other loops
  std::unique_ptr<Share> share_;
  bool ready_ = false;
  bool complete_ = false;
  bool leading_ = false;

  std::vector<bool> good_;      // in the file
  std::vector<bool> told_;      // entry in the feed
  std::uint32_t prefix_ = 0;    // pieces that are good from the beginning on
  std::uint32_t windowed_ = 0;  // prefix_ when the window was set
  std::uint64_t advanced_ = 0;  // bytes that the fill says are good
  std::uint32_t hashed_ = 0;    // pieces of those, hashed
  bool hashing_ = false;

  std::string repository_;
  std::vector<NodeInfo> authors_;  // to be called when ready
  std::vector<std::unique_ptr<MapCall>> calls_;
  std::uint64_t from_peers_ = 0;

  Followers followers_;
  std::deque<Waiting> waiting_;  // of those: until peers can get in
  base::SteadyTime began_;
  base::SteadyTime last_use_;
  std::chrono::milliseconds linger_;
  base::Lifetime life_;
};

}  // namespace shoal::p2p
