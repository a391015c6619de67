#include "tcp_stream.h"

#include <netinet/tcp.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "shoal/base/disk_error.h"

namespace shoal::net {

namespace {

constexpr std::uint32_t kReadEvents = EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR;
constexpr std::uint32_t kEndEvents = EPOLLRDHUP | EPOLLHUP | EPOLLERR;
constexpr std::uint32_t kWriteEvents = EPOLLOUT | EPOLLHUP | EPOLLERR;
constexpr int kReadsPerTurn = 16;  // of kReadBufferBytes each, then other sockets have their turn
constexpr std::size_t kMaxParts = 16;
constexpr std::size_t kMaxSendFile = 0x7fff'0000;  // what one sendfile takes

bool would_block(int error) { return error == EAGAIN || error == EWOULDBLOCK; }

}  // namespace

base::Result<std::unique_ptr<Stream>> TcpStream::adopt(EventLoop& loop, int fd, Address peer) {
  const int on = 1;
  // Answers leave whole; Nagle would only hold back the last segment. Not TCP (a test's socketpair): no harm.
  (void)::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  auto stream = std::make_unique<TcpStream>(loop, fd, std::move(peer));
  auto token = loop.impl().poller.add(fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, *stream);
  if (!token) {
    (void)::close(std::exchange(stream->fd_, -1));
    return token.error();
  }
  stream->token_ = *token;
  return std::unique_ptr<Stream>(std::move(stream));
}

TcpStream::TcpStream(EventLoop& loop, int fd, Address peer) : loop_(loop), fd_(fd), peer_(std::move(peer)) {}

TcpStream::~TcpStream() {
  if (dropped_ != nullptr) *dropped_ = true;
  close();
}

void TcpStream::close() {
  if (fd_ < 0) return;
  loop_.impl().poller.forget(token_);
  (void)::close(std::exchange(fd_, -1));  // nothing buffered on our side is lost by a close
  reading_ = false;
}

void TcpStream::reset() {
  if (fd_ < 0) return;
  const linger now{.l_onoff = 1, .l_linger = 0};
  (void)::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
  close();
}

void TcpStream::shutdown_write() {
  if (fd_ >= 0) (void)::shutdown(fd_, SHUT_WR);  // fails only if the connection is gone already
}

void TcpStream::cork(bool on) {
  corked_ = on;
  if (on || !held_back_ || fd_ < 0) return;
  held_back_ = false;
  const int value = 1;
  (void)::setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &value, sizeof value);  // setting it again pushes what waits
}

void TcpStream::wake_later(std::uint32_t epoll_events) {
  if (fd_ < 0) return;
  loop_.impl().post_local(
      [poller = &loop_.impl().poller, token = token_, epoll_events] { poller->deliver(token, epoll_events); });
}

void TcpStream::read_start(base::UniqueFunction<void(base::Result<std::string_view>)> data) {
  data_ = std::move(data);
  reading_ = true;
  if (readable_ && dropped_ == nullptr) wake_later(EPOLLIN);  // inside the callback read_some() goes on by itself
}

void TcpStream::read_stop() { reading_ = false; }

void TcpStream::on_writable(base::UniqueFunction<void()> ready) {
  ready_ = std::move(ready);
  if (writable_) wake_later(EPOLLOUT);
}

base::Result<std::size_t> TcpStream::write_some(std::span<const std::string_view> parts) {
  if (fd_ < 0) return base::Error(base::ErrorKind::gone, "send: the connection is closed");
  if (!writable_) return std::size_t{0};
  std::array<iovec, kMaxParts> vectors;
  std::size_t count = 0;
  std::size_t wanted = 0;
  for (const auto& part : parts.first(std::min(parts.size(), kMaxParts))) {
    if (part.empty()) continue;
    vectors[count++] = {const_cast<char*>(part.data()), part.size()};
    wanted += part.size();
  }
  if (count == 0) return std::size_t{0};
  msghdr message{};
  message.msg_iov = vectors.data();
  message.msg_iovlen = count;
  return send(message, wanted);
}

base::Result<std::size_t> TcpStream::send(msghdr& message, std::size_t wanted) {
  // An open record would wait in the kernel for more, and no socket option pushes it.
  const int more = corked_ && !kernel_tls_ ? MSG_MORE : 0;
  ssize_t sent = 0;
  do {
    sent = ::sendmsg(fd_, &message, MSG_NOSIGNAL | MSG_DONTWAIT | more);
  } while (sent < 0 && errno == EINTR);
  if (sent < 0) {
    if (!would_block(errno)) return base::from_errno(errno, "send");
    sent = 0;
  }
  // A part was taken: the kernel met its limit and will tell when there is room again.
  if (static_cast<std::size_t>(sent) < wanted) writable_ = false;
  held_back_ = more != 0 && sent > 0;
  return static_cast<std::size_t>(sent);
}

base::Result<std::size_t> TcpStream::send_file(const base::File& file, std::uint64_t offset, std::size_t size) {
  if (fd_ < 0) return base::Error(base::ErrorKind::gone, "sendfile: the connection is closed");
  if (!writable_ || size == 0) return std::size_t{0};
  // A short count may be an interruption: only EAGAIN says that the socket is full (see on_writable).
  auto position = static_cast<off_t>(offset);
  ssize_t sent = 0;
  do {
    sent = ::sendfile(fd_, file.fd(), &position, std::min(size, kMaxSendFile));
  } while (sent < 0 && errno == EINTR);
  if (sent < 0) {
    if (base::is_of_the_disk(errno)) return unreadable(errno);
    if (!would_block(errno)) return base::from_errno(errno, "sendfile");
    writable_ = false;
    return std::size_t{0};
  }
  if (sent == 0) return base::Error(base::ErrorKind::corrupt, "sendfile: the file is shorter than its record says");
  held_back_ = false;  // sendfile pushes at its end
  return static_cast<std::size_t>(sent);
}

void TcpStream::on_poll(std::uint32_t epoll_events) {
  if ((epoll_events & kReadEvents) != 0) readable_ = true;
  if ((epoll_events & kEndEvents) != 0) more_to_read_ = true;
  if ((epoll_events & kWriteEvents) != 0) writable_ = true;
  bool dropped = false;
  dropped_ = &dropped;
  if (writable_ && ready_) {
    auto ready = std::move(ready_);
    ready();
    if (dropped) return;
  }
  read_some();
  if (!dropped) dropped_ = nullptr;
}

int TcpStream::pending_error() const {
  int error = 0;
  socklen_t size = sizeof error;
  return ::getsockopt(fd_, SOL_SOCKET, SO_ERROR, &error, &size) == 0 ? error : errno;
}

// Ends at EAGAIN, at a read_stop, or after its share of the turn. `this` may be gone when it returns.
void TcpStream::read_some() {
  bool* const dropped = dropped_;
  char* const buffer = loop_.impl().read_buffer.get();
  for (int i = 0; reading_ && readable_; ++i) {
    if (i == kReadsPerTurn) return wake_later(EPOLLIN);
    const ssize_t got = ::recv(fd_, buffer, kReadBufferBytes, MSG_DONTWAIT);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && would_block(errno)) {
      readable_ = false;
      return;
    }
    int error = got < 0 ? errno : 0;
    if (got == 0 && std::exchange(ended_, true)) {
      error = pending_error();  // after a FIN, recv says "end" even to a reset
      if (error == 0) {
        readable_ = false;
        return;
      }
    }
    // After the end only another edge (a reset) is worth a look.
    if (got <= 0 || (static_cast<std::size_t>(got) < kReadBufferBytes && !more_to_read_)) readable_ = false;
    if (error != 0) reading_ = false;
    auto data = std::move(data_);
    if (error != 0) {
      data(base::from_errno(error, "receive"));
    } else {
      data(std::string_view(buffer, static_cast<std::size_t>(got)));
    }
    if (*dropped) return;
    if (!data_) data_ = std::move(data);
  }
}

}  // namespace shoal::net
