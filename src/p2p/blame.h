// Blame: who is to blame for pieces that did not match. Pure; one per blob, under its lock.
//
//   all blocks came from one peer                      that peer is guilty
//   blocks of several                                  all are suspects: they are to bring whole pieces alone
//   the piece comes right in the end                   whoever sent a block that differs from it is guilty
//   peers that have nothing to do with each other      the map's entry is wrong; nobody is guilty, and who was punished
//   sent the same other piece                          for this piece is pardoned
//
// libtorrent's own logic (smart_ban, trust points) reads the blocks back from the file and bans all but at random when
// several peers share a piece; it never gets to see a bad piece here (disk_io.h).
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <map>
#include <set>
#include <string_view>
#include <vector>

#include "peer_table.h"
#include "shoal/p2p/share.h"

namespace shoal::p2p {

inline constexpr std::uint32_t kBlockSize = 16 * 1024;  // BEP 3

struct Judgement {
  bool bad_map = false;
  std::set<PeerRef> guilty;
  std::set<PeerRef> suspects;
  std::set<PeerRef> pardoned;
};

class Blame {
 public:
  // `authors`: by block, 0 for nobody. `bytes`: the piece as it came, `hash` its SHA-256.
  [[nodiscard]] Judgement failed(std::uint32_t piece, std::string_view bytes, const PieceHash& hash,
                                 const std::vector<PeerRef>& authors);
  // It came right. `bytes`: the piece.
  [[nodiscard]] Judgement passed(std::uint32_t piece, std::string_view bytes);
  [[nodiscard]] bool remembers(std::uint32_t piece) const { return failures_.count(piece) != 0; }

  // What is remembered of failures: at most so much, the oldest go.
  static constexpr std::size_t kMostPieces = 64;
  static constexpr std::size_t kMostAttempts = 4;

 private:
  struct Attempt {
    PieceHash hash;
    std::set<PeerRef> peers;
    std::vector<PeerRef> authors;
    std::vector<PieceHash> blocks;
  };
  struct Failure {
    std::deque<Attempt> attempts;
    std::set<PeerRef> punished;
  };
  std::map<std::uint32_t, Failure> failures_;
  std::deque<std::uint32_t> order_;  // of failures_, oldest first
};

[[nodiscard]] PieceHash hash_of(std::string_view bytes);

}  // namespace shoal::p2p
