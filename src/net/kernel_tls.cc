// What of a TcpStream is about TLS records that the kernel makes.
#include <linux/tls.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <unistd.h>

#include <array>
#include <cstring>

#include "tcp_stream.h"

namespace shoal::net {

namespace {

constexpr int kSolTls = 282;  // SOL_TLS of linux/socket.h, which is not for programs

bool begin_records(int fd, std::string_view keys) {
  return ::setsockopt(fd, SOL_TCP, TCP_ULP, "tls", 3) == 0 &&
         ::setsockopt(fd, kSolTls, TLS_TX, keys.data(), static_cast<socklen_t>(keys.size())) == 0;
}

struct Fd {
  ~Fd() {
    if (fd >= 0) (void)::close(fd);
  }
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
};

// To itself, by the loopback interface.
bool connect(const Fd& to, const Fd& from) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* const generic = reinterpret_cast<sockaddr*>(&address);
  return ::bind(to.fd, generic, size) == 0 && ::listen(to.fd, 1) == 0 && ::getsockname(to.fd, generic, &size) == 0 &&
         ::connect(from.fd, generic, size) == 0;
}

bool try_out() {
  const Fd to, from;
  if (to.fd < 0 || from.fd < 0 || !connect(to, from)) return false;
  tls12_crypto_info_aes_gcm_128 keys{};
  keys.info.version = TLS_1_3_VERSION;
  keys.info.cipher_type = TLS_CIPHER_AES_GCM_128;
  return begin_records(from.fd, {reinterpret_cast<const char*>(&keys), sizeof keys});
}

}  // namespace

bool kernel_makes_tls_records() {
  static const bool kDoes = try_out();
  return kDoes;
}

KernelTls* TcpStream::kernel_tls() { return kernel_makes_tls_records() ? this : nullptr; }

bool TcpStream::begin(std::string_view keys) {
  if (fd_ >= 0) kernel_tls_ = begin_records(fd_, keys);
  return kernel_tls_;
}

base::Result<std::size_t> TcpStream::write_record(std::uint8_t type, std::string_view bytes) {
  if (fd_ < 0) return base::Error(base::ErrorKind::gone, "send: the connection is closed");
  if (!writable_ || bytes.empty()) return std::size_t{0};
  iovec part{const_cast<char*>(bytes.data()), bytes.size()};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof type)> control{};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  cmsghdr* const header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = kSolTls;
  header->cmsg_type = TLS_SET_RECORD_TYPE;
  header->cmsg_len = CMSG_LEN(sizeof type);
  std::memcpy(CMSG_DATA(header), &type, sizeof type);
  return send(message, bytes.size());
}

// The kernel keeps the end of a record that the socket did not take outside of the socket's buffer, and drops it when
// the socket is closed. While there is such a thing the socket takes nothing.
bool TcpStream::settled() {
  if (fd_ < 0) return true;
  pollfd socket{fd_, POLLOUT, 0};
  if (::poll(&socket, 1, 0) == 0) writable_ = false;
  return writable_;
}

}  // namespace shoal::net
