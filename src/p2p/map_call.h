// MapCall: follows a neighbour's piece map of one blob, until one of the two lets go. Home loop. It may be dropped in
// on_author_lost(), not in what its frames bring (on_entries, on_place).
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "core.h"
#include "map_frames.h"
#include "shoal/fetch/client.h"

namespace shoal::p2p {

class MapCall final : private fetch::Sink, private FrameReader::Taker {
 public:
  class Taker {
   public:
    virtual ~Taker() = default;
    // First, once: it will tell. `proven`: upstream told the neighbour that the repository has the blob.
    virtual void on_author(const NodeInfo& author, bool proven) = 0;
    virtual void on_entries(const std::vector<MapEntry>& entries) = 0;
    // Our place, told first or changed. `swarm`: the author's own; its ip is "" if its address is a name. Only the
    // first time there are peers to call, and the author itself if `direct`.
    virtual void on_place(const PeerAddress& swarm, const MapPlace& place) = 0;
    // Last, once. not_found: it has no such swarm; cancelled: it ended its map in order. Drop the call now.
    virtual void on_author_lost(const NodeInfo& author, base::Error why) = 0;
  };
  struct Question {
    const base::Digest& digest;
    const std::string& repository;  // canonical, for the proof
    std::uint64_t size;
    std::uint32_t pieces;
    std::uint16_t port;  // of our swarm
  };
  MapCall(const Site::Core& core, fetch::Client& client, const NodeInfo& author, const Question& question,
          MapCall::Taker& taker);
  [[nodiscard]] const NodeInfo& author() const { return author_; }

 private:
  void on_head(const fetch::ResponseHead& head) override;
  fetch::Flow on_data(std::string_view bytes) override;
  void on_end(base::Result<void> result) override;
  void on_entries(const std::vector<MapEntry>& entries) override { taker_.on_entries(entries); }
  void on_place(MapPlace place) override;

  const Site::Core& core_;
  const NodeInfo author_;
  MapCall::Taker& taker_;
  PeerAddress swarm_;
  std::string nonce_;
  std::optional<FrameReader> frames_;
  bool placed_ = false;
  const std::uint32_t pieces_;
  std::optional<base::Error> refused_;
  fetch::Transfer transfer_;
  base::Lifetime life_;
};

}  // namespace shoal::p2p
