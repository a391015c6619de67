#include <algorithm>

#include "translate.h"

namespace shoal::app {

using namespace std::chrono_literals;

namespace {

void read_limits(config::Section limits, http::ServerOptions& http) {
  http.max_header_bytes = limits.size("header_bytes", http.max_header_bytes, {1024, 16 << 20});
  http.max_headers =
      static_cast<std::size_t>(limits.integer("headers", static_cast<std::int64_t>(http.max_headers), {1, 10'000}));
  http.max_uri_bytes = limits.size("uri_bytes", http.max_uri_bytes, {512, 16 << 20});
  http.max_body_bytes = limits.size("body_bytes", http.max_body_bytes, {0, 1 << 30});
  http.max_connections = static_cast<std::size_t>(
      limits.integer("connections", static_cast<std::int64_t>(http.max_connections), {1, 10'000'000}));
  http.header_timeout = limits.duration("header_timeout", http.header_timeout, {100ms, 1h});
  http.body_timeout = limits.duration("body_timeout", http.body_timeout, {100ms, 1h});
  http.keep_alive_timeout = limits.duration("keep_alive_timeout", http.keep_alive_timeout, {0ms, 24h});
  http.send_timeout = limits.duration("send_timeout", http.send_timeout, {1s, 24h});
  if (http.max_uri_bytes > http.max_header_bytes) {
    limits.fail("uri_bytes", "must not be above header_bytes, which counts the request line too");
  }
}

}  // namespace

ServerSettings read_server(config::Section section) {
  ServerSettings server;
  const auto listen = section.list("listen", {"127.0.0.1:5000"});
  if (listen.empty()) section.fail("listen", "needs at least one address");
  for (const auto& text : listen) {
    auto address = net::parse_address(text);
    if (!address) {
      section.fail("listen", address.error().message());
      continue;
    }
    const auto same = [&address](const net::Address& other) {
      return other.port != 0 && other.ip == address->ip && other.port == address->port;
    };
    if (std::any_of(server.listen.begin(), server.listen.end(), same)) section.fail("listen", text + " is there twice");
    server.listen.push_back(std::move(*address));
  }
  server.loops = static_cast<unsigned>(section.integer("loops", 0, {0, 256}));
  server.disk_threads = static_cast<unsigned>(section.integer("disk_threads", server.disk_threads, {1, 256}));
  server.drain_timeout = section.duration("drain_timeout", server.drain_timeout, {0ms, 24h});
  read_limits(section.section("limits"), server.http);
  return server;
}

}  // namespace shoal::app
