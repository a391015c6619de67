#include <fcntl.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

#include "loop_impl.h"
#include "shoal/obs/log.h"
#include "sockaddr.h"
#include "tcp_stream.h"

namespace shoal::net {

namespace {

constexpr int kAcceptsPerTurn = 16;
constexpr int kShedPerTurn = 64;
constexpr std::chrono::milliseconds kNoFdPause{100};
constexpr std::chrono::seconds kLogEvery{10};

bool out_of_resources(int error) { return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM; }

int open_reserve() { return ::open("/dev/null", O_RDONLY | O_CLOEXEC); }

}  // namespace

struct Listener::Impl final : PollTarget {
  explicit Impl(EventLoop& l) : loop(l) {}
  ~Impl() {
    if (dropped != nullptr) *dropped = true;
    if (watched) loop.impl().poller.forget(token);
    for (int open_fd : {fd, reserve_fd}) {
      if (open_fd >= 0) (void)::close(open_fd);
    }
  }

  void on_poll(std::uint32_t) override {
    bool gone = false;
    dropped = &gone;
    for (int i = 0; i < kAcceptsPerTurn && wanted && !starved; ++i) {
      SocketAddress from;
      from.size = sizeof from.storage;
      const int client = ::accept4(fd, from.get(), &from.size, SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (client < 0) {
        if (errno == EINTR || errno == ECONNABORTED) continue;
        if (out_of_resources(errno)) out_of_fds(errno);
        break;
      }
      starved_before = false;
      auto stream = TcpStream::adopt(loop, client, from_socket_address(from));
      if (!stream) continue;  // closed by adopt: the kernel had no memory for it
      accepted(std::move(*stream));
      if (gone) return;
    }
    dropped = nullptr;
  }

  // Waits a little for descriptors to come free. If none did, the reserve one serves to turn waiting clients away, who
  // then go elsewhere at once instead of hanging in the backlog.
  void out_of_fds(int error) {
    if (starved_before && reserve_fd >= 0) {
      (void)::close(std::exchange(reserve_fd, -1));
      for (int i = 0; i < kShedPerTurn; ++i) {
        const int client = ::accept4(fd, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (client < 0) break;
        (void)::close(client);
      }
      reserve_fd = open_reserve();
    }
    starved_before = true;
    const auto now = std::chrono::steady_clock::now();
    if (now - logged_at >= kLogEvery) {
      logged_at = now;
      obs::warn(obs::Category::app, "accept on {}: {}; raise the limit of open files (ulimit -n)", address.to_string(),
                base::from_errno(error, "accept").message());
    }
    starved = true;
    watch();
    retry = loop.schedule(kNoFdPause, [this] {
      starved = false;
      watch();
    });
  }

  void watch() { loop.impl().poller.change(fd, wanted && !starved ? EPOLLIN : 0U, token); }

  EventLoop& loop;
  int fd = -1;
  int reserve_fd = -1;
  Address address;
  base::UniqueFunction<void(std::unique_ptr<Stream>)> accepted;
  Poller::Token token = 0;
  bool watched = false;
  bool wanted = true;           // not paused by the owner
  bool starved = false;         // waiting for file descriptors
  bool starved_before = false;  // since the last successful accept
  base::SteadyTime logged_at{};
  base::Timer retry;
  bool* dropped = nullptr;  // set by the destructor while `accepted` runs
};

Listener::Listener(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Listener::~Listener() = default;

base::Result<std::unique_ptr<Listener>> Listener::listen(EventLoop& loop, const Address& address, ListenOptions options,
                                                         base::UniqueFunction<void(std::unique_ptr<Stream>)> accepted) {
  auto impl = std::make_unique<Impl>(loop);
  const auto failed = [&] { return base::from_errno(errno, "listen on", address.to_string()); };
  auto socket_address = to_socket_address(address);
  if (!socket_address) return socket_address.error().at("listen");
  const int family = socket_address->storage.ss_family;
  impl->fd = ::socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (impl->fd < 0 && errno == EAFNOSUPPORT && address.ip == "::") {  // a host without IPv6: all of IPv4 then
    return listen(loop, {"0.0.0.0", address.port}, options, std::move(accepted));
  }
  if (impl->fd < 0) return failed();
  const int on = 1;
  const int off = 0;
  (void)::setsockopt(impl->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (family == AF_INET6) (void)::setsockopt(impl->fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
  if (options.reuse_port && ::setsockopt(impl->fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) != 0) return failed();
  if (::bind(impl->fd, socket_address->get(), socket_address->size) != 0) return failed();
  if (::listen(impl->fd, options.backlog) != 0) return failed();
  SocketAddress bound;
  bound.size = sizeof bound.storage;
  if (::getsockname(impl->fd, bound.get(), &bound.size) != 0) return failed();
  impl->address = from_socket_address(bound);
  impl->reserve_fd = open_reserve();
  impl->accepted = std::move(accepted);
  auto token = loop.impl().poller.add(impl->fd, EPOLLIN, *impl);
  if (!token) return token.error().at("listen on", address.to_string());
  impl->token = *token;
  impl->watched = true;
  return std::make_unique<Listener>(std::move(impl));
}

const Address& Listener::address() const { return impl_->address; }

void Listener::pause() {
  impl_->wanted = false;
  impl_->watch();
}

void Listener::resume() {
  impl_->wanted = true;
  impl_->watch();
}

}  // namespace shoal::net
