// Numbers as BitTorrent and the frames of a piece map write them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace shoal::p2p {

inline void put32(std::string& out, std::uint32_t value) {
  for (int shift = 24; shift >= 0; shift -= 8) out.push_back(static_cast<char>(value >> shift & 0xff));
}

// Of the first four bytes, which must be there.
inline std::uint32_t get32(std::string_view in) {
  std::uint32_t value = 0;
  for (const char byte : in.substr(0, 4)) value = value << 8 | static_cast<unsigned char>(byte);
  return value;
}

}  // namespace shoal::p2p
