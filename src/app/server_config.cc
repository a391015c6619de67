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

void read_addresses(config::Section section, std::string_view key, std::vector<std::string> otherwise,
                    ServerSettings& server) {
  const auto texts = section.list(key, std::move(otherwise));
  if (texts.empty() && key == "listen") section.fail(key, "needs at least one address");
  for (const auto& text : texts) {
    auto address = net::parse_address(text);
    if (!address) {
      section.fail(key, address.error().message());
      continue;
    }
    const auto same = [&address](const net::Address& other) {
      return other.port != 0 && other.ip == address->ip && other.port == address->port;
    };
    const auto has = [&same](const auto& list) { return std::any_of(list.begin(), list.end(), same); };
    if (has(server.listen) || has(server.plain_listen)) section.fail(key, text + " is there twice");
    (key == "listen" ? server.listen : server.plain_listen).push_back(std::move(*address));
  }
}

void read_tls(config::Section section, ServerSettings& server) {
  using tls::ClientAuth;
  auto& tls = server.tls;
  tls.cert_file = section.string("cert", "");
  tls.key_file = section.string("key", "");
  tls.client_ca_file = section.string("client_ca", "");
  tls.client_auth = section.choice(
      "client_auth", ClientAuth::none,
      {{"none", ClientAuth::none}, {"optional", ClientAuth::optional}, {"required", ClientAuth::required}});
  tls.ktls = section.boolean("ktls", tls.ktls);
  if (tls.cert_file.empty()) {
    if (!tls.key_file.empty()) section.fail("key", "means nothing without cert");
    if (!tls.client_ca_file.empty()) section.fail("client_ca", "means nothing without cert");
    if (tls.client_auth != ClientAuth::none) section.fail("client_auth", "means nothing without cert");
    return;
  }
  if (tls.key_file.empty()) return section.fail("key", "is needed with cert");
  if (tls.client_auth == ClientAuth::none && !tls.client_ca_file.empty()) {
    return section.fail("client_ca", "means nothing while client_auth is none");
  }
  if (tls.client_auth != ClientAuth::none && tls.client_ca_file.empty()) {
    return section.fail("client_auth", "needs client_ca, to check the certificates with");
  }
}

}  // namespace

ServerSettings read_server(config::Section section) {
  ServerSettings server;
  read_addresses(section, "listen", {"127.0.0.1:5000"}, server);
  read_addresses(section, "plain_listen", {}, server);
  read_tls(section.section("tls"), server);
  server.loops = static_cast<unsigned>(section.integer("loops", 0, {0, 256}));
  server.disk_threads = static_cast<unsigned>(section.integer("disk_threads", server.disk_threads, {1, 256}));
  server.drain_timeout = section.duration("drain_timeout", server.drain_timeout, {0ms, 24h});
  read_limits(section.section("limits"), server.http);
  return server;
}

void load_certificate(config::Section section, const p2p::SiteOptions& site, ServerSettings& server) {
  auto& tls = server.tls;
  if (tls.cert_file.empty() || tls.key_file.empty()) return;
  if (site.enabled && site.certificates()) tls.members_ca_file = site.tls.ca_file;
  auto context = tls::ServerContext::load(tls);
  if (!context) return section.section("tls").fail("", context.error().message());
  server.tls_context = std::move(*context);
}

}  // namespace shoal::app
