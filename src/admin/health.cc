#include "health.h"

#include <nlohmann/json.hpp>

#include "pool_jobs.h"
#include "reply.h"

namespace shoal::admin {

std::string_view path_of(const http::Request& request) {
  const std::string_view target = request.target;
  return target.substr(0, target.find('?'));
}

std::string_view query_of(const http::Request& request) {
  const std::string_view target = request.target;
  const auto mark = target.find('?');
  return mark == std::string_view::npos ? std::string_view() : target.substr(mark + 1);
}

std::vector<std::string> reasons_not_ready(const store::Store& store, const NodeView& node) {
  std::vector<std::string> reasons;
  if (node.draining()) reasons.emplace_back("draining: the node is about to stop");
  if (auto stuck = node.stuck_loop(); !stuck.empty()) reasons.push_back(std::move(stuck));
  const auto usage = store.usage();
  if (usage.read_only) reasons.push_back("the store is read-only: " + usage.read_only_reason);
  return reasons;
}

http::Response health_reply(const NodeView& node) {
  const auto stuck = node.stuck_loop();
  return stuck.empty() ? text_reply(200, "text/plain", "ok\n") : text_reply(503, "text/plain", stuck + "\n");
}

http::Response readiness_reply(const store::Store& store, const NodeView& node) {
  const auto reasons = reasons_not_ready(store, node);
  return json_reply(reasons.empty() ? 200 : 503, {{"ready", reasons.empty()}, {"reasons", reasons}});
}

struct HealthHandler::Impl {
  Impl(Parts p, bool m) : parts(p), with_metrics(m), jobs(p.loop, p.pool) {}
  Parts parts;
  bool with_metrics;
  PoolJobs jobs;
};

HealthHandler::HealthHandler(Parts parts, bool with_metrics) : impl_(std::make_unique<Impl>(parts, with_metrics)) {}
HealthHandler::~HealthHandler() = default;

std::unique_ptr<http::Operation> HealthHandler::handle(const http::Request& request, http::Responder responder) {
  const auto path = path_of(request);
  const bool known = path == "/healthz" || path == "/readyz" || (path == "/metrics" && impl_->with_metrics);
  if (!known) {
    responder.send(error_reply(404, "NOT_FOUND", "nothing is served at this path"));
  } else if (request.method != http::Method::get && request.method != http::Method::head) {
    auto refusal = error_reply(405, "UNSUPPORTED", "only GET and HEAD here");
    refusal.headers.add("Allow", "GET, HEAD");
    responder.send(std::move(refusal));
  } else if (path == "/healthz") {
    responder.send(health_reply(impl_->parts.node));
  } else if (path == "/readyz") {
    responder.send(readiness_reply(impl_->parts.store, impl_->parts.node));
  } else {
    impl_->jobs.run(std::move(responder), [&metrics = impl_->parts.metrics](PoolJobs::Answer answer) {
      answer(text_reply(200, "text/plain; version=0.0.4; charset=utf-8", metrics.prometheus_text()));
    });
  }
  return nullptr;
}

}  // namespace shoal::admin
