#include "map_frames.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "big_endian.h"
#include "json.h"
#include "shoal/p2p/site.h"

namespace shoal::p2p {
namespace {

constexpr std::size_t kHead = 5;
constexpr std::size_t kSeal = 67;  // "v1 " and 64 hex digits
constexpr std::size_t kEntry = 4 + 32;
constexpr std::uint32_t kMostTakers = 1'000'000;

std::string sealed(char type, std::string_view payload) {
  std::string text("map\n");
  text.push_back(type);
  text.append(payload);
  return text;
}

base::Error bad(const char* what) { return {base::ErrorKind::invalid, what}; }

bool is_id(const std::string& id) {
  return id.size() == 32 && id.find_first_not_of("0123456789abcdef") == std::string::npos;
}

base::Result<MapPlace> parse_place(std::string_view payload) {
  const auto json = parse_object(payload);
  if (!json.ok()) return json.error();
  MapPlace place;
  std::string fault;
  ObjectReader reader(*json, fault);
  if (reader.has("rank")) place.rank = static_cast<std::uint32_t>(reader.number("rank", 0, kMostTakers));
  if (reader.has("of")) place.of = static_cast<std::uint32_t>(reader.number("of", 0, kMostTakers));
  if (reader.has("direct")) place.direct = reader.flag("direct");
  if (reader.has("spreads")) place.spreads = reader.flag("spreads");
  reader.each_object("peers", kMaxMapPeers, [&](const nlohmann::json& object) {
    ObjectReader peer(object, fault);
    PeerAddress address{peer.text("id", 32), peer.text("ip", 45),
                        static_cast<std::uint16_t>(peer.number("port", 1, 65'535))};
    if (!is_id(address.id)) peer.fail("id is none of a node");
    if (address.ip.find('/') != std::string::npos || !Network::parse(address.ip).ok()) peer.fail("ip is no address");
    place.peers.push_back(std::move(address));
  });
  if (!fault.empty()) return base::Error(base::ErrorKind::invalid, "a place in the swarm: " + fault);
  return place;
}

}  // namespace

std::string FrameWriter::frame(char type, std::string payload) {
  std::string out(1, type);
  put32(out, static_cast<std::uint32_t>(payload.size()));
  out += payload;
  out += seal_.answer(nonce_, next_++, sealed(type, payload));
  return out;
}

std::string FrameWriter::entries(const std::vector<MapEntry>& entries) {
  std::string payload;
  payload.reserve(entries.size() * kEntry);
  for (const auto& entry : entries) {
    put32(payload, entry.piece);
    payload.append(reinterpret_cast<const char*>(entry.hash.data()), entry.hash.size());
  }
  return frame('E', std::move(payload));
}

std::string FrameWriter::place(const MapPlace& place) {
  nlohmann::json json{{"rank", place.rank}, {"of", place.of}, {"direct", place.direct}, {"spreads", place.spreads}};
  auto peers = nlohmann::json::array();
  for (const auto& peer : place.peers) peers.push_back({{"id", peer.id}, {"ip", peer.ip}, {"port", peer.port}});
  if (!peers.empty()) json["peers"] = std::move(peers);
  return frame('S', dump(json));
}

base::Result<void> FrameReader::take(std::string_view bytes) {
  buffer_.append(bytes);
  std::size_t at = 0;
  while (buffer_.size() - at >= kHead) {
    const auto length = get32(std::string_view(buffer_).substr(at + 1, 4));
    if (length > kMaxFrame) return bad("a frame of a piece map that is too large");
    const auto whole = kHead + length + kSeal;
    if (buffer_.size() - at < whole) break;
    const char type = buffer_[at];
    const auto payload = std::string_view(buffer_).substr(at + kHead, length);
    const auto seal = std::string_view(buffer_).substr(at + kHead + length, kSeal);
    if (!seal_.check_answer(seal, nonce_, next_++, sealed(type, payload))) {
      return base::Error(base::ErrorKind::denied, "a frame of a piece map without the site's seal");
    }
    if (auto taken = hand(type, payload); !taken.ok()) return taken;
    at += whole;
  }
  buffer_.erase(0, at);
  return {};
}

base::Result<void> FrameReader::hand(char type, std::string_view payload) {
  if (type == 'E') {
    if (payload.size() % kEntry != 0 || payload.size() / kEntry > kMaxEntries) return bad("entries of another size");
    std::vector<MapEntry> entries(payload.size() / kEntry);
    for (auto& entry : entries) {
      entry.piece = get32(payload);
      if (entry.piece >= pieces_) return bad("an entry of a piece that the blob does not have");
      std::copy_n(payload.begin() + 4, entry.hash.size(), entry.hash.begin());
      payload.remove_prefix(kEntry);
    }
    taker_.on_entries(entries);
  } else if (type == 'S') {
    auto place = parse_place(payload);
    if (!place.ok()) return place.error();
    told_peers_ += place->peers.size();
    if (told_peers_ > kMaxToldPeers) return bad("more peers than one author may name");
    taker_.on_place(std::move(*place));
  }
  return {};
}

}  // namespace shoal::p2p
