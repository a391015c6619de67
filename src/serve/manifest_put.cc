#include "manifest_put.h"

#include <algorithm>

#include "shoal/base/format.h"
#include "shoal/registry/pattern.h"

namespace shoal::serve {
namespace {

constexpr std::size_t kCheckHere = 64 * 1024;  // larger ones are hashed and parsed on the pool
constexpr std::size_t kMostTags = 10;

ManifestPut::Checked check_manifest(const std::shared_ptr<const std::string>& bytes, const std::string& content_type,
                                    const registry::Reference& reference, registry::IndexChildren children) {
  const auto* named = std::get_if<base::Digest>(&reference);
  const auto digest = base::digest_of(*bytes, named != nullptr ? named->algorithm() : base::HashAlgorithm::sha256);
  if (named != nullptr && digest != *named) {
    return ManifestPut::Refused{400, "DIGEST_INVALID",
                                base::format("the bytes have the digest {}", digest.to_string())};
  }
  auto manifest = registry::read_push(content_type, *bytes, children);
  if (!manifest) return ManifestPut::Refused{400, "MANIFEST_INVALID", manifest.error().message()};
  store::ManifestPush push{.repository = {},
                           .digest = digest,
                           .media_type = std::move(manifest->media_type),
                           .bytes = bytes,
                           .tags = {},
                           .needed = std::move(manifest->needed),
                           .subject = manifest->subject,
                           .descriptor = {},
                           .fixed_tags = {}};
  if (push.subject) push.descriptor = registry::referrer_descriptor(*bytes, digest, push.media_type);
  return push;
}

}  // namespace

std::string fixing_rule(const HostedOptions& options, std::string_view repository, std::string_view tag) {
  for (const auto& rule : options.fixed_tags) {
    if (registry::matches(rule.repositories, repository) && registry::matches(rule.tags, tag)) {
      return rule.repositories + ":" + rule.tags;
    }
  }
  return {};
}

ManifestPut::ManifestPut(const DistributionHandler::Parts& parts, const http::Request& request,
                         http::Responder responder, std::string repository, registry::Reference reference,
                         const std::string& query)
    : PushExchange(parts, request, std::move(responder), Subject::manifest, PushKind::manifest, std::move(repository)),
      reference_(std::move(reference)),
      query_(query),
      content_type_(request.headers.get("content-type")) {}

void ManifestPut::start() {
  const auto most = caller_.hosted->max_manifest_bytes;
  if (body_length().value_or(0) > most) return refuse_too_large(most);
  if (!read_tags()) return;
  body_.reserve(body_length().value_or(0));
  read_on();
}

bool ManifestPut::read_tags() {
  if (const auto* tag = std::get_if<registry::Tag>(&reference_)) {
    tags_ = {*tag};
    return true;
  }
  std::string_view rest = query_;
  while (!rest.empty()) {
    const auto pair = rest.substr(0, rest.find('&'));
    rest.remove_prefix(std::min(pair.size() + 1, rest.size()));
    auto tag = registry::query_value(pair, "tag");
    if (!tag) continue;
    if (!registry::valid_tag(*tag)) {
      refuse(400, "MANIFEST_INVALID", "a tag= parameter is not a tag");
      return false;
    }
    if (std::find(tags_.begin(), tags_.end(), *tag) == tags_.end()) tags_.push_back(std::move(*tag));
    if (tags_.size() > kMostTags) {
      refuse(414, "MANIFEST_INVALID", base::format("more than {} tag= parameters are not taken", kMostTags));
      return false;
    }
  }
  return true;
}

void ManifestPut::read_on() {
  read_body([this](base::Result<http::RequestBody::Chunk> chunk) {
    if (!chunk) return refuse_body_error(chunk.error());
    if (!*chunk) {
      return with_quota(body_.size(), [this] { check(); });
    }
    const auto most = caller_.hosted->max_manifest_bytes;
    if ((*chunk)->size() > most - body_.size()) return refuse_too_large(most);
    body_ += **chunk;
    read_on();
  });
}

void ManifestPut::check() {
  const auto children =
      caller_.hosted->sparse_indexes ? registry::IndexChildren::optional : registry::IndexChildren::needed;
  auto bytes = std::make_shared<const std::string>(std::move(body_));
  if (bytes->size() <= kCheckHere) return store(check_manifest(bytes, content_type_, reference_, children));
  on_pool([bytes, type = content_type_, reference = reference_,
           children] { return check_manifest(bytes, type, reference, children); },
          [this](Checked checked) { store(std::move(checked)); });
}

void ManifestPut::store(Checked checked) {
  if (const auto* refused = std::get_if<Refused>(&checked)) {
    return refuse(refused->status, refused->code, refused->message);
  }
  auto& push = std::get<store::ManifestPush>(checked);
  push.repository = repository_;
  push.tags = tags_;
  for (const auto& tag : tags_) {
    if (!fixing_rule(*caller_.hosted, repository_, tag).empty()) push.fixed_tags.push_back(tag);
  }
  digest_ = push.digest;
  size_ = push.bytes->size();
  subject_ = push.subject;
  auto events = push_events(push);
  storing();
  parts_.store->hosted().put_manifest(
      std::move(push), parts_.loop, announced(std::move(events), [this](const base::Result<void>& result) {
        quota_ended(result.ok());
        if (!result) return refuse_error(result.error());
        auto response = begin(201);
        response.headers.add("Location",
                             base::format("/v2/{}/manifests/{}", repository_, registry::to_string(reference_)));
        response.headers.add("Docker-Content-Digest", digest_->to_string());
        if (subject_) response.headers.add("OCI-Subject", subject_->to_string());
        if (std::holds_alternative<base::Digest>(reference_)) {
          for (const auto& tag : tags_) response.headers.add("OCI-Tag", tag);
        }
        send(std::move(response));
      }));
}

// One for each tag, or one without.
std::vector<obs::Event> ManifestPut::push_events(const store::ManifestPush& push) const {
  std::vector<obs::Event> events;
  auto event = begin_event(obs::EventKind::push, obs::EventObject::manifest);
  if (!event) return events;
  event->digest = push.digest.to_string();
  event->media_type = push.media_type;
  event->size = push.bytes->size();
  for (const auto& tag : push.tags) {
    event->tag = tag;
    events.push_back(*event);
  }
  if (events.empty()) events.push_back(std::move(*event));
  return events;
}

void ManifestPut::refuse_error(const base::Error& error) {
  if (error.kind() == base::ErrorKind::not_found) {
    return refuse(400, "MANIFEST_BLOB_UNKNOWN",
                  base::format("the manifest names {}, which is not in {}", error.message(), repository_));
  }
  if (error.kind() == base::ErrorKind::denied) {
    std::string rules;
    for (const auto& tag : tags_) {
      const auto rule = fixing_rule(*caller_.hosted, repository_, tag);
      if (!rule.empty()) rules += base::format("{}{} (rule {})", rules.empty() ? "" : ", ", tag, rule);
    }
    return refuse(409, "DENIED",
                  base::format("immutable in {} and on another manifest already: {}", repository_, rules));
  }
  refuse_store_error(error);
}

}  // namespace shoal::serve
