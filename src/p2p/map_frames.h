// The stream that tells a neighbour what the pieces of a blob should be: the body of GET /p2p/v1/pieces/<digest>.
// Frames, each sealed with the number it has in the stream, so that nobody on the wire can change, drop or repeat one:
//
//   type (1 byte)  length of the payload (4, BE)  payload  seal (67 bytes: Seal::answer over type and payload)
//
//   'E'  entries of the piece map: {piece (4, BE), SHA-256 (32 bytes)}, at most kMaxEntries
//   'S'  who takes part, as JSON: {"rank", "of", "direct", "spreads", "peers": [{"id", "ip", "port"}]}, again when it
//        changes; peers in the first one only
//   'K'  nothing, every kKeepAlive: the node is there
//
// Unknown types are skipped (mixed versions). Pure; fuzzed.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "map_feed.h"
#include "seal.h"
#include "shoal/base/result.h"

namespace shoal::p2p {

inline constexpr std::size_t kMaxEntries = 4'096;     // of one frame
inline constexpr std::size_t kMaxFrame = 256 * 1024;  // its payload
inline constexpr std::size_t kMaxMapPeers = 64;       // of one frame
inline constexpr std::size_t kMaxToldPeers = 1'024;   // of all frames of a stream: each is called
inline constexpr std::chrono::milliseconds kKeepAlive{2'000};

struct PeerAddress {
  std::string id;  // 32 hex digits
  std::string ip;  // numeric
  std::uint16_t port = 0;
  bool operator==(const PeerAddress&) const = default;
};

// This node's place among those that take part, and some of the others.
struct MapPlace {
  std::uint32_t rank = 0;
  std::uint32_t of = 0;
  bool direct = true;    // it may get pieces from the author, too
  bool spreads = false;  // of what the author says it has, hear your stripe only (fresh_pieces.h)
  std::vector<PeerAddress> peers;
};

class FrameWriter {
 public:
  FrameWriter(const Seal& seal, std::string nonce) : seal_(seal), nonce_(std::move(nonce)) {}
  [[nodiscard]] std::string entries(const std::vector<MapEntry>& entries);
  [[nodiscard]] std::string place(const MapPlace& place);
  [[nodiscard]] std::string keep_alive() { return frame('K', {}); }

 private:
  [[nodiscard]] std::string frame(char type, std::string payload);
  const Seal& seal_;
  const std::string nonce_;
  int next_ = 1;
};

class FrameReader {
 public:
  class Taker {
   public:
    virtual ~Taker() = default;
    virtual void on_entries(const std::vector<MapEntry>& entries) = 0;
    virtual void on_place(MapPlace place) = 0;
  };
  FrameReader(const Seal& seal, std::string nonce, std::uint32_t pieces, Taker& taker)
      : seal_(seal), nonce_(std::move(nonce)), pieces_(pieces), taker_(taker) {}
  // ErrorKind::denied: a seal is wrong; invalid: not a frame, or one about pieces that do not exist. Do not go on then.
  [[nodiscard]] base::Result<void> take(std::string_view bytes);

 private:
  [[nodiscard]] base::Result<void> hand(char type, std::string_view payload);
  const Seal& seal_;
  const std::string nonce_;
  const std::uint32_t pieces_;
  Taker& taker_;
  std::string buffer_;
  int next_ = 1;
  std::size_t told_peers_ = 0;
};

}  // namespace shoal::p2p
