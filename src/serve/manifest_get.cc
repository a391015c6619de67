#include "manifest_get.h"

#include "body_sources.h"
#include "explain.h"
#include "hosted_read.h"
#include "shoal/http/range.h"

namespace shoal::serve {
namespace {

constexpr std::size_t kCopyUpTo = 16 * 1024;  // smaller bodies leave with their head in one write

}  // namespace

ManifestGet::ManifestGet(const DistributionHandler::Parts& parts, const http::Request& request,
                         http::Responder responder, mirror::Target target, registry::Reference reference)
    : Exchange(parts, request, std::move(responder), Subject::manifest, target.canonical()),
      target_(std::move(target)),
      reference_(std::move(reference)) {}

void ManifestGet::start() {
  if (target_.registry.empty()) {
    const auto purpose = is_head() ? Purpose::look : Purpose::pull;
    const auto outcome = find_hosted_manifest(parts_, target_.repository, reference_, purpose);
    if (const auto* refusal = std::get_if<mirror::Refusal>(&outcome)) return refuse(*refusal);
    return answer(std::get<mirror::ManifestAnswer>(outcome));
  }
  const auto upstream = parts_.upstreams.find(target_.registry);
  if (upstream != nullptr) {
    if (const auto warm = parts_.mirror.try_manifest(target_, reference_, *upstream)) return answer(*warm);
  }
  pending_ = parts_.mirror.get_manifest(parts_.loop, target_, reference_,
                                        [this](mirror::Outcome<mirror::ManifestAnswer> outcome) {
                                          if (const auto* refusal = std::get_if<mirror::Refusal>(&outcome)) {
                                            return refuse(*refusal);
                                          }
                                          answer(std::get<mirror::ManifestAnswer>(outcome));
                                        });
}

void ManifestGet::answer(const mirror::ManifestAnswer& manifest) {
  const auto digest = manifest.digest.to_string();
  const auto etag = '"' + digest + '"';
  const auto size = manifest.bytes->size();
  const bool same = http::not_modified(if_none_match_, etag);
  http::RangePlan plan;
  if (!same && !is_head() && !range_.empty()) plan = http::plan_range(range_, if_range_, etag, size);
  using Kind = http::RangePlan::Kind;
  if (plan.kind == Kind::multi) plan.kind = Kind::full;  // manifests are small
  const int status = same ? 304 : plan.kind == Kind::single ? 206 : plan.kind == Kind::not_satisfiable ? 416 : 200;

  auto response = begin(status);
  response.headers.add("Docker-Content-Digest", digest);
  response.headers.add("ETag", etag);
  response.headers.add("Accept-Ranges", "bytes");
  explain(response, manifest.provenance);
  for (const auto& warning : passable_warnings(manifest.warnings)) response.headers.add("Warning", warning);
  if (same) return send(std::move(response));
  if (plan.kind == Kind::not_satisfiable) return refuse_range(std::move(response), size);
  response.headers.add("Content-Type", manifest.media_type);
  if (!is_head()) announce_pull(manifest);
  std::string_view body = *manifest.bytes;
  if (plan.kind == Kind::single) {
    const auto range = plan.ranges.front();
    response.headers.add("Content-Range", http::content_range(range, size));
    body = body.substr(range.begin, range.size());
  }
  if (body.size() <= kCopyUpTo) {
    response.text = body;
  } else {
    response.source = std::make_unique<MemorySource>(manifest.bytes, body);
    response.content_length = body.size();
  }
  send(std::move(response));
}

void ManifestGet::announce_pull(const mirror::ManifestAnswer& manifest) {
  auto event = begin_event(obs::EventKind::pull, obs::EventObject::manifest);
  if (!event) return;
  event->digest = manifest.digest.to_string();
  if (const auto* tag = std::get_if<registry::Tag>(&reference_)) event->tag = *tag;
  event->media_type = manifest.media_type;
  event->size = manifest.bytes->size();
  announce_at_end(std::move(event));
}

}  // namespace shoal::serve
