// The HTTP/1.1 server: parses requests (llhttp), hands each to the Handler, sends what it answers.
// RFC 9110, RFC 9112. Everything here lives on one loop.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "shoal/base/byte_source.h"
#include "shoal/base/loop.h"
#include "shoal/net/stream.h"
#include "shoal/tls/tls.h"

namespace shoal::http {

struct Header {
  std::string name;
  std::string value;
};

class Headers {
 public:
  void add(std::string_view name, std::string_view value) { list_.push_back({std::string(name), std::string(value)}); }
  [[nodiscard]] std::string_view get(std::string_view name) const;  // case-insensitive, the first; "" if absent
  [[nodiscard]] bool has(std::string_view name) const;
  [[nodiscard]] std::size_t count(std::string_view name) const;
  [[nodiscard]] const std::vector<Header>& all() const { return list_; }
  void clear() { list_.clear(); }

 private:
  std::vector<Header> list_;
};

enum class Method : std::uint8_t { get, head, post, put, patch, del, options, other };
[[nodiscard]] std::string_view to_string(Method method);

// What becomes of a request's body. drop: read and forgotten (up to max_body_bytes); buffer: handed over whole, in
// Request::body; stream: handle() runs when the head is in, and the operation reads the body.
enum class BodyMode : std::uint8_t { drop, buffer, stream };

// The body of a running request, for BodyMode::stream. On the connection's loop. Whoever holds it may outlive the
// connection: a read then answers an error.
class RequestBody {
 public:
  using Chunk = std::shared_ptr<const std::string>;
  virtual ~RequestBody() = default;
  // `done` runs once, never inside this call, with the next bytes; null at the end of the body. An error: the client
  // left (gone), was too slow (timeout), sent something malformed (invalid) or more than max_stream_bytes (full).
  // One read at a time. The first one answers `Expect: 100-continue`: refuse before it, and the body never comes.
  // While nobody reads, at most ServerOptions::body_chunk_bytes are held and the socket is left alone.
  // An answer before the end is sent at once; then the connection closes, as with any unread body.
  virtual void read(base::UniqueFunction<void(base::Result<Chunk>)> done) = 0;
  [[nodiscard]] virtual std::optional<std::uint64_t> length() const = 0;  // Content-Length; nullopt: chunked
};

struct Request {
  Method method = Method::get;
  std::string
      target;  // as sent: path and query, still percent-encoded. Absolute-form is reduced to this (RFC 9112 3.2.2)
  std::string host;  // Host header, or the authority of an absolute-form target
  Headers headers;
  net::Address peer;
  std::string id;                       // request id, also in logs and X-Request-Id
  std::string body;                     // only with BodyMode::buffer
  std::shared_ptr<RequestBody> stream;  // only with BodyMode::stream; shared with the connection, which feeds it
  bool secure = false;                  // came over TLS
  bool certified = false;               // ... from a member: net::Stream::certified()
};

// How an exchange ended; for the access log and the counters.
// Who or what ended an exchange.
enum class EndCause : std::uint8_t {
  complete,  // the whole answer left
  client,    // the client left, or its connection broke
  source,    // the body's source failed: see ExchangeEnd::error
  file,      // the disk did not give the bytes of the body's file: see ExchangeEnd::error
  timeout,   // the client took nothing for too long
  shutdown,  // we stopped
};

struct ExchangeEnd {
  std::uint64_t body_bytes = 0;             // that left on the socket
  std::chrono::microseconds first_byte{0};  // request head parsed -> first response byte written
  std::chrono::microseconds total{0};
  bool complete = false;  // the whole answer left
  EndCause cause = EndCause::client;
  std::optional<base::Error> error{};        // of the source
  std::shared_ptr<const base::File> file{};  // that the disk did not give, with EndCause::file
};

struct Response {
  int status = 200;
  Headers headers;  // without Content-Length, Date, Connection, X-Request-Id: the server adds those
  // The body: one of the two. HEAD: give what GET would have; the server sends only the headers.
  std::string text;
  std::unique_ptr<base::ByteSource> source;
  std::optional<std::uint64_t> content_length;            // of `source`; absent: chunked (HTTP/1.0: until close)
  bool close = false;                                     // close the connection after this answer
  base::UniqueFunction<void(const ExchangeEnd&)> on_end;  // exactly once, also when the client left
};

// Whatever the handler needs to keep until it has answered. Dropped (= cancelled) when the client leaves first, and
// kept until the response has left otherwise.
class Operation {
 public:
  virtual ~Operation() = default;
};

// Answers one request, once, on the connection's loop: inside handle() or later. A reply after the client left is
// quietly dropped (on_end still runs).
class Responder {
 public:
  class Target {
   public:
    virtual void respond(std::uint64_t exchange, Response response) = 0;

   protected:
    ~Target() = default;
  };
  Responder(std::weak_ptr<Target> target, std::uint64_t exchange) : target_(std::move(target)), exchange_(exchange) {}
  void send(Response response);

 private:
  std::weak_ptr<Target> target_;
  std::uint64_t exchange_;
};

class Handler {
 public:
  virtual ~Handler() = default;
  // Asked for every request, before handle(); also where there is no body: `stream` then reads null at once.
  [[nodiscard]] virtual BodyMode body_mode(const Request&) { return BodyMode::drop; }
  // May answer at once and return null.
  [[nodiscard]] virtual std::unique_ptr<Operation> handle(const Request& request, Responder responder) = 0;
  // A request that never reached handle() (malformed, too large, timed out): what to say. Default: plain text.
  [[nodiscard]] virtual Response refuse(int status, std::string_view reason);
};

struct ServerOptions {
  std::size_t max_header_bytes = 32 * 1024;  // request line and headers together
  std::size_t max_headers = 100;
  std::size_t max_uri_bytes = 8 * 1024;
  std::size_t max_body_bytes = 64 * 1024;                // buffered or drained bodies; beyond: 413 and close
  std::size_t max_connections = 20'000;                  // per loop; beyond: accepting pauses
  std::size_t max_requests_per_connection = 0;           // 0: no limit
  std::size_t body_chunk_bytes = 256 * 1024;             // of a streamed body, handed over at once; at most held unread
  std::uint64_t max_stream_bytes = 0;                    // of a streamed body; 0: no limit
  std::chrono::milliseconds header_timeout{10'000};      // first byte of a request to its last header (slow loris)
  std::chrono::milliseconds body_timeout{30'000};        // between two chunks of a request body
  std::chrono::milliseconds keep_alive_timeout{75'000};  // between two requests
  std::chrono::milliseconds send_timeout{120'000};       // a client that takes no byte for so long is cut
  std::uint64_t window_bytes = 1024 * 1024;              // one pull from a body source at most
  std::string server_name = "shoal";
};

class Server {
 public:
  // `disk` loads pages that are not resident before they are sent. All references outlive the server.
  Server(net::EventLoop& loop, base::Executor& disk, Handler& handler, ServerOptions options);
  ~Server();  // on its loop; cuts what is left
  // With `tls`, connections speak TLS, each with the context that is current when it comes.
  [[nodiscard]] base::Result<net::Address> listen(const net::Address& address,
                                                  std::shared_ptr<const tls::SharedContext> tls = nullptr);
  // Stop accepting, close idle connections, let running answers end; `drained` runs when none is left.
  void drain(base::UniqueFunction<void()> drained);
  [[nodiscard]] std::size_t connections() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace shoal::http
