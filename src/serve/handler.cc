#include "shoal/serve/handler.h"

#include "blob_get.h"
#include "manifest_get.h"
#include "page_get.h"
#include "shoal/registry/wire.h"

namespace shoal::serve {
namespace {

// /v2, /v2/..., /<registry>/v2, /<registry>/v2/...: everything else is the fallback's.
bool is_api_path(std::string_view target) {
  const auto path = target.substr(0, target.find('?'));
  return path.find("/v2/") != std::string_view::npos || path.ends_with("/v2");
}

// Answers at once: the ping, and everything that is refused by its path or method.
class Direct final : public Exchange {
 public:
  Direct(const DistributionHandler::Parts& parts, const http::Request& request, http::Responder responder,
         std::string repository = {})
      : Exchange(parts, request, std::move(responder), Subject::other, std::move(repository)) {}
  void ping() {
    auto response = begin(200);
    response.headers.add("Content-Type", "application/json");
    response.text = "{}";
    send(std::move(response));
  }
  using Exchange::refuse;
};

template <class Operation, class... Args>
std::unique_ptr<http::Operation> run(const Routed& routed, Args&&... args) {
  auto operation = std::make_unique<Operation>(std::forward<Args>(args)...);
  if (routed.by_ns) operation->set_namespace(routed.ns);
  operation->start();
  return operation;
}

}  // namespace

DistributionHandler::DistributionHandler(Parts parts, std::shared_ptr<const RouteTable> routes, http::Handler* fallback)
    : parts_(std::move(parts)), routes_(std::move(routes)), fallback_(fallback) {}
DistributionHandler::~DistributionHandler() = default;

void DistributionHandler::set_routes(std::shared_ptr<const RouteTable> routes) { routes_ = std::move(routes); }

std::unique_ptr<http::Operation> DistributionHandler::handle(const http::Request& request, http::Responder responder) {
  if (!is_api_path(request.target)) {
    if (fallback_ != nullptr) return fallback_->handle(request, std::move(responder));
    Direct(parts_, request, std::move(responder))
        .refuse(404, "NAME_UNKNOWN", "nothing here; the registry is under /v2/");
    return nullptr;
  }
  auto answer = route(*routes_, request.target, request.host);
  if (const auto* refused = std::get_if<RouteRefusal>(&answer)) {
    Direct(parts_, request, std::move(responder)).refuse(refused->status, refused->code, refused->message);
    return nullptr;
  }
  const auto& routed = std::get<Routed>(answer);
  const bool reads = request.method == http::Method::get || request.method == http::Method::head;
  if (!reads) {
    Direct(parts_, request, std::move(responder), routed.canonical)
        .refuse(405, "UNSUPPORTED", "this is a mirror of " + routed.registry + ": push and delete there, not here");
    return nullptr;
  }
  const auto target = [&](const std::string& repository) { return mirror::Target{routed.registry, repository}; };
  if (const auto* path = std::get_if<registry::ManifestPath>(&routed.path)) {
    return run<ManifestGet>(routed, parts_, request, std::move(responder), target(path->repository), path->reference);
  }
  if (const auto* path = std::get_if<registry::BlobPath>(&routed.path)) {
    return run<BlobGet>(routed, parts_, request, std::move(responder), target(path->repository), path->digest);
  }
  const auto raw_path = request.target.substr(0, request.target.find('?'));
  if (const auto* path = std::get_if<registry::TagsPath>(&routed.path)) {
    return run<PageGet>(routed, parts_, request, std::move(responder), target(path->repository), std::nullopt, raw_path,
                        routed.query);
  }
  if (const auto* path = std::get_if<registry::ReferrersPath>(&routed.path)) {
    return run<PageGet>(routed, parts_, request, std::move(responder), target(path->repository), path->digest, raw_path,
                        routed.query);
  }
  Direct direct(parts_, request, std::move(responder), routed.canonical);
  if (routed.by_ns) direct.set_namespace(routed.ns);
  if (std::holds_alternative<registry::Ping>(routed.path)) {
    direct.ping();
  } else {
    direct.refuse(404, "UNSUPPORTED", "a mirror has no catalog and takes no uploads; `shoal list` shows what it holds");
  }
  return nullptr;
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
    parts.access_log.write(line);
  };
  return response;
}

}  // namespace shoal::serve
