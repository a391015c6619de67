// route(): which registry and what of it a request means. Pure; any thread. DESIGN section 7.
//
// The four ways clients address a mirror: /v2/<name>/..., /v2/<registry>/<name>/..., /<registry>/v2/<name>/... and a
// mapped Host, or ?ns=<registry>. Explicit prefix > ns > Host > hosted > default. Only what the table names is
// reachable.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "shoal/registry/name.h"

namespace shoal::serve {

// All names lower-case, as in the configuration.
struct RouteTable {
  std::string default_upstream;                           // "" for none
  std::set<std::string, std::less<>> upstreams;           // "docker.io", "localhost:5000"
  std::vector<std::string> patterns;                      // "*.example.com": one or more labels in front
  std::map<std::string, std::string, std::less<>> hosts;  // Host header, with or without port -> registry
  std::set<std::string, std::less<>> library_prefix;      // upstreams (or patterns) whose "nginx" is "library/nginx"
  std::vector<std::string> hosted;                        // doublestar patterns of the repositories that live here
  bool hosts_everything = false;                          // no upstreams are configured
  [[nodiscard]] bool hosts_anything() const { return hosts_everything || !hosted.empty(); }
};

struct Routed {
  std::string registry;    // "docker.io"; "" if hosted, or for a ping or catalog that names none
  registry::ApiPath path;  // without the registry, with "library/"; never a BadPath
  std::string canonical;   // "docker.io/library/nginx"; hosted: the bare path; "" for a ping or catalog
  std::string query;       // as sent, ns included
  bool by_ns = false;      // ns chose, or agreed: answer OCI-Namespace
  std::string ns;          // its value as sent, for that header; "" unless by_ns
  bool hosted = false;     // lives here: pushes, and no upstream
};

struct RouteRefusal {  // for the OCI error body
  int status;
  std::string code;
  std::string message;
};

// `target`: path and query as in the request line. `host`: of the Host header, may be empty.
[[nodiscard]] std::variant<Routed, RouteRefusal> route(const RouteTable& table, std::string_view target,
                                                       std::string_view host);

// Does a repository of that bare name live here? Says nothing of prefix, ns and Host, which go first.
[[nodiscard]] bool is_hosted_name(const RouteTable& table, std::string_view name);

// The registry that a name means ("index.docker.io" is "docker.io"); nullopt when the table does not allow it.
[[nodiscard]] std::optional<std::string> find_registry(const RouteTable& table, std::string_view name);

}  // namespace shoal::serve
