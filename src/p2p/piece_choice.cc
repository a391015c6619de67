#include "piece_choice.h"

namespace shoal::p2p {
namespace {

constexpr std::uint32_t kNearest = 8;  // of a window, this part first

}  // namespace

std::uint32_t piece_length_for(std::uint64_t size) {
  constexpr std::uint32_t kSmallest = 64 * 1024;
  constexpr std::uint32_t kUsual = 1024 * 1024;  // beyond, libtorrent completes begun pieces before it looks at ours
  constexpr std::uint32_t kLargest = 4 * 1024 * 1024;
  constexpr std::uint64_t kPieces = 512;  // enough to spread over a site, few enough for a small map
  constexpr std::uint64_t kManyPieces = 4'096;
  if (size == 0) return 0;
  std::uint32_t length = kSmallest;
  while (length < kUsual && size / length > kPieces) length *= 2;
  while (length < kLargest && size / length > kManyPieces) length *= 2;
  return length;
}

std::vector<std::uint8_t> priorities(const PieceWish& wish) {
  const bool stripes = wish.of > 1, alone = wish.of == 1;
  std::vector<std::uint8_t> out(wish.pieces);
  for (std::uint32_t i = 0; i < wish.pieces; ++i) {
    const bool own = stripes && i % wish.of == wish.rank % wish.of;
    if (wish.ahead == 0) {
      out[i] = !stripes ? 4 : own ? 7 : 1;
    } else if (i == 0 && wish.reader == 0) {
      out[i] = 7;  // a client waits for its first byte; one piece more from the seed for each node
    } else if (i >= wish.reader && i - wish.reader < wish.ahead) {
      // Who is alone has nobody to spread to: what is read next comes next.
      out[i] = stripes ? (own ? 7 : 5) : alone && i - wish.reader < wish.ahead / kNearest ? 7 : 6;
    } else {
      out[i] = own ? 6 : 1;  // what is our part to spread is not to wait for our reader
    }
  }
  return out;
}

}  // namespace shoal::p2p
