#include "routes.h"

namespace shoal::app {

std::shared_ptr<const serve::RouteTable> make_routes(const Settings& settings) {
  auto routes = std::make_shared<serve::RouteTable>();
  routes->default_upstream = settings.default_upstream;
  for (const auto& upstream : settings.upstreams) {
    if (upstream.name.starts_with("*.")) {
      routes->patterns.push_back(upstream.name);
    } else {
      routes->upstreams.insert(upstream.name);
    }
    if (!upstream.library_prefix.empty()) routes->library_prefix.insert(upstream.name);
  }
  routes->hosted = settings.hosted;
  routes->hosts_everything = settings.upstreams.empty() && settings.hosted.empty();
  for (const auto& [host, upstream] : settings.hosts) routes->hosts[host] = upstream;
  return routes;
}

}  // namespace shoal::app
