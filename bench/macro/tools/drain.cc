// HTTP/1.1 load that costs its own machine little: GETs over keep-alive connections, bodies dropped in the kernel
// (recv with MSG_TRUNC), one thread, epoll. Prints one JSON line at the end; with --hold or --pace also
// {"event":"ready"} once every connection has its first answer's header.
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "client.h"

namespace {

using Clock = std::chrono::steady_clock;

struct Options {
  std::string host = "127.0.0.1";
  std::uint16_t port = 0;
  std::vector<std::string> paths;
  std::string headers;
  int connections = 1;
  double seconds = 5;
  std::uint64_t requests = 0;  // in all; 0: until the time is up
  std::uint64_t pace = 0;      // bytes a second and connection; 0: as fast as it goes
  bool hold = false;           // one request per connection, then sit idle until the time is up
};

struct Connection {
  enum class State { connecting, header, body, idle, closed };
  int fd = -1;
  State state = State::connecting;
  std::string header;
  std::uint64_t left = 0;
  std::uint64_t allowance = 0;
  bool answered = false;
  Clock::time_point asked;
};

[[noreturn]] void usage() {
  std::fputs(
      "usage: drain --port P [--host A] [--connections N] [--seconds S] [--requests K] [--header 'A: b']\n"
      "             [--pace BYTES_PER_SECOND | --hold] PATH...\n",
      stderr);
  std::exit(2);
}

Options parse(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string_view arg = argv[i];
    if (arg == "--hold") {
      options.hold = true;
    } else if (arg.substr(0, 2) != "--") {
      options.paths.emplace_back(arg);
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
    } else if (arg == "--requests") {
      options.requests = std::strtoull(argv[i], nullptr, 10);
    } else if (arg == "--pace") {
      options.pace = std::strtoull(argv[i], nullptr, 10);
    } else if (arg == "--header") {
      options.headers += std::string(argv[i]) + "\r\n";
    } else {
      usage();
    }
  }
  if (options.port == 0 || options.paths.empty() || options.connections < 1) {
    usage();
  }
  return options;
}

class Drain {
 public:
  explicit Drain(Options options) : options_(std::move(options)), connections_(options_.connections) {}
  int run();

 private:
  void open(Connection& connection);
  void ask(Connection& connection);
  void readable(Connection& connection);
  void read_header(Connection& connection);
  void read_body(Connection& connection);
  void finish(Connection& connection);
  void fail(Connection& connection, const char* why);
  void refill();
  void watch(Connection& connection, std::uint32_t events, int operation);
  void print(double seconds) const;

  Options options_;
  std::vector<Connection> connections_;
  int epoll_ = epoll_create1(0);
  std::uint64_t bytes_ = 0, done_ = 0, asked_ = 0, errors_ = 0, answered_ = 0;
  std::string first_error_;
  std::vector<double> first_byte_ms_;
  bool ready_told_ = false;
};

void Drain::watch(Connection& connection, std::uint32_t events, int operation) {
  epoll_event event{};
  event.events = events;
  event.data.ptr = &connection;
  (void)epoll_ctl(epoll_, operation, connection.fd, &event);
}

void Drain::fail(Connection& connection, const char* why) {
  ++errors_;
  if (first_error_.empty()) {
    first_error_ = why;
  }
  close(connection.fd);
  connection.state = Connection::State::closed;
}

void Drain::open(Connection& connection) {
  connection.fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (connection.fd < 0) {
    return fail(connection, "socket: out of descriptors?");
  }
  if (options_.pace > 0) {
    const int small = 64 * 1024;
    (void)setsockopt(connection.fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
  }
  if (!connect_to(connection.fd, options_.host, options_.port) && errno != EINPROGRESS) {
    return fail(connection, "connect");
  }
  connection.state = Connection::State::connecting;
  watch(connection, EPOLLOUT, EPOLL_CTL_ADD);
}

void Drain::ask(Connection& connection) {
  if (options_.requests > 0 && asked_ >= options_.requests) {
    connection.state = Connection::State::idle;
    return;
  }
  const std::string& path = options_.paths[asked_ % options_.paths.size()];
  ++asked_;
  const std::string text = "GET " + path + " HTTP/1.1\r\nHost: " + options_.host + ":" + std::to_string(options_.port) +
                           "\r\nUser-Agent: drain\r\n" + options_.headers + "\r\n";
  connection.asked = Clock::now();
  if (send(connection.fd, text.data(), text.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(text.size())) {
    return fail(connection, "send");
  }
  connection.header.clear();
  connection.state = Connection::State::header;
}

void Drain::read_header(Connection& connection) {
  char buffer[4096];
  const ssize_t got = recv(connection.fd, buffer, sizeof buffer, 0);
  if (got <= 0) {
    if (got < 0 && errno == EAGAIN) {
      return;
    }
    return fail(connection, "closed before an answer");
  }
  if (connection.header.empty()) {
    const std::chrono::duration<double, std::milli> waited = Clock::now() - connection.asked;
    first_byte_ms_.push_back(waited.count());
  }
  connection.header.append(buffer, static_cast<std::size_t>(got));
  const auto end = connection.header.find("\r\n\r\n");
  if (end == std::string::npos) {
    return;
  }
  if (connection.header.compare(0, 10, "HTTP/1.1 2") != 0) {
    return fail(connection, connection.header.substr(0, connection.header.find('\r')).c_str());
  }
  const auto length = field(connection.header.substr(0, end + 2), "content-length");
  if (length.empty()) {
    return fail(connection, "no Content-Length");
  }
  const std::uint64_t size = std::strtoull(length.c_str(), nullptr, 10);
  const std::uint64_t early = connection.header.size() - end - 4;
  bytes_ += early;
  connection.left = size - std::min(size, early);
  connection.state = Connection::State::body;
  if (!connection.answered) {
    connection.answered = true;
    ++answered_;
  }
  if (connection.left == 0) {
    finish(connection);
  }
}

void Drain::read_body(Connection& connection) {
  std::uint64_t want = connection.left;
  if (options_.pace > 0) {
    want = std::min(want, connection.allowance);
    if (want == 0) {
      return watch(connection, 0, EPOLL_CTL_MOD);  // refill() looks again
    }
  }
  const ssize_t got =
      recv(connection.fd, nullptr, static_cast<std::size_t>(std::min<std::uint64_t>(want, 1 << 30)), MSG_TRUNC);
  if (got <= 0) {
    if (got < 0 && errno == EAGAIN) {
      return;
    }
    return fail(connection, "closed within a body");
  }
  bytes_ += static_cast<std::uint64_t>(got);
  connection.left -= static_cast<std::uint64_t>(got);
  connection.allowance -= std::min<std::uint64_t>(connection.allowance, static_cast<std::uint64_t>(got));
  if (connection.left == 0) {
    finish(connection);
  }
}

void Drain::finish(Connection& connection) {
  ++done_;
  if (options_.hold) {
    connection.state = Connection::State::idle;
    return;
  }
  ask(connection);
}

void Drain::readable(Connection& connection) {
  switch (connection.state) {
    case Connection::State::connecting: {
      int error = 0;
      socklen_t size = sizeof error;
      (void)getsockopt(connection.fd, SOL_SOCKET, SO_ERROR, &error, &size);
      if (error != 0) {
        return fail(connection, std::strerror(error));
      }
      watch(connection, EPOLLIN, EPOLL_CTL_MOD);
      return ask(connection);
    }
    case Connection::State::header: return read_header(connection);
    case Connection::State::body: return read_body(connection);
    case Connection::State::idle: {
      char byte;
      if (recv(connection.fd, &byte, 1, MSG_DONTWAIT) <= 0 && errno != EAGAIN) {
        fail(connection, "closed while idle");
      }
      return;
    }
    case Connection::State::closed: return;
  }
}

void Drain::refill() {
  for (Connection& connection : connections_) {
    connection.allowance = std::min(options_.pace, connection.allowance + options_.pace / 10);
    if (connection.state == Connection::State::body) {
      watch(connection, EPOLLIN, EPOLL_CTL_MOD);
    }
  }
}

void Drain::print(double seconds) const {
  auto sorted = first_byte_ms_;
  std::sort(sorted.begin(), sorted.end());
  const auto at = [&](double q) {
    return sorted.empty() ? 0.0 : sorted[static_cast<std::size_t>(q * static_cast<double>(sorted.size() - 1))];
  };
  std::printf(
      "{\"bytes\":%llu,\"requests\":%llu,\"seconds\":%.4f,\"errors\":%llu,\"first_error\":\"%s\","
      "\"first_byte_ms\":{\"p50\":%.3f,\"p99\":%.3f,\"max\":%.3f},\"client_cpu_seconds\":%.3f}\n",
      static_cast<unsigned long long>(bytes_), static_cast<unsigned long long>(done_), seconds,
      static_cast<unsigned long long>(errors_), first_error_.c_str(), at(0.5), at(0.99), at(1.0), processor_seconds());
}

int Drain::run() {
  const auto began = Clock::now();
  const auto until =
      began + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(options_.seconds));
  auto next_refill = began;
  std::size_t opened = 0;
  std::vector<epoll_event> events(1024);
  while (Clock::now() < until) {
    for (int burst = 0; burst < 256 && opened < connections_.size(); ++burst) {  // not more than a backlog at once
      open(connections_[opened++]);
    }
    if (options_.pace > 0 && Clock::now() >= next_refill) {
      refill();
      next_refill += std::chrono::milliseconds(100);
    }
    const int count = epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), 10);
    for (int i = 0; i < count; ++i) {
      readable(*static_cast<Connection*>(events[static_cast<std::size_t>(i)].data.ptr));
    }
    if (!ready_told_ && (options_.hold || options_.pace > 0) && opened == connections_.size() &&
        answered_ + errors_ >= connections_.size()) {
      ready_told_ = true;
      std::puts("{\"event\":\"ready\"}");
      std::fflush(stdout);
    }
    if ((options_.requests > 0 && done_ + errors_ >= options_.requests) ||
        (errors_ >= connections_.size() && opened == connections_.size())) {
      break;
    }
  }
  print(std::chrono::duration<double>(Clock::now() - began).count());
  return errors_ == 0 ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  const rlimit all{1 << 20, 1 << 20};
  if (setrlimit(RLIMIT_NOFILE, &all) != 0) {
    rlimit most{};
    (void)getrlimit(RLIMIT_NOFILE, &most);
    most.rlim_cur = most.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &most);
  }
  return Drain(parse(argc, argv)).run();
}
