#include "naming.h"

#include <algorithm>
#include <cstring>
#include <libtorrent/hasher.hpp>
#include <string_view>

namespace shoal::p2p {
namespace {

constexpr std::uint64_t kMostPieces = 1 << 20;
constexpr std::uint32_t kBlock = 16 * 1024;

template <class N>
std::string big_endian(N value) {
  std::string out(sizeof value, '\0');
  for (std::size_t i = 0; i < sizeof value; ++i)
    out[i] = static_cast<char>((value >> (8 * (sizeof value - 1 - i))) & 0xff);
  return out;
}

std::string_view view(std::span<const std::uint8_t> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace

base::Result<Naming> Naming::make(const base::HmacKey& secret, const base::Digest& digest, std::uint64_t size,
                                  std::uint32_t piece_length) {
  if (size == 0) return base::Error(base::ErrorKind::invalid, "an empty blob has no pieces");
  if (piece_length < kBlock || piece_length > (1u << 30) || (piece_length & (piece_length - 1)) != 0)
    return base::Error(base::ErrorKind::invalid, "a piece length is a power of two of at least 16 KiB");
  if ((size - 1) / piece_length >= kMostPieces)
    return base::Error(base::ErrorKind::invalid, "too many pieces for one blob");
  const base::Mac seed =
      secret.sign({"shoal p2p pieces 1", view(digest.bytes()), big_endian(size), big_endian(piece_length)});
  return Naming(digest, size, piece_length, seed);
}

Naming::Naming(const base::Digest& digest, std::uint64_t size, std::uint32_t piece_length, const base::Mac& seed)
    : digest_(digest),
      size_(size),
      piece_length_(piece_length),
      pieces_(static_cast<std::uint32_t>((size - 1) / piece_length + 1)),
      seed_(seed) {}

std::uint32_t Naming::piece_size(std::uint32_t piece) const {
  return static_cast<std::uint32_t>(std::min<std::uint64_t>(piece_length_, size_ - offset(piece)));
}

Sha1 Naming::placeholder(std::uint32_t piece) const {
  lt::hasher hasher;
  hasher.update(reinterpret_cast<const char*>(seed_.data()), static_cast<int>(seed_.size()));
  const std::string number = big_endian(piece);
  hasher.update(number.data(), static_cast<int>(number.size()));
  const lt::sha1_hash hash = hasher.final();
  Sha1 out;
  std::memcpy(out.data(), hash.data(), out.size());
  return out;
}

std::string Naming::metainfo() const {
  // Keys in bencode's order. Nothing else may enter: the info-hash is over exactly these bytes.
  const std::string name = digest_.hex();
  std::string out = "d4:infod6:lengthi" + std::to_string(size_) + "e4:name" + std::to_string(name.size()) + ":" + name +
                    "12:piece lengthi" + std::to_string(piece_length_) + "e6:pieces" + std::to_string(pieces_ * 20u) +
                    ":";
  out.reserve(out.size() + std::size_t{pieces_} * 20 + 16);
  for (std::uint32_t i = 0; i < pieces_; ++i) {
    const Sha1 hash = placeholder(i);
    out.append(hash.data(), hash.size());
  }
  out += "7:privatei1eee";
  return out;
}

}  // namespace shoal::p2p
