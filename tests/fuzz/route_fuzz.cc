// "<target>\n<Host>": whatever is asked for, only configured registries and well-formed names come out.
// Sources: src/serve/route.cc
#include <algorithm>
#include <cstdlib>

#include "shoal/registry/name.h"
#include "shoal/serve/route.h"

using namespace shoal;

namespace {
bool is_configured(std::string_view name) {
  return name == "docker.io" || name == "ghcr.io" || name == "localhost:5000" ||
         (name.ends_with(".example.com") && registry::valid_registry_host(name));
}
struct Check {
  void operator()(const auto& path) const {
    if constexpr (requires { path.repository; }) {
      // "library/" may take it past the limit
      std::string_view name = path.repository;
      if (name.starts_with("library/")) name.remove_prefix(8);
      if (!registry::valid_repository(name)) std::abort();
    }
  }
  void operator()(const registry::BadPath&) const { std::abort(); }
};
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const serve::RouteTable table{.default_upstream = "docker.io",
                                       .upstreams = {"docker.io", "ghcr.io", "localhost:5000"},
                                       .patterns = {"*.example.com"},
                                       .hosts = {{"g.lan", "ghcr.io"}},
                                       .library_prefix = {"docker.io"}};
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const std::size_t line = std::min(text.find('\n'), text.size());
  const auto answer = serve::route(table, text.substr(0, line), text.substr(std::min(line + 1, text.size())));
  if (const auto* refusal = std::get_if<serve::RouteRefusal>(&answer)) {
    if (refusal->status < 400 || refusal->status > 499 || refusal->code.empty()) std::abort();
    return 0;
  }
  const auto& routed = std::get<serve::Routed>(answer);
  if (!is_configured(routed.registry)) std::abort();
  if (routed.by_ns && routed.ns.find_first_of("\r\n") != std::string::npos) std::abort();
  std::visit(Check(), routed.path);
  return 0;
}
