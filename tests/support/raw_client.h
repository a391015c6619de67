// RawClient: a blocking TCP client of the test's thread. Every wait ends after kPatience, so a test fails, not hangs.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <string>
#include <string_view>

namespace shoal::test {

class RawClient {
 public:
  static constexpr timeval kPatience{20, 0};

  explicit RawClient(std::uint16_t port, int receive_buffer = 0)
      : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    if (receive_buffer > 0) (void)::setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
    (void)::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &kPatience, sizeof kPatience);
    (void)::setsockopt(fd_, SOL_SOCKET, SO_SNDTIMEO, &kPatience, sizeof kPatience);
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connected_ = ::connect(fd_, reinterpret_cast<sockaddr*>(&to), sizeof to) == 0;
  }
  ~RawClient() { close(); }
  RawClient(const RawClient&) = delete;
  RawClient& operator=(const RawClient&) = delete;

  [[nodiscard]] bool connected() const { return connected_; }
  bool send(std::string_view bytes) {
    while (!bytes.empty()) {
      const auto n = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (n <= 0) return false;
      bytes.remove_prefix(static_cast<std::size_t>(n));
    }
    return true;
  }
  void end() { (void)::shutdown(fd_, SHUT_WR); }
  void close() {
    if (fd_ >= 0) (void)::close(fd_);
    fd_ = -1;
  }
  void reset() {
    const linger now{.l_onoff = 1, .l_linger = 0};
    (void)::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    close();
  }

  // Receives until `mark` is in what came, `bytes` came, or the connection ends.
  std::string read_until(std::string_view mark) {
    std::string out;
    while (out.find(mark) == std::string::npos && read_into(out, 1)) {
    }
    return out;
  }
  std::string read_exactly(std::size_t bytes) {
    std::string out;
    while (out.size() < bytes && read_into(out, bytes - out.size())) {
    }
    return out;
  }
  std::string read_all() {
    std::string out;
    while (read_into(out, 64 * 1024)) {
    }
    return out;
  }
  [[nodiscard]] bool ended() const { return error_ == 0 && ended_; }  // FIN seen
  [[nodiscard]] bool was_reset() const { return error_ == ECONNRESET; }
  [[nodiscard]] int fd() const { return fd_; }

 private:
  bool read_into(std::string& out, std::size_t most) {
    char buffer[64 * 1024];
    const auto n = ::recv(fd_, buffer, std::min(most, sizeof buffer), 0);
    if (n > 0) out.append(buffer, static_cast<std::size_t>(n));
    if (n == 0) ended_ = true;
    if (n < 0) error_ = errno;
    return n > 0;
  }
  int fd_;
  bool connected_ = false;
  bool ended_ = false;
  int error_ = 0;
};

}  // namespace shoal::test
