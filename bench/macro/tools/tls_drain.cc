// TLS 1.3 load that costs its own machine little. Layers: the handshake, the request and the answer's header are done
// with OpenSSL, then the records of the body are dropped in the kernel (recv with MSG_TRUNC), undecrypted, until the
// server ends the connection, and their size is checked; one thread, epoll. Handshakes: connections one after the other
// with one small request each, in as many threads as connections. Prints one JSON line. Certificates are not checked.
#include <fcntl.h>
#include <openssl/ssl.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "client.h"

namespace {

using Clock = std::chrono::steady_clock;

constexpr std::uint64_t kRecord = 16384;  // plaintext of a full record
constexpr std::uint64_t kOverhead = 22;   // of a TLS 1.3 record with AES-GCM: header 5, type 1, tag 16
constexpr double kFullRecords = static_cast<double>(kRecord) / static_cast<double>(kRecord + kOverhead);

enum class Mode { layers, full_handshakes, resumed_handshakes };

struct Options {
  std::string host = "127.0.0.1";
  std::uint16_t port = 0;
  std::string path;
  std::string cipher = "TLS_AES_128_GCM_SHA256";
  int connections = 1;
  double seconds = 5;
  Mode mode = Mode::layers;
};

[[noreturn]] void usage() {
  std::fputs(
      "usage: tls_drain --port P [--host A] [--connections N] [--seconds S] [--cipher TLS13_SUITE]\n"
      "                 [--mode layers|full|resumed] PATH\n",
      stderr);
  std::exit(2);
}

Options parse(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string_view arg = argv[i];
    if (arg.substr(0, 2) != "--") {
      options.path = arg;
    } else if (++i == argc) {
      usage();
    } else if (arg == "--host") {
      options.host = argv[i];
    } else if (arg == "--port") {
      options.port = static_cast<std::uint16_t>(std::atoi(argv[i]));
    } else if (arg == "--connections") {
      options.connections = std::atoi(argv[i]);
    } else if (arg == "--seconds") {
      options.seconds = std::atof(argv[i]);
    } else if (arg == "--cipher") {
      options.cipher = argv[i];
    } else if (arg == "--mode") {
      const std::string_view mode = argv[i];
      if (mode != "layers" && mode != "full" && mode != "resumed") usage();
      options.mode = mode == "layers" ? Mode::layers
                     : mode == "full" ? Mode::full_handshakes
                                      : Mode::resumed_handshakes;
    } else {
      usage();
    }
  }
  if (options.port == 0 || options.path.empty() || options.connections < 1) usage();
  return options;
}

struct FreeSsl {
  void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
  void operator()(SSL* ssl) const { SSL_free(ssl); }
  void operator()(SSL_SESSION* session) const { SSL_SESSION_free(session); }
};
using Session = std::unique_ptr<SSL_SESSION, FreeSsl>;

// One connection: ends with a reset, so that none lingers.
class Connection {
 public:
  ~Connection() {
    ssl_.reset();
    if (fd_ >= 0) close(fd_);
  }
  // Empty: all went well.
  std::string open(SSL_CTX* context, const Options& options, SSL_SESSION* session);
  std::string ask(const Options& options);
  [[nodiscard]] int fd() const { return fd_; }
  [[nodiscard]] SSL* ssl() const { return ssl_.get(); }

  std::uint64_t size = 0;   // Content-Length
  std::uint64_t early = 0;  // of the body, in the records of the header
  std::uint64_t wire = 0;   // bytes behind them

 private:
  int fd_ = -1;
  std::unique_ptr<SSL, FreeSsl> ssl_;
};

std::string Connection::open(SSL_CTX* context, const Options& options, SSL_SESSION* session) {
  fd_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const linger reset{.l_onoff = 1, .l_linger = 0};
  const timeval patience{.tv_sec = 20, .tv_usec = 0};
  if (fd_ < 0 || setsockopt(fd_, SOL_SOCKET, SO_LINGER, &reset, sizeof reset) != 0 ||
      setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) != 0 ||
      !connect_to(fd_, options.host, options.port)) {
    return std::string("connect: ") + std::strerror(errno);
  }
  ssl_.reset(SSL_new(context));
  SSL_set_fd(ssl_.get(), fd_);
  if (session != nullptr) SSL_set_session(ssl_.get(), session);
  if (SSL_connect(ssl_.get()) != 1) return "handshake failed";
  return {};
}

std::string Connection::ask(const Options& options) {
  const std::string request =
      "GET " + options.path + " HTTP/1.1\r\nHost: localhost\r\nUser-Agent: tls_drain\r\nConnection: close\r\n\r\n";
  if (SSL_write(ssl_.get(), request.data(), static_cast<int>(request.size())) <= 0) return "send failed";
  std::string header;
  auto end = std::string::npos;
  while (end == std::string::npos) {
    char buffer[kRecord];
    const int got = SSL_read(ssl_.get(), buffer, sizeof buffer);
    if (got <= 0) return "closed before an answer";
    header.append(buffer, static_cast<std::size_t>(got));
    end = header.find("\r\n\r\n");
  }
  if (header.compare(0, 10, "HTTP/1.1 2") != 0) return header.substr(0, header.find('\r'));
  const auto length = field(header.substr(0, end + 2), "content-length");
  if (length.empty()) return "no Content-Length";
  size = std::strtoull(length.c_str(), nullptr, 10);
  early = header.size() - end - 4;
  return {};
}

struct Sum {
  double bytes = 0;  // plaintext; of bodies that are not whole yet as full records
  std::uint64_t done = 0;
  std::uint64_t errors = 0;
  std::string first_error;
  std::uint64_t whole = 0, whole_wire = 0;  // of whole bodies: plaintext, and what it took on the wire
  std::string cipher;

  void fail(std::string why) {
    if (errors++ == 0) first_error = std::move(why);
  }
};

// ---- layers ----

class Layers {
 public:
  Layers(const Options& options, SSL_CTX* context)
      : options_(options), context_(context), connections_(static_cast<std::size_t>(options.connections)) {}
  Sum run();

 private:
  void open(std::size_t index);
  void drop(std::size_t index);
  void end(std::size_t index);

  const Options& options_;
  SSL_CTX* context_;
  std::vector<std::unique_ptr<Connection>> connections_;
  int epoll_ = epoll_create1(EPOLL_CLOEXEC);
  Sum sum_;
};

void Layers::open(std::size_t index) {
  auto connection = std::make_unique<Connection>();
  auto wrong = connection->open(context_, options_, nullptr);
  if (wrong.empty()) wrong = connection->ask(options_);
  if (!wrong.empty()) return sum_.fail(wrong);
  sum_.cipher = SSL_get_cipher_name(connection->ssl());
  (void)fcntl(connection->fd(), F_SETFL, O_NONBLOCK);
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = index;
  (void)epoll_ctl(epoll_, EPOLL_CTL_ADD, connection->fd(), &event);
  connections_[index] = std::move(connection);
}

void Layers::drop(std::size_t index) {
  auto& connection = *connections_[index];
  const ssize_t got = recv(connection.fd(), nullptr, 1U << 30, MSG_TRUNC);
  if (got < 0 && errno == EAGAIN) return;
  if (got > 0) {
    connection.wire += static_cast<std::uint64_t>(got);
    return;
  }
  end(index);
  connections_[index].reset();
  open(index);
}

void Layers::end(std::size_t index) {
  const auto& connection = *connections_[index];
  const auto left = connection.size - std::min(connection.size, connection.early);
  const auto least = left + (left + kRecord - 1) / kRecord * kOverhead;
  if (connection.wire < least || connection.wire > least + left / 50 + 1024) {
    sum_.fail("ended after " + std::to_string(connection.wire) + " bytes of records of at least " +
              std::to_string(least));
    return;
  }
  ++sum_.done;
  sum_.bytes += static_cast<double>(connection.size);
  sum_.whole += left;
  sum_.whole_wire += connection.wire;
}

Sum Layers::run() {
  const auto until = Clock::now() + std::chrono::duration<double>(options_.seconds);
  for (std::size_t i = 0; i < connections_.size(); ++i) open(i);
  std::vector<epoll_event> events(64);
  while (Clock::now() < until && sum_.errors == 0) {
    const int count = epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), 10);
    for (int i = 0; i < count; ++i) drop(events[static_cast<std::size_t>(i)].data.u64);
  }
  for (const auto& connection : connections_) {
    if (connection == nullptr) continue;
    sum_.bytes += static_cast<double>(connection->early) + static_cast<double>(connection->wire) * kFullRecords;
  }
  return sum_;
}

// ---- handshakes ----

int keep_session(SSL* ssl, SSL_SESSION* session) {
  static_cast<Session*>(SSL_get_app_data(ssl))->reset(session);
  return 1;
}

// One connection with its request, to the end.
std::string shake(SSL_CTX* context, const Options& options, Session& session, bool resume) {
  Connection connection;
  auto wrong = connection.open(context, options, resume ? session.get() : nullptr);
  if (!wrong.empty()) return wrong;
  SSL_set_app_data(connection.ssl(), reinterpret_cast<char*>(&session));
  if (SSL_session_reused(connection.ssl()) != (resume ? 1 : 0)) return "not resumed";
  wrong = connection.ask(options);
  char buffer[4096];
  while (wrong.empty() && SSL_read(connection.ssl(), buffer, sizeof buffer) > 0) {
  }
  // A connection freed without an end takes its session with it; not every server says close_notify.
  SSL_set_shutdown(connection.ssl(), SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
  return wrong;
}

Sum handshakes(const Options& options, SSL_CTX* context) {
  const bool resume = options.mode == Mode::resumed_handshakes;
  std::mutex mutex;
  Sum sum;
  const auto until = Clock::now() + std::chrono::duration<double>(options.seconds);
  std::vector<std::thread> threads;
  for (int i = 0; i < options.connections; ++i) {
    threads.emplace_back([&] {
      Session session;
      std::uint64_t done = 0;
      std::string wrong;
      if (resume) wrong = shake(context, options, session, /*resume=*/false);
      if (resume && wrong.empty() && session == nullptr) wrong = "no ticket";
      while (wrong.empty() && Clock::now() < until) {
        wrong = shake(context, options, session, resume);
        if (wrong.empty()) ++done;
      }
      const std::lock_guard lock(mutex);
      sum.done += done;
      if (!wrong.empty()) sum.fail(wrong);
    });
  }
  for (auto& thread : threads) thread.join();
  return sum;
}

void print(const Sum& sum, double seconds) {
  std::printf(
      "{\"bytes\":%.0f,\"requests\":%llu,\"seconds\":%.4f,\"errors\":%llu,\"first_error\":\"%s\",\"cipher\":\"%s\","
      "\"wire_per_byte\":%.5f,\"client_cpu_seconds\":%.3f}\n",
      sum.bytes, static_cast<unsigned long long>(sum.done), seconds, static_cast<unsigned long long>(sum.errors),
      sum.first_error.c_str(), sum.cipher.c_str(),
      sum.whole > 0 ? static_cast<double>(sum.whole_wire) / static_cast<double>(sum.whole) : 0, processor_seconds());
}

}  // namespace

int main(int argc, char** argv) {
  (void)signal(SIGPIPE, SIG_IGN);
  const auto options = parse(argc, argv);
  const std::unique_ptr<SSL_CTX, FreeSsl> context(SSL_CTX_new(TLS_client_method()));
  if (context == nullptr || SSL_CTX_set_min_proto_version(context.get(), TLS1_3_VERSION) != 1 ||
      SSL_CTX_set_ciphersuites(context.get(), options.cipher.c_str()) != 1) {
    usage();
  }
  SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
  SSL_CTX_set_read_ahead(context.get(), 0);  // what OpenSSL has not decrypted is still in the socket
  if (options.mode != Mode::layers) SSL_CTX_sess_set_new_cb(context.get(), keep_session);
  const auto began = Clock::now();
  const auto sum =
      options.mode == Mode::layers ? Layers(options, context.get()).run() : handshakes(options, context.get());
  print(sum, std::chrono::duration<double>(Clock::now() - began).count());
  return sum.errors == 0 ? 0 : 1;
}
