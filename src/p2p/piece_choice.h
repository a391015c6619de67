// How a blob is cut into pieces, and which of them a node asks for first. Pure. Figures: bench, and DESIGN section 8.
#pragma once

#include <cstdint>
#include <vector>

namespace shoal::p2p {

// A power of two, 64 KiB to 4 MiB, 0 for an empty blob: about 512 pieces, and up to 4,096 before they get longer than
// 1 MiB. Every node of a site must choose the same, for the name of the torrent depends on it.
[[nodiscard]] std::uint32_t piece_length_for(std::uint64_t size);

struct PieceWish {
  std::uint32_t pieces = 0;
  std::uint32_t rank = 0;    // of this node among those that take part, seed or fetcher aside
  std::uint32_t of = 0;      // how many those are; 0: no stripes
  std::uint32_t reader = 0;  // the first piece the reader lacks
  std::uint32_t ahead = 0;   // how many pieces from there on matter most; 0: no window
};

// libtorrent's priorities, 1 to 7, one a piece. Never 0: what nobody opens nobody gets.
[[nodiscard]] std::vector<std::uint8_t> priorities(const PieceWish& wish);

}  // namespace shoal::p2p
