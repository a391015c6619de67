#include "reload.h"

#include <algorithm>
#include <array>
#include <map>
#include <utility>

namespace shoal::app {
namespace {

// [restart] in conf/shoal.yml. A prefix that ends with "." means the whole section.
constexpr std::array<std::string_view, 18> kRestart{"registry.upload_max_age",
                                                    "registry.max_uploads",
                                                    "server.listen",
                                                    "server.plain_listen",
                                                    "server.loops",
                                                    "server.disk_threads",
                                                    "server.limits.",
                                                    "storage.path",
                                                    "storage.index_size",
                                                    "storage.quarantine_size",
                                                    "storage.fill_max_age",
                                                    "storage.scrub_rate",
                                                    "p2p.",
                                                    "admin.",
                                                    "log.format",
                                                    "log.file",
                                                    "log.access",
                                                    "log.access_format"};

// ... but these.
constexpr std::array<std::string_view, 3> kLive{"p2p.upload_rate", "p2p.download_rate", "p2p.windows"};

using ByKey = std::map<std::string, const config::Setting*>;

ByKey by_key(const std::vector<config::Setting>& values) {
  ByKey keys;
  for (const auto& value : values) keys[value.key] = &value;
  return keys;
}

const upstream::UpstreamOptions* named(const LoadedSettings& loaded, const std::string& name) {
  for (const auto& upstream : loaded.settings->upstreams) {
    if (upstream.name == name) return &upstream;
  }
  return nullptr;
}

// A listener that spoke TLS, or did not, goes on so; its certificate may be replaced. Whose certificates make a
// neighbour is p2p's, which waits.
bool switches_tls(const Settings& running, const Settings& next) {
  return running.server.tls.cert_file.empty() != next.server.tls.cert_file.empty() ||
         running.server.tls.members_ca_file != next.server.tls.members_ca_file;
}

bool waits(std::string_view key, const LoadedSettings& running, const LoadedSettings& next) {
  return needs_restart(key) || (key.starts_with("server.tls.") && switches_tls(*running.settings, *next.settings));
}

const notify::EndpointOptions* endpoint_named(const LoadedSettings& loaded, const std::string& name) {
  for (const auto& endpoint : loaded.settings->notifications.endpoints) {
    if (endpoint.name == name) return &endpoint;
  }
  return nullptr;
}

bool same_secrets(const notify::EndpointOptions& a, const notify::EndpointOptions& b) {
  return a.url == b.url && a.headers == b.headers && a.secret == b.secret;
}

bool same(const upstream::Credentials& a, const upstream::Credentials& b) {
  return a.username == b.username && a.password == b.password && a.bearer == b.bearer;
}

}  // namespace

bool needs_restart(std::string_view key) {
  if (std::find(kLive.begin(), kLive.end(), key) != kLive.end()) return false;
  return std::any_of(kRestart.begin(), kRestart.end(), [key](std::string_view known) {
    return known.ends_with('.') ? key.starts_with(known) : key == known;
  });
}

Changes compare(const LoadedSettings& running, const LoadedSettings& next) {
  Changes changes;
  const auto before = by_key(running.values);
  const auto after = by_key(next.values);
  const auto note = [&](const std::string& key) {
    (waits(key, running, next) ? changes.needs_restart : changes.applicable).push_back(key);
  };
  for (const auto& [key, value] : after) {
    const auto old = before.find(key);
    if (old == before.end() || old->second->value != value->value) note(key);
  }
  for (const auto& [key, value] : before) {
    if (!after.contains(key)) note(key);
  }
  for (const auto& upstream : next.settings->upstreams) {
    const auto* old = named(running, upstream.name);
    if (old != nullptr && !same(old->credentials, upstream.credentials)) {
      note("upstreams." + upstream.name + ".credentials");
    }
  }
  for (const auto& endpoint : next.settings->notifications.endpoints) {
    const auto* old = endpoint_named(running, endpoint.name);
    if (old != nullptr && !same_secrets(*old, endpoint)) note("notifications.endpoints." + endpoint.name + ".secrets");
  }
  if (running.settings->auth.users_digest != next.settings->auth.users_digest) note("auth.users");
  std::sort(changes.applicable.begin(), changes.applicable.end());
  std::sort(changes.needs_restart.begin(), changes.needs_restart.end());
  return changes;
}

InForce in_force(const LoadedSettings& running, LoadedSettings next) {
  InForce result{std::move(next), {}};
  const auto before = by_key(running.values);
  for (auto& value : result.loaded.values) {
    if (!waits(value.key, running, result.loaded)) continue;
    const auto old = before.find(value.key);
    if (old == before.end()) continue;
    if (old->second->value != value.value) result.waiting.push_back(value);
    value = *old->second;
  }
  const auto& was = *running.settings;
  auto& now = *result.loaded.settings;
  if (switches_tls(was, now)) {
    now.server.tls = was.server.tls;
    now.server.tls_context = was.server.tls_context;
  }
  now.server.listen = was.server.listen;
  now.server.plain_listen = was.server.plain_listen;
  now.server.loops = was.server.loops;
  now.server.disk_threads = was.server.disk_threads;
  now.server.http = was.server.http;
  const auto storage = std::exchange(now.storage, was.storage);
  now.storage.max_size = storage.max_size;
  now.storage.min_free = storage.min_free;
  now.storage.high_watermark = storage.high_watermark;
  now.storage.low_watermark = storage.low_watermark;
  now.scrub_rate = was.scrub_rate;
  auto rates = std::exchange(now.p2p, was.p2p).swarm.rates;
  now.p2p.swarm.rates = std::move(rates);
  now.admin = was.admin;
  now.log.json = was.log.json;
  now.log.file = was.log.file;
  now.log.access = was.log.access;
  return result;
}

}  // namespace shoal::app
