// DistributionHandler: the /v2/ endpoints on one event loop: route, ask the mirror, stream the answer.
// OCI distribution-spec 1.1; DESIGN sections 5 and 7.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "shoal/http/server.h"
#include "shoal/mirror/mirror.h"
#include "shoal/obs/access_log.h"
#include "shoal/obs/metrics.h"
#include "shoal/serve/route.h"

namespace shoal::serve {

class ServeProbe;
// One for the process: registers the request metrics. Shared by all handlers.
[[nodiscard]] std::shared_ptr<ServeProbe> make_probe(obs::Metrics& metrics);

class DistributionHandler final : public http::Handler {
 public:
  struct Parts {
    base::Loop& loop;
    mirror::Mirror& mirror;
    mirror::UpstreamSet& upstreams;  // of this loop
    obs::AccessLog& access_log;
    std::shared_ptr<ServeProbe> probe;
    base::Clock& clock;
  };
  // `fallback` answers what is not /v2/ (health, metrics); may be null: 404. It outlives the handler.
  DistributionHandler(Parts parts, std::shared_ptr<const RouteTable> routes, http::Handler* fallback);
  ~DistributionHandler() override;

  void set_routes(std::shared_ptr<const RouteTable> routes);  // on the loop; for SIGHUP

  [[nodiscard]] std::unique_ptr<http::Operation> handle(const http::Request& request,
                                                        http::Responder responder) override;
  [[nodiscard]] http::Response refuse(int status, std::string_view reason) override;

 private:
  Parts parts_;
  std::shared_ptr<const RouteTable> routes_;
  http::Handler* fallback_;
};

}  // namespace shoal::serve
