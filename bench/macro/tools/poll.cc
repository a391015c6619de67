// Asks a server again and again, at a fixed pace, and tells how long the answers took: what a busy loop costs those it
// serves. A few keep-alive connections, one thread each, the paths in turn. With the right to, its threads run in real
// time (SCHED_FIFO), so that their own waits for a processor are not taken for the server's. A path that begins with
// "list:" is read whole over and over on a connection of its own, without being timed. Prints one JSON line.
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "client.h"

namespace {

using Clock = std::chrono::steady_clock;

struct Options {
  std::string host = "127.0.0.1";
  int port = 0, connections = 8;
  double seconds = 10;
  int interval_us = 1000;  // from one request to the next, all connections together
  std::vector<std::string> paths, lists;
};

class Connection {
 public:
  explicit Connection(const Options& options) {
    fd_ = ::socket(AF_INET, SOCK_STREAM, 0);
    open_ = connect_to(fd_, options.host, options.port);
  }
  ~Connection() { ::close(fd_); }
  // The body's bytes, or -1. Reads on without keeping them.
  long get(const std::string& path) {
    const auto request = "GET " + path + " HTTP/1.1\r\nHost: bench\r\n\r\n";
    if (!open_ || ::send(fd_, request.data(), request.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(request.size())) {
      return -1;
    }
    in_.clear();
    std::size_t end = std::string::npos;
    while ((end = in_.find("\r\n\r\n")) == std::string::npos) {
      if (!more()) return -1;
    }
    const bool ok = in_.starts_with("HTTP/1.1 200");
    const auto length = field(in_.substr(0, end + 2), "content-length");
    in_.erase(0, end + 4);
    if (!ok) return -1;
    return length.empty() ? read_chunks() : read_length(std::strtol(length.c_str(), nullptr, 10));
  }

 private:
  long read_length(long length) {
    long left = length - static_cast<long>(in_.size());
    while (left > 0) {
      in_.clear();
      if (!more()) return -1;
      left -= static_cast<long>(in_.size());
    }
    return length;
  }
  long read_chunks() {
    long total = 0;
    for (;;) {
      std::size_t line = 0;
      while ((line = in_.find("\r\n")) == std::string::npos) {
        if (!more()) return -1;
      }
      const auto size = std::strtoul(in_.c_str(), nullptr, 16);
      while (in_.size() < line + 2 + size + 2) {
        if (!more()) return -1;
      }
      in_.erase(0, line + 2 + size + 2);
      if (size == 0) return total;
      total += static_cast<long>(size);
    }
  }
  bool more() {
    char buffer[65536];
    const ssize_t n = ::recv(fd_, buffer, sizeof buffer, 0);
    if (n <= 0) return false;
    in_.append(buffer, static_cast<std::size_t>(n));
    return true;
  }
  int fd_ = -1;
  bool open_ = false;
  std::string in_;
};

bool run_in_real_time() {
  sched_param param{};
  param.sched_priority = 1;
  return ::sched_setscheduler(0, SCHED_FIFO, &param) == 0;
}

double quantile(const std::vector<double>& sorted, double q) {
  return sorted.empty() ? 0 : sorted[std::min(sorted.size() - 1, static_cast<std::size_t>(q * sorted.size()))];
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string flag = argv[i];
    if (flag[0] == '/') options.paths.push_back(flag);
    if (flag.starts_with("list:")) options.lists.push_back(flag.substr(5));
    if (flag[0] == '/' || flag.starts_with("list:")) continue;
    if (i + 1 >= argc) return 2;
    const char* value = argv[++i];
    if (flag == "--host") options.host = value;
    if (flag == "--port") options.port = std::atoi(value);
    if (flag == "--connections") options.connections = std::atoi(value);
    if (flag == "--seconds") options.seconds = std::atof(value);
    if (flag == "--interval-us") options.interval_us = std::atoi(value);
  }
  std::vector<double> took;
  std::mutex mutex;
  std::atomic<long> errors{0}, listed{0}, list_bytes{0};
  std::atomic<bool> real_time{true};
  std::string first_error;
  const auto fail = [&](const std::string& path) {
    ++errors;
    const std::lock_guard lock(mutex);
    if (first_error.empty()) first_error = path;
  };
  const auto begin = Clock::now();
  const auto until =
      begin + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(options.seconds));
  std::vector<std::thread> threads;
  for (const auto& path : options.lists) {
    threads.emplace_back([&, path] {
      Connection connection(options);
      while (Clock::now() < until) {
        const auto bytes = connection.get(path);
        if (bytes < 0) return fail(path);
        ++listed;
        list_bytes += bytes;
      }
    });
  }
  for (int c = 0; c < options.connections; ++c) {
    threads.emplace_back([&, c] {
      if (!run_in_real_time()) real_time = false;
      Connection connection(options);
      std::vector<double> mine;
      const auto step = std::chrono::microseconds(options.interval_us) * options.connections;
      auto next = begin + std::chrono::microseconds(options.interval_us) * c;
      for (std::size_t i = static_cast<std::size_t>(c); next < until; ++i) {
        std::this_thread::sleep_until(next);
        const auto& path = options.paths[i % options.paths.size()];
        const auto asked = Clock::now();
        if (connection.get(path) < 0) return fail(path);
        mine.push_back(std::chrono::duration<double>(Clock::now() - asked).count());
        next = std::max(next + step, asked);  // one that came late is not made up for: only the wait it met counts
      }
      const std::lock_guard lock(mutex);
      took.insert(took.end(), mine.begin(), mine.end());
    });
  }
  for (auto& thread : threads) thread.join();
  std::sort(took.begin(), took.end());
  std::printf(
      "{\"requests\":%zu,\"p50\":%.6f,\"p99\":%.6f,\"p999\":%.6f,\"max\":%.6f,\"real_time\":%s,\"lists\":%ld,"
      "\"list_bytes\":%ld,\"errors\":%ld,\"first_error\":\"%s\"}\n",
      took.size(), quantile(took, 0.5), quantile(took, 0.99), quantile(took, 0.999), took.empty() ? 0 : took.back(),
      real_time ? "true" : "false", listed.load(), list_bytes.load(), errors.load(), first_error.c_str());
  return errors == 0 ? 0 : 1;
}
