#include "dispatch.h"

#include "blob_get.h"
#include "content_remove.h"
#include "hosted_lists.h"
#include "manifest_get.h"
#include "manifest_put.h"
#include "page_get.h"
#include "shoal/base/format.h"
#include "upload.h"

namespace shoal::serve {
namespace {

using http::Method;

// One request on its way to its operation.
struct Dispatch {
  const DistributionHandler::Parts& parts;
  const http::Request& request;
  http::Responder responder;
  const Routed& routed;
  Caller caller;

  template <class Operation, class... Args>
  std::unique_ptr<http::Operation> run(Args&&... args) {
    auto operation = std::make_unique<Operation>(parts, request, std::move(responder), std::forward<Args>(args)...);
    if (routed.by_ns) operation->set_namespace(routed.ns);
    operation->set_caller(std::move(caller));
    operation->start();
    return operation;
  }
  template <class Answer>
  std::unique_ptr<http::Operation> direct(Answer answer) {
    auto operation = std::make_unique<Direct>(parts, request, std::move(responder), routed.canonical);
    if (routed.by_ns) operation->set_namespace(routed.ns);
    operation->set_caller(std::move(caller));
    answer(*operation);
    return operation;
  }
  std::unique_ptr<http::Operation> bad_method(std::string_view allow) {
    const auto message = routed.hosted || routed.canonical.empty()
                             ? base::format("{} is not for this path", http::to_string(request.method))
                             : base::format("this is a mirror of {}: push and delete there, not here", routed.registry);
    return direct([&](Direct& answer) { answer.refuse_method(allow, message); });
  }
  [[nodiscard]] bool reads() const { return request.method == Method::get || request.method == Method::head; }
  [[nodiscard]] mirror::Target target(const std::string& repository) const { return {routed.registry, repository}; }
};

std::unique_ptr<http::Operation> hosted(Dispatch& d) {
  const auto method = d.request.method;
  if (const auto* path = std::get_if<registry::ManifestPath>(&d.routed.path)) {
    if (d.reads()) return d.run<ManifestGet>(d.target(path->repository), path->reference);
    if (method == Method::put) return d.run<ManifestPut>(path->repository, path->reference, d.routed.query);
    if (method == Method::del) return d.run<ContentRemove>(Subject::manifest, path->repository, path->reference);
    return d.bad_method("GET, HEAD, PUT, DELETE");
  }
  if (const auto* path = std::get_if<registry::BlobPath>(&d.routed.path)) {
    if (d.reads()) return d.run<BlobGet>(d.target(path->repository), path->digest);
    if (method == Method::del) return d.run<ContentRemove>(Subject::blob, path->repository, path->digest);
    return d.bad_method("GET, HEAD, DELETE");
  }
  if (const auto* path = std::get_if<registry::UploadPath>(&d.routed.path)) {
    if (path->session.empty()) {
      if (method == Method::post) return d.run<UploadStart>(path->repository, d.routed.query);
      return d.bad_method("POST");
    }
    if (d.reads()) return d.run<UploadStatus>(path->repository, path->session);
    if (method == Method::patch) return d.run<UploadChunk>(path->repository, path->session);
    if (method == Method::put) return d.run<UploadFinish>(path->repository, path->session, d.routed.query);
    if (method == Method::del) return d.run<UploadCancel>(path->repository, path->session);
    return d.bad_method("GET, HEAD, PATCH, PUT, DELETE");
  }
  if (!d.reads()) return d.bad_method("GET, HEAD");
  if (const auto* path = std::get_if<registry::TagsPath>(&d.routed.path)) {
    return d.run<HostedTags>(path->repository, d.routed.query);
  }
  const auto& path = std::get<registry::ReferrersPath>(d.routed.path);
  return d.run<HostedReferrers>(path.repository, path.digest, d.routed.query);
}

std::unique_ptr<http::Operation> mirrored(Dispatch& d) {
  const auto* upload = std::get_if<registry::UploadPath>(&d.routed.path);
  if (upload != nullptr || !d.reads()) return d.bad_method(upload != nullptr ? "" : "GET, HEAD");
  if (const auto* path = std::get_if<registry::ManifestPath>(&d.routed.path)) {
    return d.run<ManifestGet>(d.target(path->repository), path->reference);
  }
  if (const auto* path = std::get_if<registry::BlobPath>(&d.routed.path)) {
    return d.run<BlobGet>(d.target(path->repository), path->digest);
  }
  const auto raw_path = d.request.target.substr(0, d.request.target.find('?'));
  if (const auto* path = std::get_if<registry::TagsPath>(&d.routed.path)) {
    return d.run<PageGet>(d.target(path->repository), std::nullopt, raw_path, d.routed.query);
  }
  const auto& path = std::get<registry::ReferrersPath>(d.routed.path);
  return d.run<PageGet>(d.target(path.repository), path.digest, raw_path, d.routed.query);
}

}  // namespace

void Direct::ping() {
  auto response = begin(200);
  response.headers.add("Content-Type", "application/json");
  response.text = "{}";
  send(std::move(response));
}

void Direct::challenge(std::string_view message) {
  auto response = begin(401);
  response.headers.add("WWW-Authenticate", base::format("Basic realm=\"{}\"", caller_.access->realm));
  refuse(std::move(response), "UNAUTHORIZED", message);
}

std::unique_ptr<http::Operation> dispatch(const DistributionHandler::Parts& parts, const http::Request& request,
                                          http::Responder responder, const Routed& routed, bool has_catalog,
                                          Caller caller) {
  Dispatch d{parts, request, std::move(responder), routed, std::move(caller)};
  if (std::holds_alternative<registry::Ping>(routed.path)) {
    if (!d.reads()) return d.bad_method("GET, HEAD");
    return d.direct([](Direct& answer) { answer.ping(); });
  }
  if (std::holds_alternative<registry::Catalog>(routed.path)) {
    if (!d.reads()) return d.bad_method("GET, HEAD");
    if (has_catalog) return d.run<HostedCatalog>(routed.query);
    return d.direct([](Direct& answer) {
      answer.refuse(404, "UNSUPPORTED",
                    "a mirror has no catalog and takes no uploads; `shoal list` shows what it holds");
    });
  }
  return routed.hosted ? hosted(d) : mirrored(d);
}

}  // namespace shoal::serve
