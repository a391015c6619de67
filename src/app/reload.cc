#include "reload.h"

#include <algorithm>
#include <array>
#include <map>

namespace shoal::app {
namespace {

// [restart] in conf/shoal.yml. A prefix that ends with "." means the whole section.
constexpr std::array<std::string_view, 13> kRestart{"registry.upload_max_age",
                                                    "registry.max_uploads",
                                                    "server.listen",
                                                    "server.plain_listen",
                                                    "server.loops",
                                                    "server.disk_threads",
                                                    "server.limits.",
                                                    "storage.",
                                                    "admin.",
                                                    "log.format",
                                                    "log.file",
                                                    "log.access",
                                                    "log.access_format"};

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

bool same(const upstream::Credentials& a, const upstream::Credentials& b) {
  return a.username == b.username && a.password == b.password && a.bearer == b.bearer;
}

}  // namespace

bool needs_restart(std::string_view key) {
  return std::any_of(kRestart.begin(), kRestart.end(), [key](std::string_view known) {
    return known.ends_with('.') ? key.starts_with(known) : key == known;
  });
}

Changes compare(const LoadedSettings& running, const LoadedSettings& next) {
  Changes changes;
  const auto before = by_key(running.values);
  const auto after = by_key(next.values);
  // A listener that spoke TLS, or did not, goes on so; its certificate may be replaced.
  const bool tls_switched =
      running.settings->server.tls.cert_file.empty() != next.settings->server.tls.cert_file.empty();
  const auto note = [&changes, tls_switched](const std::string& key) {
    (needs_restart(key) || (tls_switched && key.starts_with("server.tls.")) ? changes.needs_restart
                                                                            : changes.applicable)
        .push_back(key);
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
  if (running.settings->auth.users_digest != next.settings->auth.users_digest) note("auth.users");
  std::sort(changes.applicable.begin(), changes.applicable.end());
  std::sort(changes.needs_restart.begin(), changes.needs_restart.end());
  return changes;
}

std::vector<config::Setting> values_in_force(const std::vector<config::Setting>& running,
                                             const std::vector<config::Setting>& next) {
  auto values = next;
  const auto before = by_key(running);
  for (auto& value : values) {
    if (!needs_restart(value.key)) continue;
    if (const auto old = before.find(value.key); old != before.end()) value = *old->second;
  }
  return values;
}

}  // namespace shoal::app
