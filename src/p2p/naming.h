// Naming: a torrent named before its bytes exist. Its info dictionary follows from digest, size, piece length and the
// site's secret alone, so that every node of the site derives the same info-hash and nobody else does. The piece hashes
// in it are placeholders; what proves a piece is the piece map (shared_blob.h). A value; any thread.
//
//   seed        = HMAC-SHA-256(secret, "shoal p2p pieces 1" digest (32 or 64 bytes) size (8, BE) piece length (4, BE))
//   piece i     = SHA-1(seed, i (4, BE))
//   info        = {length, name: hex digest, piece length, pieces, private: 1}  (BEP 3, bencoded)
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "shoal/base/digest.h"
#include "shoal/base/result.h"

namespace shoal::p2p {

using Sha1 = std::array<char, 20>;

class Naming {
 public:
  // ErrorKind::invalid: an empty blob; a piece length that is no power of two of at least 16 KiB; more than 2^20
  // pieces.
  [[nodiscard]] static base::Result<Naming> make(const base::HmacKey& secret, const base::Digest& digest,
                                                 std::uint64_t size, std::uint32_t piece_length);

  [[nodiscard]] const base::Digest& digest() const { return digest_; }
  [[nodiscard]] std::uint64_t size() const { return size_; }
  [[nodiscard]] std::uint32_t piece_length() const { return piece_length_; }
  [[nodiscard]] std::uint32_t pieces() const { return pieces_; }
  [[nodiscard]] std::uint64_t offset(std::uint32_t piece) const { return std::uint64_t{piece} * piece_length_; }
  [[nodiscard]] std::uint32_t piece_size(std::uint32_t piece) const;
  [[nodiscard]] Sha1 placeholder(std::uint32_t piece) const;
  [[nodiscard]] std::string metainfo() const;  // bencoded, about 20 bytes a piece

 private:
  Naming(const base::Digest& digest, std::uint64_t size, std::uint32_t piece_length, const base::Mac& seed);
  base::Digest digest_;
  std::uint64_t size_;
  std::uint32_t piece_length_;
  std::uint32_t pieces_;
  base::Mac seed_;
};

}  // namespace shoal::p2p
