// What the load tools share.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <strings.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

// False: not an IPv4 address, or no connection (yet, EINPROGRESS).
inline bool connect_to(int fd, const std::string& host, int port) {
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(static_cast<std::uint16_t>(port));
  const int on = 1;
  return inet_pton(AF_INET, host.c_str(), &to.sin_addr) == 1 &&
         setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) == 0 &&
         connect(fd, reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0;
}

// The value in the header of an answer; empty: it has none.
inline std::string field(const std::string& head, std::string_view name) {
  for (std::size_t at = head.find("\r\n"); at != std::string::npos; at = head.find("\r\n", at + 2)) {
    const char* line = head.c_str() + at + 2;
    if (strncasecmp(line, name.data(), name.size()) != 0 || line[name.size()] != ':') continue;
    const char* value = line + name.size() + 1;
    while (*value == ' ') ++value;
    return std::string(value, std::strcspn(value, "\r"));
  }
  return {};
}

inline double processor_seconds() {
  rusage usage{};
  (void)getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
         static_cast<double>(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}
