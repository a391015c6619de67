#include "rate_windows.h"
#include "secret_keys.h"
#include "secrets.h"
#include "shoal/base/clock.h"
#include "translate.h"
#include "url_check.h"

namespace shoal::app {

using namespace std::chrono_literals;

namespace {

constexpr std::size_t kShortestSecret = 16;
constexpr std::uint64_t kLeastRate = 64 << 10;    // below, transfers would look dead to neighbours
constexpr std::uint64_t kLeastMemory = 16 << 20;  // a few of the largest pieces
constexpr std::chrono::hours kWarnBefore{14 * 24};
constexpr std::chrono::seconds kShortestStall{4};  // beside a swarm, which asks elsewhere after 3.5 s
const std::string kSomeId(32, '0');

bool is_everywhere(const net::Address& address) { return address.ip == "0.0.0.0" || address.ip == "::"; }

void read_secret_of_site(config::Section& section, p2p::SiteOptions& site, bool read_secrets) {
  const auto path = section.string("secret_file", "");
  if (!site.enabled) return;
  if (path.empty()) return section.fail("secret_file", "is needed: nodes prove with it that they belong to the site");
  if (!read_secrets) return;
  auto secret = secret_from_file(path);
  if (!secret) return section.fail("secret_file", secret.error().message());
  if (secret->size() < kShortestSecret) return section.fail("secret_file", "holds fewer than 16 bytes");
  site.secret = std::move(*secret);
}

// With a client certificate of ours, neighbours must show theirs, and everything goes over https.
void read_certificates(config::Section& section, const ServerSettings& server, p2p::SiteOptions& site, bool read) {
  auto& tls = site.tls;
  tls.ca_file = section.string("ca_file", "");
  tls.client_cert = section.string("client_cert", "");
  tls.client_key = section.string("client_key", "");
  if (tls.client_cert.empty()) {
    if (!tls.client_key.empty()) section.fail("client_key", "needs client_cert");
    if (site.enabled) demand_readable(section, "ca_file", tls.ca_file, read);
    return;
  }
  if (tls.client_key.empty()) return section.fail("client_cert", "needs client_key");
  if (tls.ca_file.empty()) return section.fail("client_cert", "needs ca_file, to check the neighbours' with");
  if (!site.enabled) return;
  if (server.tls.cert_file.empty()) {
    return section.fail("client_cert", "needs server.tls.cert: neighbours call each other over https then");
  }
  if (!site.url.empty() && !site.url.starts_with("https://")) {
    section.fail("url", "must begin with https://: there is a client_cert");
  }
  if (!read) return;
  auto pair = tls::ServerContext::load(
      {tls.client_cert, tls.client_key, tls.ca_file, tls::ClientAuth::required, /*members_ca_file=*/""});
  if (!pair) return section.fail("client_cert", pair.error().message());
  if ((*pair)->expires() < base::SystemClock().wall_now() + kWarnBefore) {
    section.warn("client_cert", "has expired or will within 14 days; neighbours refuse it then");
  }
}

void read_trackers(config::Section& section, p2p::SiteOptions& site) {
  site.trackers = section.list("trackers", {});
  for (const auto& entry : site.trackers) {
    if (auto good = p2p::check_tracker(entry, site.certificates()); !good) {
      section.fail("trackers", good.error().message());
    }
  }
}

void read_rates(config::Section& section, p2p::RatePlan& plan) {
  plan.otherwise.upload = section.size("upload_rate", 0);
  plan.otherwise.download = section.size("download_rate", 0);
  const auto check = [&section](std::string_view key, std::uint64_t rate) {
    if (rate > 0 && rate < kLeastRate) section.fail(key, "must be 0 for no limit, or at least 64KiB");
  };
  check("upload_rate", plan.otherwise.upload);
  check("download_rate", plan.otherwise.download);
  for (const auto& window : read_windows(section, {"upload", "download"}, kLeastRate)) {
    const auto rate = [&window](std::string_view name) {
      const auto found = window.rates.find(name);
      return found != window.rates.end() ? std::optional(found->second) : std::nullopt;
    };
    plan.windows.push_back({window.when, rate("upload"), rate("download")});
  }
}

void read_swarm(config::Section& section, const ServerSettings& server, p2p::SwarmSettings& swarm) {
  swarm.enabled = section.boolean("swarm", swarm.enabled);
  swarm.listen = section.string("swarm_listen", "");
  swarm.port = static_cast<std::uint16_t>(section.integer("swarm_port", swarm.port, {0, 65'535}));
  swarm.min_size = section.size("min_size", swarm.min_size);
  swarm.max_shares = static_cast<unsigned>(section.integer("max_shares", swarm.max_shares, {1, 10'000}));
  swarm.max_connections =
      static_cast<unsigned>(section.integer("max_connections", swarm.max_connections, {1, 100'000}));
  read_rates(section, swarm.rates);
  swarm.memory = section.size("swarm_memory", swarm.memory);
  swarm.memory_pressure = static_cast<unsigned>(section.integer("memory_pressure", swarm.memory_pressure, {0, 100}));
  swarm.ban_time = section.duration("ban_time", swarm.ban_time, {1s, 24h});
  if (!swarm.listen.empty()) {
    if (!p2p::Network::parse(swarm.listen)) section.fail("swarm_listen", "is no address, as 10.0.0.7 or 0.0.0.0");
  } else if (!server.listen.empty()) {
    swarm.listen = server.listen.front().ip;
  }
  if (swarm.memory < kLeastMemory) section.fail("swarm_memory", "must be at least 16 MiB");
}

}  // namespace

p2p::SiteOptions read_p2p(config::Section section, const ServerSettings& server, bool read_secrets) {
  p2p::SiteOptions site;
  site.enabled = section.boolean("enabled", site.enabled);
  site.url = section.string("url", "");
  site.zone = section.string("zone", "");
  read_certificates(section, server, site, read_secrets);
  read_trackers(section, site);
  read_secret_of_site(section, site, read_secrets);
  for (const auto& text : section.list("allow", {})) {
    auto network = p2p::Network::parse(text);
    if (!network) {
      section.fail("allow", network.error().message());
      continue;
    }
    site.allow.push_back(*network);
  }
  site.neighbours.trust_domain = section.boolean("trust_domain", site.neighbours.trust_domain);
  site.neighbours.patience = section.duration("patience", site.neighbours.patience, {500ms, 10min});
  site.lease_patience = section.duration("lease_patience", site.lease_patience, {500ms, 10min});
  site.stall_timeout = section.duration("stall_timeout", site.stall_timeout, {500ms, 10min});
  site.call_timeout = section.duration("call_timeout", site.call_timeout, {50ms, 1min});
  site.tracker.lease = section.duration("lease", site.tracker.lease, {500ms, 10min});
  site.tracker.zone_copies = static_cast<std::size_t>(
      section.integer("zone_copies", static_cast<std::int64_t>(site.tracker.zone_copies), {1, 1000}));
  read_swarm(section, server, site.swarm);
  if (!site.enabled) return site;

  if (site.allow.empty()) section.fail("allow", "is needed: the networks that neighbours call from, as 10.0.0.0/8");
  if (!site.url.empty()) {
    if (auto good = check(p2p::NodeInfo{kSomeId, site.url, "", 0}); !good) section.fail("url", good.error().message());
  } else if (!server.listen.empty() && is_everywhere(server.listen.front())) {
    section.fail("url", "is needed: server.listen does not tell at which address neighbours find this node");
  }
  if (auto good = check(p2p::NodeInfo{kSomeId, "http://127.0.0.1:1", site.zone, 0}); !good) {
    section.fail("zone", good.error().message());
  }
  if (site.swarm.enabled && site.stall_timeout < kShortestStall) {
    section.warn(
        "stall_timeout",
        "is shorter than the 4s in which a swarm finds another neighbour for its pieces: what a slow one holds "
        "is fetched from upstream; leave it at 5s, or set swarm: false");
  }
  if (site.trackers.empty()) section.warn("trackers", "names none: this node finds no neighbours by itself");
  return site;
}

}  // namespace shoal::app
