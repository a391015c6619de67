// Settings: the whole configuration as the modules' own option structs, checked. A value.
//
// conf/shoal.yml is the reference of the keys; src/app/*_config.cc translate one section each. Loading reads files and
// runs password commands: it blocks, never on an event loop.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "shoal/auth/auth.h"
#include "shoal/base/digest.h"
#include "shoal/config/reader.h"
#include "shoal/http/server.h"
#include "shoal/mirror/mirror.h"
#include "shoal/net/stream.h"
#include "shoal/notify/notify.h"
#include "shoal/obs/access_log.h"
#include "shoal/obs/log.h"
#include "shoal/p2p/site.h"
#include "shoal/registry/retention.h"
#include "shoal/serve/access.h"
#include "shoal/serve/hosted.h"
#include "shoal/store/store.h"
#include "shoal/tls/tls.h"
#include "shoal/upstream/upstream.h"

namespace shoal::app {

struct ServerSettings {
  std::vector<net::Address> listen;                         // with TLS, if there is a certificate
  std::vector<net::Address> plain_listen;                   // never with TLS
  tls::ServerOptions tls;                                   // no cert_file: no TLS
  std::shared_ptr<const tls::ServerContext> tls_context{};  // of `tls`; null without, or where secrets are not read
  unsigned loops = 0;                                       // 0: one per hardware thread
  unsigned disk_threads = 4;
  std::chrono::milliseconds drain_timeout{30'000};
  http::ServerOptions http;
};

struct RegistrySettings {
  serve::HostedOptions hosted;
  std::chrono::seconds gc_interval{24 * 3600};  // 0: only when asked
  store::GcOptions gc;
  std::vector<registry::RetentionRule> retention;
};

struct AuthSettings {
  std::string htpasswd;  // "": nobody is asked
  serve::Access access;
  std::shared_ptr<const auth::Htpasswd> users;  // shared with the authenticator; null without htpasswd
  std::optional<base::Digest> users_digest;     // of the file, to tell whether it changed
  auth::AuthenticatorOptions logins;
};

struct AdminSettings {
  std::optional<net::Address> listen;
  bool allow_remote = false;
  std::vector<std::string> hosts;
  bool metrics_on_main = true;
};

struct LogSettings {
  obs::Level level = obs::Level::info;
  bool json = false;
  std::string file;
  obs::AccessLogOptions access;
};

struct Settings {
  ServerSettings server;
  store::StoreOptions storage;
  std::uint64_t scrub_rate = 0;  // bytes a second; 0: never by itself
  std::string default_upstream;
  std::vector<std::pair<std::string, std::string>> hosts;  // Host header -> upstream name
  std::vector<upstream::UpstreamOptions> upstreams;        // a name that starts with "*." is a pattern, without urls
  std::vector<std::string> hosted;                         // patterns; without upstreams and these, everything
  RegistrySettings registry;
  AuthSettings auth;
  mirror::MirrorOptions mirror;
  p2p::SiteOptions p2p;
  notify::Options notifications;
  AdminSettings admin;
  LogSettings log;
};

// The upstream that serves `registry`: the one of that name, else the pattern with the longest match; else null.
[[nodiscard]] const upstream::UpstreamOptions* find_upstream(const std::vector<upstream::UpstreamOptions>& upstreams,
                                                             std::string_view registry);
// The options of a registry that a pattern matched: its own name and URL, the pattern's everything else.
[[nodiscard]] upstream::UpstreamOptions instance_of(const upstream::UpstreamOptions& pattern,
                                                    std::string_view registry);

struct SettingsSource {
  std::string file;                    // "" for none
  std::vector<std::string> overrides;  // key=value
  std::vector<std::pair<std::string, std::string>> environment = config::process_environment();
  bool read_secrets = true;  // false: credentials stay empty and their sources are not touched
};

struct LoadedSettings {
  std::optional<Settings> settings;  // absent when there are errors
  std::vector<std::string> errors;   // all of them, "file:line: key: what"
  std::vector<std::string> warnings;
  std::vector<config::Setting> values;  // effective, secrets redacted; for the text and to tell what a reload changed
};
[[nodiscard]] LoadedSettings load_settings(const SettingsSource& source);
[[nodiscard]] LoadedSettings load_settings(const SettingsSource& source, std::string_view text);  // instead of the file

// As YAML that could be loaded again, with where each value came from, and what it will be after a restart (`waiting`).
[[nodiscard]] std::string settings_text(const std::vector<config::Setting>& values,
                                        const std::vector<config::Setting>& waiting = {});

}  // namespace shoal::app
