#include "shoal/app/settings.h"

#include <algorithm>

#include "translate.h"

namespace shoal::app {
namespace {

void read_upstreams(config::Section root, Settings& settings, bool read_secrets) {
  auto upstreams = root.section("upstreams");
  for (auto& [name, section] : upstreams.sections()) {
    settings.upstreams.push_back(read_upstream(name, section, read_secrets));
  }
  // Without any, the mirror is one of Docker Hub.
  if (settings.upstreams.empty() && !root.has("upstreams")) {
    settings.upstreams.push_back(read_upstream("docker.io", upstreams.section("docker.io"), read_secrets));
  }
  if (root.is_null("upstreams")) {
    root.fail("upstreams", "has no value; write {} for a registry that mirrors nothing and hosts everything");
  }
}

void read_routes(config::Section root, Settings& settings) {
  const bool chosen = root.has("default_upstream");
  settings.default_upstream = root.string("default_upstream", "docker.io");
  const auto& name = settings.default_upstream;
  if (!name.empty() && find_upstream(settings.upstreams, name) == nullptr) {
    if (chosen) root.fail("default_upstream", name + " is not among the upstreams");
    settings.default_upstream.clear();
  }
  auto hosts = root.section("hosts");
  settings.hosts = hosts.strings();
  for (auto& [host, target] : settings.hosts) {
    if (find_upstream(settings.upstreams, target) == nullptr) {
      hosts.fail(host, target + " is not among the upstreams");
    }
    std::transform(host.begin(), host.end(), host.begin(),
                   [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  }
}

void refuse_shared_address(config::Section root, const Settings& settings) {
  if (!settings.admin.listen || settings.admin.listen->port == 0) return;
  const auto& admin = *settings.admin.listen;
  const auto refuse = [&](const std::vector<net::Address>& taken, std::string_view by) {
    for (const auto& address : taken) {
      if (address.port != admin.port || address.ip != admin.ip) continue;
      root.section("admin").fail("listen", "is the address of " + std::string(by) + " already");
    }
  };
  refuse(settings.server.listen, "server.listen");
  refuse(settings.server.plain_listen, "server.plain_listen");
}

// A reverse proxy on this machine that speaks TLS would be on a loopback address.
void warn_of_refused_logins(config::Section root, const Settings& settings) {
  const auto& access = settings.auth.access;
  if (!access.policy.enabled || access.allow_plaintext) return;
  const auto remote = [](const std::vector<net::Address>& addresses) {
    return std::any_of(addresses.begin(), addresses.end(), [](const net::Address& a) { return !is_loopback(a); });
  };
  if (!remote(settings.server.plain_listen) &&
      (!settings.server.tls.cert_file.empty() || !remote(settings.server.listen)))
    return;
  root.section("auth").warn("htpasswd",
                            "there is an address for other machines without TLS: passwords are refused there, unless "
                            "auth.allow_plaintext is true");
}

// With it a digest would be enough to get a blob of a repository that one may not pull from.
void refuse_open_mounts(config::Section root, const Settings& settings) {
  if (!settings.registry.hosted.anonymous_mount || !settings.auth.access.policy.enabled) return;
  root.section("registry")
      .fail("anonymous_mount",
            "cannot be combined with auth: who knows a digest could mount it from where they may not pull");
}

// "vault read x" is "vault ***": an argument may be the secret itself.
void hide_arguments(std::string& command) {
  if (const auto blank = command.find(' '); blank != std::string::npos) command.replace(blank + 1, command.npos, "***");
}

LoadedSettings load(config::Reader reader, bool read_secrets) {
  LoadedSettings loaded;
  Settings settings;
  auto root = reader.root();
  settings.server = read_server(root.section("server"));
  settings.storage = read_storage(root.section("storage"));
  settings.scrub_rate = read_scrub_rate(root.section("storage"));
  read_upstreams(root, settings, read_secrets);
  read_routes(root, settings);
  settings.hosted = read_hosted(root, settings);
  settings.registry = read_registry(root.section("registry"), settings.storage);
  settings.auth = read_auth(root.section("auth"), read_secrets);
  settings.mirror = read_mirror(root.section("mirror"));
  settings.p2p = read_p2p(root.section("p2p"), settings.server, read_secrets);
  if (read_secrets) load_certificate(root.section("server"), settings.p2p, settings.server);
  settings.notifications = read_notifications(root.section("notifications"), read_secrets);
  settings.admin = read_admin(root.section("admin"));
  settings.log = read_log(root.section("log"));
  refuse_shared_address(root, settings);
  warn_of_refused_logins(root, settings);
  refuse_open_mounts(root, settings);
  const auto& report = reader.finish();
  for (const auto& problem : report.errors) loaded.errors.push_back(config::to_string(problem));
  for (const auto& problem : report.warnings) loaded.warnings.push_back(config::to_string(problem));
  loaded.values = report.settings;
  for (auto& value : loaded.values) {
    if (value.key.ends_with(".password_command")) hide_arguments(value.value);
  }
  if (report.ok()) loaded.settings = std::move(settings);
  return loaded;
}

// SHOAL_CONFIG names the file; it is no key.
config::Sources sources_of(const SettingsSource& source) {
  config::Sources sources{source.file, source.environment, source.overrides};
  std::erase_if(sources.environment, [](const auto& variable) { return variable.first == "SHOAL_CONFIG"; });
  return sources;
}

}  // namespace

LoadedSettings load_settings(const SettingsSource& source) {
  return load(config::Reader(sources_of(source)), source.read_secrets);
}

LoadedSettings load_settings(const SettingsSource& source, std::string_view text) {
  return load(config::Reader(sources_of(source), text), source.read_secrets);
}

}  // namespace shoal::app
