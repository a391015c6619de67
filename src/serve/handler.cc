#include "shoal/serve/handler.h"

#include "admission.h"
#include "dispatch.h"
#include "exchange.h"
#include "pool_gate.h"
#include "quota.h"
#include "shoal/registry/wire.h"

namespace shoal::serve {
namespace {

// /v2, /v2/..., /<registry>/v2, /<registry>/v2/...: everything else is the fallback's.
bool is_api_path(std::string_view target) {
  const auto path = target.substr(0, target.find('?'));
  return path.find("/v2/") != std::string_view::npos || path.ends_with("/v2");
}

}  // namespace

std::shared_ptr<QuotaBook> make_quota_book() { return std::make_shared<QuotaBook>(); }

DistributionHandler::DistributionHandler(Parts parts, std::shared_ptr<const RouteTable> routes, http::Handler* fallback)
    : parts_(std::move(parts)),
      routes_(std::move(routes)),
      hosted_(std::make_shared<const HostedOptions>()),
      access_(std::make_shared<const Access>()),
      quotas_(parts_.quotas ? parts_.quotas : make_quota_book()),
      fallback_(fallback) {
  parts_.pool_gate = std::make_shared<PoolGate>();
}

DistributionHandler::~DistributionHandler() { parts_.pool_gate->close(); }

void DistributionHandler::set_routes(std::shared_ptr<const RouteTable> routes) { routes_ = std::move(routes); }

void DistributionHandler::set_hosted(std::shared_ptr<const HostedOptions> options) { hosted_ = std::move(options); }
void DistributionHandler::set_access(std::shared_ptr<const Access> access) { access_ = std::move(access); }

http::BodyMode DistributionHandler::body_mode(const http::Request& request) {
  if (!is_api_path(request.target)) {
    return fallback_ != nullptr ? fallback_->body_mode(request) : http::BodyMode::drop;
  }
  using http::Method;
  const bool pushes =
      request.method == Method::post || request.method == Method::put || request.method == Method::patch;
  return pushes ? http::BodyMode::stream : http::BodyMode::drop;
}

std::unique_ptr<http::Operation> DistributionHandler::handle(const http::Request& request, http::Responder responder) {
  const auto refuse_at_once = [&](const RouteRefusal& why) {
    auto direct = std::make_unique<Direct>(parts_, request, std::move(responder));
    direct->refuse(why.status, why.code, why.message);
    return direct;
  };
  if (!is_api_path(request.target)) {
    if (fallback_ != nullptr) return fallback_->handle(request, std::move(responder));
    return refuse_at_once({404, "NAME_UNKNOWN", "nothing here; the registry is under /v2/"});
  }
  auto answer = route(*routes_, request.target, request.host);
  if (const auto* refused = std::get_if<RouteRefusal>(&answer)) return refuse_at_once(*refused);
  auto& routed = std::get<Routed>(answer);
  if (routed.hosted && parts_.store == nullptr) {
    return refuse_at_once({404, "NAME_UNKNOWN", "nothing is hosted here"});
  }
  const bool has_catalog = routes_->hosts_anything() && parts_.store != nullptr;
  Caller caller{{}, access_, hosted_, quotas_};
  if (!access_->policy.enabled) {
    return dispatch(parts_, request, std::move(responder), routed, has_catalog, std::move(caller));
  }
  return admit(parts_, request, std::move(responder), std::move(routed), std::move(caller),
               [parts = parts_, has_catalog](const http::Request& admitted, http::Responder answerer, const Routed& to,
                                             Caller who) {
                 return dispatch(parts, admitted, std::move(answerer), to, has_catalog, std::move(who));
               });
}

http::Response DistributionHandler::refuse(int status, std::string_view reason) {
  http::Response response;
  response.status = status;
  response.headers.add("Content-Type", "application/json");
  response.text = registry::error_body(status == 413 ? "SIZE_INVALID" : "UNSUPPORTED", reason);
  response.close = true;
  // There is no Request to make an Exchange of, yet its answer is counted and logged like any other.
  response.on_end = [parts = parts_, status, at = parts_.clock.wall_now(), id = obs::next_request_id(),
                     reason = std::string(reason)](const http::ExchangeEnd& end) {
    parts.probe->answered(Subject::other, status, end);
    obs::AccessLine line;
    line.at = at;
    line.id = id;
    line.method = "-";
    line.detail = reason;
    line.status = status;
    line.bytes = end.body_bytes;
    line.first_byte = end.first_byte;
    line.total = end.total;
    line.complete = end.complete;
    line.end = end_text(end, /*stored=*/true);
    parts.access_log.write(line);
  };
  return response;
}

}  // namespace shoal::serve
