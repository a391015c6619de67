#include "connection.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "shoal/base/format.h"

namespace shoal::bench {
namespace {

using base::format;

constexpr std::size_t kHeadBytes = 8 * 1024;
constexpr std::size_t kErrorBody = 4 * 1024;
constexpr std::uint64_t kAtOnce = 1 << 30;
constexpr int kReadsAtOnce = 64;  // of a TLS connection; then the others have their turn

std::string in_words(int error) {
  char text[128];
  return ::strerror_r(error, text, sizeof text);
}

// Past the C library: under a sanitizer its recv() wants a buffer, though with MSG_TRUNC TCP writes to none.
long discard(int fd, std::uint64_t most) {
  return ::syscall(SYS_recvfrom, fd, nullptr, static_cast<std::size_t>(most), MSG_TRUNC | MSG_DONTWAIT, nullptr,
                   nullptr);
}

}  // namespace

Connection::Connection(Engine& engine, const Route& route, std::size_t address)
    : engine_(engine), route_(route), address_(address) {}

Connection::~Connection() {
  tls_.reset();
  if (fd_ >= 0) ::close(fd_);
}

void Connection::open(std::unique_ptr<Job> job) {
  job_ = std::move(job);
  job_->answer.reused = false;
  since_ = engine_.now_;
  const auto& address = route_.addresses[address_];
  fd_ = ::socket(address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd_ < 0) return fail(format("socket: {}", in_words(errno)));
  const int on = 1;
  (void)::setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);  // best effort
  const socklen_t size = address.ss_family == AF_INET ? sizeof(sockaddr_in) : sizeof(sockaddr_in6);
  if (::connect(fd_, reinterpret_cast<const sockaddr*>(&address), size) != 0 && errno != EINPROGRESS) {
    return fail(format("connect to {}:{}: {}", route_.origin.host, route_.origin.port, in_words(errno)));
  }
  wait_for(EPOLLOUT);
}

void Connection::ask(std::unique_ptr<Job> job) {
  job_ = std::move(job);
  job_->answer.reused = true;
  since_ = engine_.now_;
  state_ = State::sending;
  send_request();
}

void Connection::ready() {
  tls_more_ = false;
  since_ = engine_.now_;
  step();
}

void Connection::step() {
  switch (state_) {
    case State::connecting: return check_connected();
    case State::handshaking: return shake_hands();
    case State::sending: return send_request();
    case State::head: return read_head();
    case State::body: return read_body();
    case State::idle: state_ = State::over; return;  // the server closed it, or talks unasked
    case State::over: return;
  }
}

void Connection::check_connected() {
  int error = 0;
  socklen_t size = sizeof error;
  (void)::getsockopt(fd_, SOL_SOCKET, SO_ERROR, &error, &size);
  if (error != 0) {
    return fail(format("connect to {}:{}: {}", route_.origin.host, route_.origin.port, in_words(error)));
  }
  ++engine_.connected_;
  if (route_.origin.scheme == "https") {
    tls_ = std::make_unique<tls::ClientConnection>(engine_.tls_, fd_, route_.origin.host);
    state_ = State::handshaking;
    return shake_hands();
  }
  state_ = State::sending;
  send_request();
}

void Connection::shake_hands() {
  switch (tls_->handshake()) {
    case tls::Io::done: break;
    case tls::Io::want_read: return wait_for(EPOLLIN);
    case tls::Io::want_write: return wait_for(EPOLLOUT);
    case tls::Io::ended: return fail("TLS handshake: the connection was closed");
    case tls::Io::failed: return fail(tls_->reason());
  }
  engine_.tls_session_ = tls_->session();
  state_ = State::sending;
  send_request();
}

long Connection::transmit(std::string_view bytes) {
  if (!tls_) {
    const auto sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent >= 0) return sent;
    if (errno == EAGAIN) {
      wait_for(EPOLLOUT | EPOLLIN);
    } else {
      fail(format("send: {}", in_words(errno)));
    }
    return -1;
  }
  std::size_t count = 0;
  switch (tls_->write(bytes, count)) {
    case tls::Io::done: return static_cast<long>(count);
    case tls::Io::want_read: wait_for(EPOLLIN); return -1;
    case tls::Io::want_write: wait_for(EPOLLOUT); return -1;
    case tls::Io::ended: fail("send: the server has closed the connection"); return -1;
    case tls::Io::failed: fail(tls_->reason()); return -1;
  }
  return -1;
}

void Connection::send_request() {
  const auto& ask = job_->ask;
  if (out_.empty()) {
    out_ = format("{} {} HTTP/1.1\r\nHost: {}\r\n{}", ask.method, ask.path, route_.host_header, ask.headers);
    if (!ask.authorization.empty()) out_ += format("Authorization: {}\r\n", ask.authorization);
    if (!ask.body.empty() || ask.method == "PUT" || ask.method == "POST" || ask.method == "PATCH") {
      out_ += format("Content-Length: {}\r\n", ask.body.size());
    }
    out_ += ask.close ? "Connection: close\r\n\r\n" : "\r\n";
    sent_ = 0;
    answered_ = false;
    head_.clear();
  }
  const auto all = out_.size() + ask.body.size();
  while (sent_ < all) {
    const auto rest = sent_ < out_.size() ? std::string_view(out_).substr(sent_) : ask.body.substr(sent_ - out_.size());
    const auto count = transmit(rest);
    if (count >= 0) {
      sent_ += static_cast<std::size_t>(count);
      continue;
    }
    if (state_ == State::over || tls_) return;
    // Refused before all of it was sent: the answer is there already, and the connection is of no more use.
    char peeked = 0;
    if (::recv(fd_, &peeked, 1, MSG_PEEK | MSG_DONTWAIT) <= 0) return;
    job_->ask.close = true;
    break;
  }
  out_.clear();
  state_ = State::head;
  wait_for(EPOLLIN);
}

long Connection::receive(char* into, std::size_t room) {
  if (!tls_) {
    const auto got = ::recv(fd_, into, room, MSG_DONTWAIT);
    if (got < 0 && errno != EAGAIN) fail(format("receive: {}", in_words(errno)));
    return got;
  }
  std::size_t count = 0;
  switch (tls_->read({into, room}, count)) {
    case tls::Io::done: return static_cast<long>(count);
    case tls::Io::want_read: wait_for(EPOLLIN); return -1;
    case tls::Io::want_write: wait_for(EPOLLOUT); return -1;
    case tls::Io::ended: return 0;
    case tls::Io::failed: fail(tls_->reason()); return -1;
  }
  return -1;
}

void Connection::read_head() {
  auto& buffer = engine_.buffer_;
  while (state_ == State::head) {
    const auto got = receive(buffer.data(), kHeadBytes);
    if (got < 0) return;
    if (got == 0) return fail(answered_ ? "the connection ended within the answer's head" : "no answer: it was closed");
    answered_ = true;
    head_.append(buffer.data(), static_cast<std::size_t>(got));
    while (state_ == State::head) {
      const auto size = head_size(head_);
      if (size == 0) break;
      take_head(size);
    }
    if (state_ == State::head && head_.size() > kMaxHead) return fail("the answer's head has no end");
    if (!tls_) break;  // the socket tells when there is more
  }
  if (state_ == State::body && tls_) read_body();
}

void Connection::take_head(std::size_t size) {
  auto parsed = parse_head(std::string_view(head_).substr(0, size));
  if (!parsed.ok()) return fail(parsed.error().message());
  const auto early = head_.substr(size);
  if (parsed->status / 100 == 1) {
    head_ = early;
    return;
  }
  job_->answer.head = std::move(*parsed);
  keep_ = job_->answer.head.keep && !job_->ask.close;
  begin_body(early);
}

void Connection::begin_body(std::string_view early) {
  auto& answer = job_->answer;
  const auto& head = answer.head;
  answer.first_byte = std::chrono::steady_clock::now();
  const bool none = job_->ask.method == "HEAD" || head.status == 204 || head.status == 304;
  chunks_.reset();
  if (none) {
    if (!early.empty()) keep_ = false;
    return finish();
  }
  const auto& expected = job_->ask.expected;
  if (expected && head.status / 100 == 2 && head.length && *head.length != *expected) {
    return fail(format("its Content-Length is {}, but {} bytes should come", *head.length, *expected));
  }
  to_the_end_ = !head.chunked && !head.length;
  left_ = head.length.value_or(~std::uint64_t{0});
  if (head.chunked) chunks_ = std::make_unique<ChunkReader>();
  state_ = State::body;
  if (early.empty() && left_ > 0) answer.first_byte = {};
  if (early.size() > left_ && !head.chunked) return fail("more came than its Content-Length says");
  if (!early.empty()) take_body(early);
  if (state_ == State::body && left_ == 0 && !head.chunked) body_ended();
}

void Connection::read_body() {
  const auto& answer = job_->answer;
  if (!tls_ && !chunks_ && job_->ask.keep_body == 0 && job_->ask.hasher == nullptr && answer.head.status / 100 == 2) {
    return drop_body();
  }
  auto& buffer = engine_.buffer_;
  for (int i = 0; i < kReadsAtOnce && state_ == State::body; ++i) {
    const auto room = std::min<std::uint64_t>(buffer.size(), left_);
    const auto got = receive(buffer.data(), static_cast<std::size_t>(room));
    if (got < 0) return;
    if (got == 0) return body_ended();
    take_body({buffer.data(), static_cast<std::size_t>(got)});
    if (!tls_) return;
  }
  tls_more_ = state_ == State::body;
}

void Connection::drop_body() {
  const auto got = discard(fd_, std::min(left_, kAtOnce));
  if (got < 0) {
    if (errno != EAGAIN) fail(format("receive: {}", in_words(errno)));
    return;
  }
  if (got == 0) return body_ended();
  auto& answer = job_->answer;
  if (answer.first_byte == Time{}) answer.first_byte = std::chrono::steady_clock::now();
  const auto count = static_cast<std::uint64_t>(got);
  answer.bytes += count;
  engine_.received_ += count;
  left_ -= count;
  if (left_ == 0) body_ended();
}

void Connection::take_body(std::string_view bytes) {
  if (job_->answer.first_byte == Time{}) job_->answer.first_byte = std::chrono::steady_clock::now();
  if (!chunks_) {
    left_ -= bytes.size();
    take_content(bytes);
    if (state_ == State::body && left_ == 0) body_ended();
    return;
  }
  const bool good = chunks_->feed(bytes, [this](std::string_view content) {
    if (state_ == State::body) take_content(content);
  });
  if (state_ != State::body) return;
  if (!good) return fail("its chunked body is broken");
  if (chunks_->over()) body_ended();
}

void Connection::take_content(std::string_view bytes) {
  auto& answer = job_->answer;
  answer.bytes += bytes.size();
  engine_.received_ += bytes.size();
  if (answer.head.status / 100 != 2) {
    answer.body.append(bytes.substr(0, kErrorBody - std::min(kErrorBody, answer.body.size())));
    return;
  }
  if (job_->ask.expected && answer.bytes > *job_->ask.expected) {
    return fail(format("more than {} bytes came", *job_->ask.expected));
  }
  if (job_->ask.hasher != nullptr) job_->ask.hasher->update(bytes);
  if (job_->ask.keep_body == 0) return;
  if (answer.body.size() + bytes.size() > job_->ask.keep_body) {
    return fail(format("the answer exceeds {} bytes", job_->ask.keep_body));
  }
  answer.body.append(bytes);
}

void Connection::body_ended() {
  const auto& answer = job_->answer;
  const auto& expected = job_->ask.expected;
  const bool whole = to_the_end_ || (chunks_ ? chunks_->over() : left_ == 0);
  if (!whole) {
    return fail(answer.head.length
                    ? format("the connection ended after {} of {} bytes", answer.bytes, *answer.head.length)
                    : format("the connection ended after {} bytes of a chunked body", answer.bytes));
  }
  if (expected && answer.head.status / 100 == 2 && answer.bytes != *expected) {
    return fail(format("{} of {} bytes came", answer.bytes, *expected));
  }
  if (to_the_end_) keep_ = false;
  finish();
}

void Connection::finish() {
  job_->answer.end = std::chrono::steady_clock::now();
  if (job_->answer.first_byte == Time{}) job_->answer.first_byte = job_->answer.end;
  state_ = keep_ ? State::idle : State::over;
}

void Connection::fail(std::string error) {
  state_ = State::over;
  if (!job_) return;
  job_->answer.end = std::chrono::steady_clock::now();
  job_->answer.error = std::move(error);
}

void Connection::expire(Time now) {
  const auto waited = now - since_;
  const auto& limits = engine_.options_;
  const auto in_seconds = [](auto limit) { return std::chrono::duration<double>(limit).count(); };
  switch (state_) {
    case State::connecting:
    case State::handshaking:
      if (waited < limits.connect_timeout) return;
      return fail(format("connect to {}:{}: no answer for {} s", route_.origin.host, route_.origin.port,
                         in_seconds(limits.connect_timeout)));
    case State::sending:
    case State::head:
      if (waited >= limits.first_byte_timeout) {
        fail(format("no answer for {} s", in_seconds(limits.first_byte_timeout)));
      }
      return;
    case State::body:
      if (waited >= limits.stall_timeout) {
        fail(format("nothing came for {} s, after {} bytes", in_seconds(limits.stall_timeout), job_->answer.bytes));
      }
      return;
    case State::idle:
    case State::over: return;
  }
}

void Connection::wait_for(std::uint32_t events) {
  if (events_ == events) return;
  epoll_event event{};
  event.events = events;
  event.data.ptr = this;
  (void)::epoll_ctl(engine_.epoll_, events_ == 0 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, fd_, &event);
  events_ = events;
}

}  // namespace shoal::bench
