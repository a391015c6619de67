// Address <-> sockaddr. Private to net.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include "shoal/net/stream.h"

namespace shoal::net {

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t size = 0;
  [[nodiscard]] const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
  [[nodiscard]] sockaddr* get() { return reinterpret_cast<sockaddr*>(&storage); }
};

[[nodiscard]] base::Result<SocketAddress> to_socket_address(const Address& address);
[[nodiscard]] Address from_socket_address(const SocketAddress& address);  // a v4-mapped one becomes plain IPv4

}  // namespace shoal::net
