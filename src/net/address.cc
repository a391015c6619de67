#include <arpa/inet.h>

#include <charconv>
#include <cstring>

#include "shoal/base/format.h"
#include "sockaddr.h"

namespace shoal::net {

std::string Address::to_string() const {
  return ip.find(':') == std::string::npos ? base::format("{}:{}", ip, port) : base::format("[{}]:{}", ip, port);
}

base::Result<Address> parse_address(std::string_view text) {
  const auto wrong = [&](std::string_view why) {
    return base::Error(
        base::ErrorKind::invalid,
        base::format("address \"{}\": {}; write 127.0.0.1:5000, [::1]:5000 or :5000", text.substr(0, 64), why));
  };
  const auto colon = text.rfind(':');
  if (colon == std::string_view::npos) return wrong("no port");
  std::string_view host = text.substr(0, colon);
  const std::string_view port_text = text.substr(colon + 1);
  Address address;
  const auto [end, error] = std::from_chars(port_text.data(), port_text.data() + port_text.size(), address.port);
  if (error != std::errc() || end != port_text.data() + port_text.size()) return wrong("the port is not 0..65535");
  if (host.empty()) {
    address.ip = "::";
    return address;
  }
  const bool bracketed = host.front() == '[';
  if (bracketed) {
    if (host.size() < 3 || host.back() != ']') return wrong("no closing bracket");
    host = host.substr(1, host.size() - 2);
  }
  if (host.find('\0') != std::string_view::npos) return wrong("not a numeric IP");  // inet_pton would end there
  address.ip = std::string(host);
  in6_addr parsed;
  if (::inet_pton(bracketed ? AF_INET6 : AF_INET, address.ip.c_str(), &parsed) != 1) {
    return wrong(host.find(':') != std::string_view::npos ? "IPv6 needs brackets" : "not a numeric IP");
  }
  return address;
}

base::Result<SocketAddress> to_socket_address(const Address& address) {
  SocketAddress out;
  auto* v6 = reinterpret_cast<sockaddr_in6*>(&out.storage);
  auto* v4 = reinterpret_cast<sockaddr_in*>(&out.storage);
  if (::inet_pton(AF_INET6, address.ip.c_str(), &v6->sin6_addr) == 1) {
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(address.port);
    out.size = sizeof(sockaddr_in6);
  } else if (::inet_pton(AF_INET, address.ip.c_str(), &v4->sin_addr) == 1) {
    v4->sin_family = AF_INET;
    v4->sin_port = htons(address.port);
    out.size = sizeof(sockaddr_in);
  } else {
    return base::Error(base::ErrorKind::invalid, base::format("address \"{}\": not a numeric IP", address.ip));
  }
  return out;
}

Address from_socket_address(const SocketAddress& address) {
  char text[INET6_ADDRSTRLEN] = {};
  if (address.storage.ss_family == AF_INET6) {
    const auto* v6 = reinterpret_cast<const sockaddr_in6*>(&address.storage);
    if (IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr)) {
      (void)::inet_ntop(AF_INET, &v6->sin6_addr.s6_addr[12], text, sizeof text);  // the buffer fits
    } else {
      (void)::inet_ntop(AF_INET6, &v6->sin6_addr, text, sizeof text);
    }
    return {text, ntohs(v6->sin6_port)};
  }
  if (address.storage.ss_family != AF_INET) return {};
  const auto* v4 = reinterpret_cast<const sockaddr_in*>(&address.storage);
  (void)::inet_ntop(AF_INET, &v4->sin_addr, text, sizeof text);
  return {text, ntohs(v4->sin_port)};
}

}  // namespace shoal::net
