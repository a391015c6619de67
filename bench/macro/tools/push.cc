// Pushes blobs as clients do, over keep-alive connections, one thread each: POST for a session, then the bytes in one
// PUT (small blobs) or one PATCH and a PUT (--patch, large ones). Digests are made before the clock starts. Prints one
// JSON line.
#include <openssl/evp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <random>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "client.h"

namespace {

using Clock = std::chrono::steady_clock;

struct Options {
  std::string host = "127.0.0.1", repository = "bench/push";
  int port = 0, connections = 64;
  std::uint64_t count = 1000, size = 4096;
  bool patch = false;
};

struct Blob {
  std::string head;  // makes it differ from the others; the rest is the same filler
  std::string digest;
};

constexpr std::size_t kFiller = 1 << 20;

std::string hex(const unsigned char* bytes, unsigned n) {
  std::string out;
  char two[3];
  for (unsigned i = 0; i < n; ++i) {
    std::snprintf(two, sizeof two, "%02x", bytes[i]);
    out += two;
  }
  return out;
}

// The bytes of a blob, piece by piece.
template <class F>
bool each_piece(const Blob& blob, const std::string& filler, std::uint64_t size, F take) {
  if (!take(std::string_view(blob.head).substr(0, size))) return false;
  for (std::uint64_t at = blob.head.size(); at < size;) {
    const auto n = std::min<std::uint64_t>(filler.size(), size - at);
    if (!take(std::string_view(filler).substr(0, n))) return false;
    at += n;
  }
  return true;
}

std::string digest_of(const Blob& blob, const std::string& filler, std::uint64_t size) {
  EVP_MD_CTX* hash = EVP_MD_CTX_new();
  EVP_DigestInit_ex(hash, EVP_sha256(), nullptr);
  each_piece(blob, filler, size,
             [&](std::string_view piece) { return EVP_DigestUpdate(hash, piece.data(), piece.size()) == 1; });
  unsigned char out[EVP_MAX_MD_SIZE];
  unsigned n = 0;
  EVP_DigestFinal_ex(hash, out, &n);
  EVP_MD_CTX_free(hash);
  return "sha256:" + hex(out, n);
}

class Connection {
 public:
  explicit Connection(const Options& options) : options_(options) {}
  ~Connection() {
    if (fd_ >= 0) ::close(fd_);
  }
  bool open() {
    fd_ = ::socket(AF_INET, SOCK_STREAM, 0);
    return connect_to(fd_, options_.host, options_.port);
  }
  // The status, and the Location, of the answer.
  template <class F>
  int ask(const std::string& method, const std::string& path, std::uint64_t length, F body) {
    std::string head = method + " " + path + " HTTP/1.1\r\nHost: " + options_.host +
                       "\r\nContent-Length: " + std::to_string(length) + "\r\n";
    if (length > 0) head += "Content-Type: application/octet-stream\r\n";
    if (!send_all(head + "\r\n") || !body()) return 0;
    return read_answer();
  }
  bool send_all(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t n = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (n <= 0) return false;
      bytes.remove_prefix(static_cast<std::size_t>(n));
    }
    return true;
  }
  std::string location;

 private:
  int read_answer() {
    std::size_t end = std::string::npos;
    while ((end = in_.find("\r\n\r\n")) == std::string::npos) {
      if (!more()) return 0;
    }
    const std::string head = in_.substr(0, end + 2);
    in_.erase(0, end + 4);
    auto length = std::strtoull(field(head, "content-length").c_str(), nullptr, 10);
    while (in_.size() < length) {
      if (!more()) return 0;
    }
    in_.erase(0, length);
    location = field(head, "location");
    if (const auto scheme = location.find("://"); scheme != std::string::npos) {
      location.erase(0, location.find('/', scheme + 3));
    }
    return std::atoi(head.c_str() + std::strlen("HTTP/1.1 "));
  }
  bool more() {
    char buffer[16384];
    const ssize_t n = ::recv(fd_, buffer, sizeof buffer, 0);
    if (n <= 0) return false;
    in_.append(buffer, static_cast<std::size_t>(n));
    return true;
  }
  const Options& options_;
  int fd_ = -1;
  std::string in_;
};

// "" or what went wrong.
std::string push(Connection& connection, const Options& options, const Blob& blob, const std::string& filler) {
  const auto none = [] { return true; };
  const auto bytes = [&] {
    return each_piece(blob, filler, options.size, [&](std::string_view p) { return connection.send_all(p); });
  };
  int status = connection.ask("POST", "/v2/" + options.repository + "/blobs/uploads/", 0, none);
  if (status != 202) return "POST " + std::to_string(status);
  if (options.patch) {
    status = connection.ask("PATCH", connection.location, options.size, bytes);
    if (status != 202) return "PATCH " + std::to_string(status);
  }
  const auto target =
      connection.location + (connection.location.find('?') == std::string::npos ? "?" : "&") + "digest=" + blob.digest;
  status = options.patch ? connection.ask("PUT", target, 0, none) : connection.ask("PUT", target, options.size, bytes);
  return status == 201 ? std::string() : "PUT " + std::to_string(status);
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string flag = argv[i];
    if (flag == "--patch") {
      options.patch = true;
      continue;
    }
    if (i + 1 >= argc) return 2;
    const char* value = argv[++i];
    if (flag == "--host") options.host = value;
    if (flag == "--port") options.port = std::atoi(value);
    if (flag == "--repository") options.repository = value;
    if (flag == "--connections") options.connections = std::atoi(value);
    if (flag == "--count") options.count = std::strtoull(value, nullptr, 10);
    if (flag == "--size") options.size = std::strtoull(value, nullptr, 10);
  }
  std::string filler(kFiller, '\0');
  std::mt19937_64 random(std::random_device{}());
  for (auto& c : filler) c = static_cast<char>(random());
  std::vector<Blob> blobs(options.count);
  for (auto& blob : blobs) {
    blob.head = std::to_string(random()) + "-" + std::to_string(random());
    blob.digest = digest_of(blob, filler, options.size);
  }
  std::atomic<std::uint64_t> next{0}, errors{0};
  std::mutex mutex;
  std::string first_error;
  const auto begin = Clock::now();
  std::vector<std::thread> threads;
  for (int i = 0; i < options.connections; ++i) {
    threads.emplace_back([&] {
      Connection connection(options);
      std::string error = connection.open() ? "" : "connect";
      for (auto at = next++; at < blobs.size() && error.empty(); at = next++) {
        error = push(connection, options, blobs[at], filler);
      }
      if (error.empty()) return;
      ++errors;
      const std::lock_guard lock(mutex);
      if (first_error.empty()) first_error = error;
    });
  }
  for (auto& thread : threads) thread.join();
  const double seconds = std::chrono::duration<double>(Clock::now() - begin).count();
  std::printf("{\"seconds\":%.6f,\"pushes\":%llu,\"bytes\":%llu,\"errors\":%llu,\"first_error\":\"%s\"}\n", seconds,
              static_cast<unsigned long long>(blobs.size()),
              static_cast<unsigned long long>(blobs.size() * options.size),
              static_cast<unsigned long long>(errors.load()), first_error.c_str());
  return errors == 0 ? 0 : 1;
}
