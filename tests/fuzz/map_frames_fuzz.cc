// The stream of a piece map. Frames of any type and payload come with the site's seal, one may come without, and the
// whole in portions of any size: what is handed on lies inside the blob and inside the limits, whatever the portions.
#include <algorithm>
#include <cstdlib>
#include <string>

#include "../../src/p2p/map_frames.h"
#include "../../src/p2p/seal.h"

namespace {

using namespace shoal;
using namespace shoal::p2p;

constexpr std::uint32_t kPieces = 300;
const std::string kNonce(32, 'a');

void require(bool holds) {
  if (!holds) std::abort();
}

struct Taken final : FrameReader::Taker {
  void on_entries(const std::vector<MapEntry>& entries) override {
    require(entries.size() <= kMaxEntries);
    for (const auto& entry : entries) require(entry.piece < kPieces);
    seen += "E" + std::to_string(entries.size());
  }
  void on_place(MapPlace place) override {
    peers += place.peers.size();
    require(place.peers.size() <= kMaxMapPeers && peers <= kMaxToldPeers);
    for (const auto& peer : place.peers) require(peer.id.size() == 32 && peer.port != 0);
    seen += "S" + std::to_string(place.rank) + "/" + std::to_string(place.of);
  }
  std::string seen;
  std::size_t peers = 0;
};

std::string sealed(const Seal& seal, int number, char type, std::string_view payload) {
  std::string head(1, type);
  for (int shift = 24; shift >= 0; shift -= 8) head.push_back(static_cast<char>(payload.size() >> shift & 0xff));
  std::string text = "map\n" + std::string(1, type);
  text.append(payload);
  return head + std::string(payload) + seal.answer(kNonce, number, text);
}

struct Outcome {
  bool ok = true;
  base::ErrorKind kind{};
  std::string seen;
};

Outcome read(const Seal& seal, std::string_view stream, std::size_t portion) {
  Taken taken;
  FrameReader reader(seal, kNonce, kPieces, taken);
  while (!stream.empty()) {
    const auto part = stream.substr(0, portion);
    stream.remove_prefix(part.size());
    if (auto result = reader.take(part); !result.ok()) return {false, result.error().kind(), taken.seen};
  }
  return {true, {}, taken.seen};
}

}  // namespace

// portion, which byte of the stream is flipped (0: none), then frames: type, length / 2, payload; what is left is raw.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const auto seal = std::move(*Seal::make("0123456789abcdef"));
  if (size < 3) return 0;
  const std::size_t portion = data[0] + 1UL, flip = data[1];
  std::string_view in(reinterpret_cast<const char*>(data) + 2, size - 2);
  std::string stream;
  for (int number = 1; in.size() >= 2 && number < 50; ++number) {
    const auto length = std::min(static_cast<std::size_t>(static_cast<unsigned char>(in[1])) * 2, in.size() - 2);
    stream += sealed(*seal, number, in[0], in.substr(2, length));
    in.remove_prefix(2 + length);
  }
  stream.append(in);
  if (flip != 0 && flip < stream.size()) stream[flip] = static_cast<char>(stream[flip] ^ 1);
  const auto once = read(*seal, stream, stream.size()), parts = read(*seal, stream, portion);
  require(once.ok == parts.ok && once.seen == parts.seen);
  require(once.ok ||
          (once.kind == parts.kind && (once.kind == base::ErrorKind::denied || once.kind == base::ErrorKind::invalid)));
  return 0;
}
