// An HTTP client on one event loop: libcurl multi, driven by the loop's sockets and timers. HTTP/1.1, keep-alive.
// It knows transfers, redirects, proxies and TLS trust; what a registry means by an answer is upstream's business.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "shoal/base/result.h"
#include "shoal/net/event_loop.h"

namespace shoal::fetch {

struct TlsTrust {
  std::string ca_file;      // PEM; empty: the system's
  std::string client_cert;  // PEM; empty: none
  std::string client_key;
  bool verify = true;
};

struct Request {
  std::string method = "GET";  // GET, HEAD, POST, DELETE
  std::string url;
  std::vector<std::pair<std::string, std::string>> headers;  // Authorization here is dropped on a redirect elsewhere
  std::string body;                                          // POST
  std::chrono::milliseconds connect_timeout{5'000};
  std::chrono::milliseconds first_byte_timeout{15'000};  // request sent -> response head (each hop)
  std::chrono::milliseconds stall_timeout{15'000};       // between two pieces of the body, paused time not counted
  std::uint64_t min_bytes_per_second = 0;  // averaged over stall_timeout; slower is a stall. 0: any byte counts
  int max_redirects = 5;
  bool https_only = false;  // another URL is an error
  TlsTrust tls;
  std::string proxy;     // "" : none (the environment is not read)
  std::string no_proxy;  // host patterns, comma separated
};

struct ResponseHead {
  int status = 0;
  std::vector<std::pair<std::string, std::string>> headers;  // of the last hop
  std::string effective_url;                                 // without query: it may hold a signature
  int redirects = 0;
  [[nodiscard]] std::string_view header(std::string_view name) const;  // case-insensitive; "" if absent
  [[nodiscard]] std::optional<std::uint64_t> content_length() const;
};

enum class Flow { go_on, pause };

// Receives one transfer. Never called inside Client::start() or Transfer's methods. on_end is last and comes once; its
// Result tells transport success only (a 404 that arrived whole is a success). A body cut short of its Content-Length
// is an error (gone); a stall is ErrorKind::timeout. The Transfer may be dropped inside any callback.
class Sink {
 public:
  virtual ~Sink() = default;
  virtual void on_head(const ResponseHead& head) = 0;
  virtual Flow on_data(std::string_view bytes) = 0;  // pause: these bytes WERE taken; no more until resume()
  virtual void on_end(base::Result<void> result) = 0;
};

// A running transfer; dropping it cancels it and closes its connection if bytes were still to come.
class Transfer {
 public:
  class Impl {
   public:
    virtual ~Impl() = default;
    virtual void resume() = 0;
  };
  Transfer() = default;
  explicit Transfer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
  void resume() { impl_->resume(); }
  void cancel() { impl_.reset(); }
  [[nodiscard]] bool running() const { return impl_ != nullptr; }

 private:
  std::unique_ptr<Impl> impl_;
};

struct ClientOptions {
  std::size_t max_connections = 256;          // in all, per loop
  std::size_t max_connections_per_host = 32;  // further requests wait
  std::size_t max_idle_connections = 32;
  std::size_t max_header_bytes = 64 * 1024;
  std::string user_agent = "shoal";
  std::size_t buffer_bytes = 256 * 1024;
};

class Client {
 public:
  Client(net::EventLoop& loop, ClientOptions options);
  ~Client();  // on the loop; after all its transfers
  [[nodiscard]] Transfer start(Request request, Sink& sink);

  struct Reply {
    ResponseHead head;
    std::string body;
  };
  // The whole answer in memory; more than max_body bytes is ErrorKind::full. Drop the Transfer to cancel.
  [[nodiscard]] Transfer fetch_all(Request request, std::size_t max_body,
                                   base::UniqueFunction<void(base::Result<Reply>)> done);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// For the command line, which has no loop: blocks. Not for the server.
[[nodiscard]] base::Result<Client::Reply> fetch_blocking(const Request& request, std::size_t max_body);

}  // namespace shoal::fetch
