// notifications: who is told of what happens here.
#include <strings.h>
#include <unistd.h>

#include <algorithm>

#include "secret_keys.h"
#include "secrets.h"
#include "shoal/base/format.h"
#include "shoal/registry/pattern.h"
#include "translate.h"
#include "url_check.h"

namespace shoal::app {

using namespace std::chrono_literals;

namespace {

constexpr std::size_t kMaxEndpoints = 64;

// It becomes the authority of a URI.
bool is_source(std::string_view name) {
  return !name.empty() && name.size() <= 253 && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '-' ||
           c == '_' || c == ':';
  });
}

// A machine that was given no name is called "(none)" by Linux.
std::string host_name() {
  char name[256] = {};
  return ::gethostname(name, sizeof name - 1) == 0 && is_source(name) ? name : "shoal";
}

bool is_header_name(std::string_view name) {
  return !name.empty() && name.size() <= 128 && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
  });
}

bool is_header_value(std::string_view value) {
  return value.size() <= 4096 && std::all_of(value.begin(), value.end(),
                                             [](char c) { return static_cast<unsigned char>(c) >= 0x20 && c != 0x7f; });
}

// Ours, and what only the HTTP client may say.
bool is_reserved(const std::string& name) {
  constexpr const char* kReserved[] = {"Host", "Content-Length", "Transfer-Encoding", "Connection",
                                       "X-Shoal-Signature"};
  return std::any_of(std::begin(kReserved), std::end(kReserved),
                     [&name](const char* reserved) { return ::strcasecmp(name.c_str(), reserved) == 0; });
}

void read_url(config::Section& section, notify::EndpointOptions& endpoint, bool read) {
  endpoint.url = section.string("url", "");
  if (!endpoint.url.empty() && endpoint.url.find_first_of("?#") != std::string::npos) {
    section.fail("url", "a query may hold a secret: write the URL to a file and name that by url_file");
  }
  auto secret = read_secret(section, "url", /*with_command=*/false, read);
  if (endpoint.url.empty() == !secret.configured) {
    section.fail(endpoint.url.empty() ? "" : "url", "needs one of url, url_file and url_env");
  }
  if (secret.configured) endpoint.url = std::move(secret.value);
  if (endpoint.url.empty()) return;  // said, or not to be read
  // A query is fine there.
  const auto fault = url_fault(endpoint.url.substr(0, endpoint.url.find('?')), Userinfo::refused);
  const bool printable =
      std::all_of(endpoint.url.begin(), endpoint.url.end(), [](char c) { return c > ' ' && c < 0x7f; });
  if (!fault.empty() || !printable) {
    section.fail(secret.configured ? "" : "url",
                 "the URL " + (fault.empty() ? std::string("holds a blank or a control byte") : fault));
  }
}

void read_headers(config::Section& section, notify::EndpointOptions& endpoint, bool read) {
  const auto add = [&endpoint](config::Section& from, const std::string& name, std::string value) {
    if (!is_header_name(name)) return from.fail(name, "is no name of a header");
    if (is_reserved(name)) return from.fail(name, "is not yours to set");
    if (!is_header_value(value)) return from.fail(name, "holds a line break or another control byte");
    endpoint.headers.emplace_back(name, std::move(value));
  };
  auto plain = section.section("headers");
  for (const auto& [name, value] : plain.strings()) {
    if (::strcasecmp(name.c_str(), "Authorization") == 0) {
      plain.fail(name, "is a secret: write its value to a file and name that under header_files");
      continue;
    }
    add(plain, name, value);
  }
  using Source = base::Result<std::string> (*)(const std::string&);
  for (const auto& [key, source] : {std::pair<const char*, Source>{"header_files", secret_from_file},
                                    std::pair<const char*, Source>{"header_env", secret_from_variable}}) {
    auto secrets = section.section(key);
    for (const auto& [name, where] : secrets.strings()) {
      auto value = read ? source(where) : base::Result<std::string>(std::string());
      if (!value) {
        secrets.fail(name, value.error().message());
        continue;
      }
      add(secrets, name, std::move(*value));
    }
  }
}

void read_filter(config::Section& section, notify::EndpointOptions& endpoint) {
  using obs::EventKind;
  const auto set = [&endpoint](EventKind kind) { endpoint.kinds[static_cast<std::size_t>(kind)] = true; };
  for (const auto& name : section.list("events", {"push", "pull", "delete"})) {
    if (name == "push") {
      set(EventKind::push);
      set(EventKind::mount);
    } else if (name == "pull") {
      set(EventKind::pull);
    } else if (name == "delete") {
      set(EventKind::remove);
    } else if (name == "fill") {
      set(EventKind::fill);
    } else if (name == "evict") {
      set(EventKind::evict);
    } else {
      section.fail("events", base::format("\"{}\" is none of push, pull, delete, fill, evict", name.substr(0, 40)));
    }
  }
  if (std::find(endpoint.kinds.begin(), endpoint.kinds.end(), true) == endpoint.kinds.end()) {
    section.fail("events", "names none");
  }
  endpoint.blobs = section.boolean("blobs", endpoint.blobs);
  endpoint.repositories = section.list("repositories", endpoint.repositories);
  if (endpoint.repositories.empty()) section.fail("repositories", "names none");
  for (const auto& pattern : endpoint.repositories) {
    if (const auto checked = registry::check_pattern(pattern); !checked) {
      section.fail("repositories", checked.error().message());
    }
  }
}

void read_limits(config::Section& section, notify::EndpointOptions& endpoint) {
  // Every receiver of Distribution's envelope reads a list; few of CloudEvents take batches.
  const std::int64_t batch = endpoint.format == notify::Format::distribution ? 50 : 1;
  endpoint.batch = static_cast<std::size_t>(section.integer("batch", batch, {1, 1000}));
  endpoint.timeout = section.duration("timeout", endpoint.timeout, {100ms, 10min});
  endpoint.backoff = section.duration("backoff", endpoint.backoff, {10ms, 1h});
  endpoint.max_backoff = section.duration("max_backoff", endpoint.max_backoff, {10ms, 24h});
  if (endpoint.max_backoff < endpoint.backoff) section.fail("max_backoff", "is less than backoff");
  endpoint.retry_for =
      std::chrono::ceil<std::chrono::seconds>(section.duration("retry_for", endpoint.retry_for, {1s, 24h * 366}));
  endpoint.retries = static_cast<unsigned>(section.integer("retries", endpoint.retries, {1, 1000}));
  endpoint.queue_bytes = section.size("queue_size", endpoint.queue_bytes, {64 << 10, 1ULL << 40});
  endpoint.dead_letters = static_cast<std::size_t>(
      section.integer("dead_letters", static_cast<std::int64_t>(endpoint.dead_letters), {1, 10'000}));
}

notify::EndpointOptions read_endpoint(const std::string& name, config::Section section, bool read) {
  notify::EndpointOptions endpoint;
  endpoint.name = name;
  if (!notify::valid_name(name)) {
    section.fail("", "is no name of an endpoint: 1 to 64 of a-z, 0-9, - and _, beginning with a letter or digit");
  }
  endpoint.format =
      section.choice("format", notify::Format::distribution,
                     {{"distribution", notify::Format::distribution}, {"cloudevents", notify::Format::cloudevents}});
  read_url(section, endpoint, read);
  read_headers(section, endpoint, read);
  endpoint.secret = read_secret(section, "secret", /*with_command=*/false, read).value;
  auto& tls = endpoint.tls;
  tls.ca_file = section.string("ca_file", "");
  tls.verify = section.boolean("tls_verify", true);
  demand_readable(section, "ca_file", tls.ca_file, read);
  if (!tls.verify) section.warn("tls_verify", "anyone on the way can pose as this receiver");
  read_filter(section, endpoint);
  read_limits(section, endpoint);
  return endpoint;
}

}  // namespace

notify::Options read_notifications(config::Section section, bool read_secrets) {
  notify::Options options;
  options.source = section.string("source", "");
  if (options.source.empty()) options.source = host_name();
  if (!is_source(options.source)) section.fail("source", "must look like a host name");
  auto endpoints = section.section("endpoints");
  for (auto& [name, endpoint] : endpoints.sections()) {
    options.endpoints.push_back(read_endpoint(name, endpoint, read_secrets));
  }
  if (options.endpoints.size() > kMaxEndpoints) {
    section.fail("endpoints", base::format("are more than {}", kMaxEndpoints));
  }
  return options;
}

}  // namespace shoal::app
