// Share: one blob in the swarm of a site, as the mirror sees it. DESIGN section 8. No libtorrent in here.
//
// The bytes live in a PieceFile, which the store implements. What a peer brings reaches it only when the whole piece
// matched the piece map: SHA-256 of each piece, learned from its author (the node that fetches, or one that has it
// all). Pieces that upstream brings are claimed before they are written, so that no peer's bytes get under them, and
// passed on with have() when they are there.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "shoal/base/byte_source.h"
#include "shoal/base/digest.h"
#include "shoal/base/result.h"
#include "shoal/store/store.h"

namespace shoal::p2p {

struct Stripe {
  std::uint32_t rank = 0;
  std::uint32_t of = 0;
};

using PieceHash = std::array<std::uint8_t, 32>;  // SHA-256

// Where the pieces of one blob live. Called on threads of the swarm, several at once, until the last of them lets go.
using PieceFile = store::PieceWriter;

struct ShareSpec {
  base::Digest digest;
  std::uint64_t size = 0;
  std::uint32_t piece_length = 0;  // every node of the site must use the same; 0: piece_length_for(size)
};

// What is in the file already, and trusted.
struct ShareState {
  bool complete = false;
  std::vector<bool> good;  // by piece; may be shorter
};

// Hears of one share, on the loop, never inside a call of Share; nothing after the share was dropped. It may drop the
// Share from here, not the Swarm.
class ShareSink {
 public:
  virtual ~ShareSink() = default;
  // Peers that call get in from now on. One that was told of this node too early tries again after a second.
  virtual void on_ready() = 0;
  virtual void on_piece(std::uint32_t piece) = 0;  // from a peer: proven, in the file
  // The node sent a piece that does not match, alone or as the one shown to have spoilt it. It is banned already.
  virtual void on_bad_piece(std::uint32_t piece, const std::string& node) = 0;
  // Nodes that have nothing to do with each other sent the same other bytes: the map's entry is wrong. It is forgotten;
  // the piece waits for another. Who was banned for it is not any more.
  virtual void on_bad_map(std::uint32_t piece) = 0;
  // A whole piece came and was dropped after SwarmOptions::map_wait, because its entry was not known; it is asked for
  // again.
  virtual void on_map_missing(std::uint32_t piece) = 0;
  // ErrorKind::full, gone, ...: pieces cannot be written or read. Writing failed: what is there is served on, nothing
  // more is asked for until resume(). Otherwise the share is of no use any more; corrupt: the disk failed to read.
  virtual void on_trouble(const base::Error& error) = 0;
};

// What any thread may do with a share, also when the Share is gone.
class PieceClaims {
 public:
  virtual ~PieceClaims() = default;
  // Upstream writes this piece from now on. False: it is here already, or a peer's is just being written.
  [[nodiscard]] virtual bool claim(std::uint32_t piece) = 0;
  virtual void unclaim(std::uint32_t piece) = 0;  // upstream will not bring it after all
  [[nodiscard]] virtual bool good(std::uint32_t piece) const = 0;
  [[nodiscard]] virtual bool expected(std::uint32_t piece) const = 0;  // not claimed, and its entry is known
};

// One loop: the swarm's. Nothing here blocks. Dropping it leaves the swarm; the PieceFile is let go soon after.
class Share {
 public:
  virtual ~Share() = default;
  [[nodiscard]] virtual std::uint32_t pieces() const = 0;
  [[nodiscard]] virtual std::uint32_t piece_length() const = 0;

  // A node that takes part. `node`: its id, which it must prove; "": whoever knows the site's secret will do.
  virtual void connect(const std::string& ip, std::uint16_t port, const std::string& node) = 0;

  // An entry of the piece map. The first one stays, unless it was found wrong.
  virtual void learn(std::uint32_t piece, const PieceHash& hash) = 0;
  [[nodiscard]] virtual std::optional<PieceHash> entry(std::uint32_t piece) const = 0;

  [[nodiscard]] virtual const std::shared_ptr<PieceClaims>& claims() const = 0;
  virtual void have(std::uint32_t piece) = 0;  // the bytes are in the file, and trusted: peers may have them

  // Which pieces first (piece_choice.h). A node takes its own stripe first (`rank` of `of`; 0 of 0: no stripes), then
  // what is within `pieces_ahead` pieces of the reader (0: anywhere). `author`: the node, if there is one, from which
  // we take our own stripe only while others bring theirs (fresh_pieces.h).
  virtual void set_stripe(Stripe stripe, const std::string& author) = 0;
  // That holds no more for this author, or for any: all that it said and says is heard.
  virtual void forget_author(const std::string& author) = 0;
  virtual void forget_authors() = 0;
  virtual void set_window(std::uint32_t reader, std::uint32_t pieces_ahead) = 0;

  virtual void resume() = 0;  // after on_trouble: there is room again
  // The digest matched, so the map was right. Without that, who was banned for bytes that did not match it is pardoned
  // when the share is dropped: the liar may have been who made the map.
  virtual void verified() = 0;
};

}  // namespace shoal::p2p
