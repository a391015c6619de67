// DistributionHandler: the /v2/ endpoints on one event loop: route, authorise, ask the mirror or the store, stream the
// answer; and pushes to hosted repositories.
// OCI distribution-spec 1.1; DESIGN sections 5 and 7.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "shoal/http/server.h"
#include "shoal/mirror/mirror.h"
#include "shoal/obs/access_log.h"
#include "shoal/obs/event.h"
#include "shoal/obs/metrics.h"
#include "shoal/serve/access.h"
#include "shoal/serve/hosted.h"
#include "shoal/serve/route.h"

namespace shoal::serve {

class ServeProbe;
class QuotaBook;
class PoolGate;
// One for the process: registers the request metrics. Shared by all handlers.
[[nodiscard]] std::shared_ptr<ServeProbe> make_probe(obs::Metrics& metrics);
// Bytes of blobs that clients on other machines took so far, those of answers that still run too. Any thread.
[[nodiscard]] std::uint64_t taken_by_clients(const ServeProbe& probe);

// One for the process, so that the pushes of all loops count together. Shared by all handlers.
[[nodiscard]] std::shared_ptr<QuotaBook> make_quota_book();

// What its operations do on the pool ends before its destructor returns; so the store goes after it.
class DistributionHandler final : public http::Handler {
 public:
  struct Parts {
    base::Loop& loop;
    mirror::Mirror& mirror;
    mirror::UpstreamSet& upstreams;  // of this loop
    obs::AccessLog& access_log;
    std::shared_ptr<ServeProbe> probe;
    base::Clock& clock;
    // For hosted repositories; without a store there are none, whatever the routes say.
    store::Store* store = nullptr;
    base::Executor* pool = nullptr;  // the hash-and-disk pool
    // Without one, nobody can log in: an enabled policy then knows anonymous clients only.
    auth::Authenticator* authenticator = nullptr;
    std::shared_ptr<QuotaBook> quotas = nullptr;    // null: one of its own
    std::shared_ptr<PoolGate> pool_gate = nullptr;  // the handler's own: it makes it, and closes it when it goes
    obs::EventSink* events = &obs::no_events();     // hears of pushes, pulls and removals; never null
  };
  // `fallback` answers what is not /v2/ (health, metrics); may be null: 404. It outlives the handler.
  DistributionHandler(Parts parts, std::shared_ptr<const RouteTable> routes, http::Handler* fallback);
  ~DistributionHandler() override;

  // On the loop; before the first request, and for SIGHUP. What is running goes on with what it began with.
  void set_routes(std::shared_ptr<const RouteTable> routes);
  void set_hosted(std::shared_ptr<const HostedOptions> options);
  void set_access(std::shared_ptr<const Access> access);

  [[nodiscard]] http::BodyMode body_mode(const http::Request& request) override;
  [[nodiscard]] std::unique_ptr<http::Operation> handle(const http::Request& request,
                                                        http::Responder responder) override;
  [[nodiscard]] http::Response refuse(int status, std::string_view reason) override;

 private:
  Parts parts_;
  std::shared_ptr<const RouteTable> routes_;  // shared by the handlers of all loops, like the two below
  std::shared_ptr<const HostedOptions> hosted_;
  std::shared_ptr<const Access> access_;
  std::shared_ptr<QuotaBook> quotas_;  // shared with operations, which may outlive this
  http::Handler* fallback_;
};

}  // namespace shoal::serve
