#include <arpa/inet.h>

#include <charconv>
#include <cstring>

#include "shoal/p2p/site.h"

namespace shoal::p2p {
namespace {

// IPv4 as ::ffff:a.b.c.d. False: not an address.
bool to_bytes(const std::string& ip, std::array<std::uint8_t, 16>& out, bool& v4) {
  v4 = false;
  if (ip.find('\0') != std::string::npos) return false;  // inet_pton would end there
  in_addr four{};
  if (inet_pton(AF_INET, ip.c_str(), &four) == 1) {
    out = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    std::memcpy(out.data() + 12, &four, 4);
    v4 = true;
    return true;
  }
  return inet_pton(AF_INET6, ip.c_str(), out.data()) == 1;
}

}  // namespace

base::Result<Network> Network::parse(std::string_view text) {
  const auto slash = text.find('/');
  Network network;
  bool v4 = false;
  if (!to_bytes(std::string(text.substr(0, slash)), network.address, v4)) {
    return base::Error(base::ErrorKind::invalid, std::string(text) + " is not a network: write 10.0.0.0/8 or fd00::/8");
  }
  const unsigned bits = v4 ? 32 : 128;
  unsigned prefix = bits;
  if (slash != std::string_view::npos) {
    const auto tail = text.substr(slash + 1);
    const auto [end, error] = std::from_chars(tail.data(), tail.data() + tail.size(), prefix);
    if (error != std::errc() || end != tail.data() + tail.size() || prefix > bits) {
      return base::Error(base::ErrorKind::invalid, std::string(text) + ": the prefix is 0 to " + std::to_string(bits));
    }
  }
  network.prefix = prefix + (128 - bits);
  return network;
}

bool Network::contains(std::string_view ip) const {
  std::array<std::uint8_t, 16> other{};
  bool v4 = false;
  if (!to_bytes(std::string(ip), other, v4)) return false;
  for (unsigned bit = 0; bit < prefix; bit += 8) {
    const unsigned left = prefix - bit;
    const auto mask = static_cast<std::uint8_t>(left >= 8 ? 0xff : 0xff << (8 - left));
    if ((address[bit / 8] & mask) != (other[bit / 8] & mask)) return false;
  }
  return true;
}

}  // namespace shoal::p2p
