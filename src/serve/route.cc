#include "shoal/serve/route.h"

#include <algorithm>
#include <utility>

#include "shoal/base/format.h"
#include "shoal/registry/pattern.h"

namespace shoal::serve {
namespace {

constexpr std::string_view kDockerHub = "docker.io";

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

bool matches_host(std::string_view pattern, std::string_view name) {
  const std::string_view suffix = pattern.substr(1);  // ".example.com"
  return pattern.starts_with("*.") && name.size() > suffix.size() && name.ends_with(suffix) &&
         registry::valid_registry_host(name);
}

struct Allowed {
  std::string registry;
  std::string_view entry;  // of the table
};

std::optional<Allowed> allowed(const RouteTable& table, std::string_view name) {
  if (const auto it = table.upstreams.find(name); it != table.upstreams.end()) return Allowed{*it, *it};
  if (name == "index.docker.io" || name == "registry-1.docker.io") {
    if (const auto it = table.upstreams.find(kDockerHub); it != table.upstreams.end()) return Allowed{*it, *it};
  }
  const std::string* longest = nullptr;
  for (const auto& pattern : table.patterns) {
    if (matches_host(pattern, name) && (longest == nullptr || pattern.size() > longest->size())) longest = &pattern;
  }
  if (longest == nullptr) return std::nullopt;
  return Allowed{std::string(name), *longest};
}

// Of an ApiPath; null for a ping, a catalog and a bad path.
std::string* repository_of(registry::ApiPath& path) {
  return std::visit(
      [](auto& alternative) -> std::string* {
        if constexpr (requires { alternative.repository; }) {
          return &alternative.repository;
        } else {
          return nullptr;
        }
      },
      path);
}

RouteRefusal not_configured(std::string_view name) {
  return {404, "NAME_UNKNOWN",
          base::format("registry \"{}\" is not configured here; add it under \"upstreams\" to mirror it", name)};
}

RouteRefusal no_endpoint() {
  return {404, "NAME_UNKNOWN", "no such endpoint; the registry is under /v2/ and /<registry>/v2/"};
}

struct Split {
  std::string_view head;
  std::string_view rest;  // "" or from the slash on
};
// "/ghcr.io/owner" -> "ghcr.io", "/owner"
Split first_segment(std::string_view path) {
  if (path.empty()) return {};
  const std::size_t slash = std::min(path.find('/', 1), path.size());
  return {path.substr(1, slash - 1), path.substr(slash)};
}

bool below_v2(std::string_view path) { return path == "/v2" || path.starts_with("/v2/"); }

struct Address {
  std::string_view prefix;                 // the registry a path names; "" if it names none
  registry::ApiPath path;                  // of the rest
  std::optional<registry::ApiPath> whole;  // with a prefix under /v2: had it not been one
};

std::optional<Address> read_path(std::string_view path) {
  if (!below_v2(path)) {
    const auto [registry, rest] = first_segment(path);
    if (!below_v2(rest) || !registry::valid_registry_host(registry)) return std::nullopt;
    return Address{registry, registry::parse_api_path(rest.substr(3)), std::nullopt};
  }
  path.remove_prefix(3);
  auto whole = registry::parse_api_path(path);
  const auto [registry, rest] = first_segment(path);
  // As in image references: a registry is a first part with something behind it. "ghcr.io" alone names a repository.
  const std::string* repository = repository_of(whole);
  const bool alone = repository != nullptr && repository->find('/') == std::string::npos;
  if (alone || !registry::valid_registry_host(registry)) return Address{{}, std::move(whole), std::nullopt};
  return Address{registry, registry::parse_api_path(rest), std::move(whole)};
}

struct Choice {
  std::optional<Allowed> registry;
  bool by_ns = false;
  bool hosted = false;
};

std::variant<Choice, RouteRefusal> choose(const RouteTable& table, std::string_view prefix,
                                          const std::optional<std::string>& ns, std::string_view host,
                                          const std::string* repository) {
  const auto by_ns = ns ? allowed(table, lower(*ns)) : std::nullopt;
  if (!prefix.empty()) {
    auto found = allowed(table, prefix);
    if (!found) return not_configured(prefix);
    const bool agreed = by_ns && by_ns->registry == found->registry;
    return Choice{std::move(found), agreed, false};
  }
  if (ns) {
    if (!by_ns) return not_configured(lower(*ns));
    return Choice{by_ns, true, false};
  }
  if (!table.hosts.empty() && !host.empty()) {
    const std::string name = lower(host);
    auto it = table.hosts.find(name);
    if (it == table.hosts.end() && !name.ends_with(']')) it = table.hosts.find(name.substr(0, name.rfind(':')));
    if (it != table.hosts.end()) {
      auto found = allowed(table, it->second);
      if (!found) return not_configured(it->second);
      return Choice{std::move(found), false, false};
    }
  }
  if (repository != nullptr && is_hosted_name(table, *repository)) return Choice{std::nullopt, false, true};
  if (table.default_upstream.empty()) return Choice{};
  auto found = allowed(table, table.default_upstream);
  if (!found) return not_configured(table.default_upstream);
  return Choice{std::move(found), false, false};
}

// The value of ns; empty optional: absent or empty. A refusal when it cannot name a registry.
std::variant<std::optional<std::string>, RouteRefusal> read_ns(std::string_view query) {
  auto ns = registry::query_value(query, "ns");
  if (!ns) {
    // Broken is not absent: the default upstream must not answer for a registry we failed to read.
    const std::string all = base::format("&{}&", query);
    if (all.find("&ns=") == std::string::npos) return std::nullopt;
  } else if (ns->empty()) {
    return std::nullopt;
  } else if (registry::valid_registry_host(lower(*ns))) {
    return ns;
  }
  return RouteRefusal{400, "NAME_INVALID", "ns does not name a registry: a host name with a dot or a port is expected"};
}

}  // namespace

std::optional<std::string> find_registry(const RouteTable& table, std::string_view name) {
  auto found = allowed(table, name);
  if (!found) return std::nullopt;
  return std::move(found->registry);
}

bool is_hosted_name(const RouteTable& table, std::string_view name) {
  if (table.hosts_everything) return true;
  return std::any_of(table.hosted.begin(), table.hosted.end(),
                     [&](const std::string& pattern) { return registry::matches(pattern, name); });
}

std::variant<Routed, RouteRefusal> route(const RouteTable& table, std::string_view target, std::string_view host) {
  const std::size_t question = std::min(target.find('?'), target.size());
  const std::string_view query = target.substr(std::min(question + 1, target.size()));
  const auto decoded = registry::decode_path(target.substr(0, question));
  if (!decoded) {
    return RouteRefusal{400, "NAME_INVALID",
                        "the path has an escape, a dot segment or an empty segment that no name can have"};
  }
  auto address = read_path(*decoded);
  if (!address) return no_endpoint();
  auto ns = read_ns(query);
  if (auto* refusal = std::get_if<RouteRefusal>(&ns)) return std::move(*refusal);
  auto& wanted = std::get<std::optional<std::string>>(ns);
  // A first part that could be a registry, but is none of ours, may begin the name of a hosted repository.
  if (address->whole && !wanted && !allowed(table, address->prefix)) {
    const auto* name = repository_of(*address->whole);
    if (name != nullptr && is_hosted_name(table, *name))
      address = Address{{}, std::move(*address->whole), std::nullopt};
  }
  auto chosen = choose(table, address->prefix, wanted, host, repository_of(address->path));
  if (auto* refusal = std::get_if<RouteRefusal>(&chosen)) return std::move(*refusal);
  auto& choice = std::get<Choice>(chosen);
  if (auto* bad = std::get_if<registry::BadPath>(&address->path)) {
    return RouteRefusal{bad->status, std::move(bad->code), std::move(bad->message)};
  }

  Routed routed{.registry = choice.registry ? std::move(choice.registry->registry) : std::string(),
                .path = std::move(address->path),
                .canonical = {},
                .query = std::string(query),
                .by_ns = choice.by_ns,
                .ns = choice.by_ns ? std::move(*wanted) : std::string(),
                .hosted = choice.hosted};
  if (std::string* repository = repository_of(routed.path)) {
    if (routed.hosted) {
      routed.canonical = *repository;
      return routed;
    }
    if (!choice.registry) {
      return RouteRefusal{404, "NAME_UNKNOWN",
                          base::format("\"{}\" does not say which registry, and there is no default_upstream; ask for "
                                       "<registry>/{}",
                                       *repository, *repository)};
    }
    if (repository->find('/') == std::string::npos && table.library_prefix.contains(choice.registry->entry)) {
      repository->insert(0, "library/");
    }
    routed.canonical = base::format("{}/{}", routed.registry, *repository);
  }
  return routed;
}

}  // namespace shoal::serve
