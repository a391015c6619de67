#include <algorithm>

#include "rate_windows.h"
#include "secret_keys.h"
#include "shoal/base/format.h"
#include "shoal/registry/name.h"
#include "translate.h"
#include "url_check.h"

namespace shoal::app {

using namespace std::chrono_literals;

namespace {

constexpr std::uint64_t kLeastRate = 64 << 10;  // below, transfers would look dead

bool is_pattern(std::string_view name) { return name.starts_with("*."); }

std::chrono::seconds whole_seconds(std::chrono::milliseconds time) {
  return std::chrono::ceil<std::chrono::seconds>(time);
}

void read_urls(const std::string& name, config::Section& section, upstream::UpstreamOptions& upstream) {
  const std::string only = name == "docker.io" ? "https://registry-1.docker.io" : "https://" + name;
  upstream.urls = section.list("urls", is_pattern(name) ? std::vector<std::string>{} : std::vector<std::string>{only});
  if (is_pattern(name)) {
    if (!upstream.urls.empty()) section.fail("urls", "a pattern has none: its URL is https://<registry>");
    return;
  }
  if (upstream.urls.empty()) section.fail("urls", "needs at least one");
  for (auto& url : upstream.urls) {
    if (const auto fault = url_fault(url, Userinfo::refused); !fault.empty()) section.fail("urls", "a URL " + fault);
    while (url.ends_with('/')) url.pop_back();
  }
}

void read_credentials(config::Section& section, upstream::UpstreamOptions& upstream, bool read) {
  auto& credentials = upstream.credentials;
  credentials.username = section.string("username", "");
  auto password = read_secret(section, "password", /*with_command=*/true, read);
  auto token = read_secret(section, "token", /*with_command=*/false, read);
  credentials.password = std::move(password.value);
  credentials.bearer = std::move(token.value);
  if (!credentials.username.empty() && !password.configured) {
    section.fail("username", "needs password_file, password_env or password_command");
  }
  if (credentials.username.empty() && password.configured) section.fail("", "a password needs a username");
  if (token.configured && password.configured) section.fail("", "give a password or a token, not both");
  if (credentials.username.find(':') != std::string::npos) section.fail("username", "must not hold a colon");
  upstream.auth_realms = section.list("auth_realms", {});
  const auto plain = [](const std::string& url) { return url.starts_with("http://"); };
  if ((password.configured || token.configured) && std::any_of(upstream.urls.begin(), upstream.urls.end(), plain)) {
    section.warn("urls", "credentials go over plain http");
  }
}

void read_trust(config::Section& section, upstream::UpstreamOptions& upstream, bool read) {
  auto& tls = upstream.tls;
  tls.ca_file = section.string("ca_file", "");
  tls.client_cert = section.string("client_cert", "");
  tls.client_key = section.string("client_key", "");
  tls.verify = section.boolean("tls_verify", true);
  demand_readable(section, "ca_file", tls.ca_file, read);
  demand_readable(section, "client_cert", tls.client_cert, read);
  demand_readable(section, "client_key", tls.client_key, read);
  if (!tls.client_cert.empty() && tls.client_key.empty()) section.fail("client_cert", "needs client_key");
  if (tls.client_cert.empty() && !tls.client_key.empty()) section.fail("client_key", "needs client_cert");
  if (!tls.verify) section.warn("tls_verify", "anyone on the way can pose as this upstream and read its credentials");
}

void read_proxy(config::Section& section, upstream::UpstreamOptions& upstream) {
  upstream.proxy = section.string("proxy", "");
  upstream.no_proxy = section.string("no_proxy", "");
  if (upstream.proxy.empty()) return;
  if (const auto fault = url_fault(upstream.proxy, Userinfo::allowed); !fault.empty()) section.fail("proxy", fault);
}

void read_timeouts(config::Section& section, upstream::UpstreamOptions& upstream) {
  upstream.connect_timeout = section.duration("connect_timeout", upstream.connect_timeout, {10ms, 10min});
  upstream.first_byte_timeout = section.duration("first_byte_timeout", upstream.first_byte_timeout, {10ms, 1h});
  upstream.stall_timeout = section.duration("stall_timeout", upstream.stall_timeout, {100ms, 1h});
  upstream.min_bytes_per_second = section.size("min_rate", upstream.min_bytes_per_second, {0, 1ULL << 40});
  upstream.max_rate = section.size("max_rate", upstream.max_rate);
  if (upstream.max_rate > 0 && upstream.max_rate < kLeastRate) {
    section.fail("max_rate", "must be 0 for no limit, or at least 64KiB");
  }
  for (const auto& window : read_windows(section, {"max_rate"}, kLeastRate)) {
    if (const auto rate = window.rates.find("max_rate"); rate != window.rates.end()) {
      upstream.windows.push_back({window.when, rate->second});
    }
  }
  upstream.max_fetches = static_cast<std::size_t>(
      section.integer("max_fetches", static_cast<std::int64_t>(upstream.max_fetches), {1, 100'000}));
  upstream.rate_limit_reserve =
      static_cast<int>(section.integer("rate_limit_reserve", upstream.rate_limit_reserve, {0, 1'000'000'000}));
  upstream.retries = static_cast<unsigned>(section.integer("retries", upstream.retries, {0, 100}));
  upstream.max_manifest_bytes = section.size("max_manifest_size", upstream.max_manifest_bytes, {1024, 256 << 20});
  upstream.max_blob_bytes = section.size("max_blob_size", upstream.max_blob_bytes);
}

void read_tag_policy(config::Section& section, upstream::TagPolicy& tags) {
  tags.ttl = whole_seconds(section.duration("tag_ttl", tags.ttl));
  tags.stale_while_revalidate = whole_seconds(section.duration("stale_while_revalidate", tags.stale_while_revalidate));
  tags.stale_if_error = whole_seconds(section.duration("stale_if_error", tags.stale_if_error));
  tags.revalidate_wait = section.duration("revalidate_wait", tags.revalidate_wait, {0ms, 10min});
  tags.negative_ttl = whole_seconds(section.duration("negative_ttl", tags.negative_ttl));
}

}  // namespace

upstream::UpstreamOptions read_upstream(const std::string& name, config::Section section, bool read_secrets) {
  upstream::UpstreamOptions upstream;
  upstream.name = name;
  const std::string_view host = is_pattern(name) ? std::string_view(name).substr(2) : std::string_view(name);
  if (!registry::valid_registry_host(host)) {
    section.fail("",
                 "is not a registry's host name (lower case, with a dot or a port), nor a pattern like "
                 "\"*.example.com\"");
  }
  read_urls(name, section, upstream);
  read_credentials(section, upstream, read_secrets);
  read_trust(section, upstream, read_secrets);
  read_proxy(section, upstream);
  if (section.boolean("library_prefix", name == "docker.io")) upstream.library_prefix = "library/";
  read_timeouts(section, upstream);
  read_tag_policy(section, upstream.tags);
  return upstream;
}

const upstream::UpstreamOptions* find_upstream(const std::vector<upstream::UpstreamOptions>& upstreams,
                                               std::string_view registry) {
  if (is_pattern(registry)) return nullptr;
  const upstream::UpstreamOptions* best = nullptr;
  for (const auto& upstream : upstreams) {
    if (upstream.name == registry) return &upstream;
    if (!is_pattern(upstream.name) || (best != nullptr && best->name.size() >= upstream.name.size())) continue;
    const auto suffix = std::string_view(upstream.name).substr(1);  // ".example.com"
    if (registry.size() > suffix.size() && registry.ends_with(suffix)) best = &upstream;
  }
  return best;
}

upstream::UpstreamOptions instance_of(const upstream::UpstreamOptions& pattern, std::string_view registry) {
  auto upstream = pattern;
  upstream.name = registry;
  upstream.urls = {base::format("https://{}", registry)};
  return upstream;
}

}  // namespace shoal::app
