#include "content_remove.h"

#include <algorithm>

#include "manifest_put.h"
#include "shoal/base/format.h"
#include "shoal/registry/pattern.h"

namespace shoal::serve {

ContentRemove::ContentRemove(const DistributionHandler::Parts& parts, const http::Request& request,
                             http::Responder responder, Subject subject, std::string repository,
                             registry::Reference reference)
    : PushExchange(parts, request, std::move(responder), subject, PushKind::remove, std::move(repository)),
      subject_(subject),
      reference_(std::move(reference)) {}

void ContentRemove::start() {
  if (!caller_.hosted->remove) {
    return refuse_method(subject_ == Subject::blob ? "GET, HEAD" : "GET, HEAD, PUT", "removing is switched off here");
  }
  if (const auto* tag = std::get_if<registry::Tag>(&reference_)) return remove_tag(*tag);
  remove_content(std::get<base::Digest>(reference_));
}

void ContentRemove::remove_tag(const std::string& tag) {
  if (!fixing_rule(*caller_.hosted, repository_, tag).empty()) {  // nor one that comes this moment
    const store::ReadWatch reads(*parts_.store);
    if (parts_.store->find_tag(repository_, tag)) return refuse_fixed(tag);
    if (reads.failed()) return refuse_store_error(store::unreadable_index());
    return refuse_unknown();
  }
  std::vector<obs::Event> events;
  if (auto event = begin_event(obs::EventKind::remove, obs::EventObject::tag)) {
    event->tag = tag;
    events.push_back(std::move(*event));
  }
  parts_.store->hosted().remove_tag(
      repository_, tag, parts_.loop,
      announced(std::move(events), [this](const base::Result<void>& result) { done(result); }));
}

// The store looks for fixed tags, at the moment of the removal.
void ContentRemove::remove_content(const base::Digest& digest) {
  std::vector<obs::Event> events;
  const auto object = subject_ == Subject::blob ? obs::EventObject::blob : obs::EventObject::manifest;
  if (auto event = begin_event(obs::EventKind::remove, object)) {
    event->digest = digest.to_string();
    events.push_back(std::move(*event));
  }
  store::Removal removal{.manifest = subject_ == Subject::manifest};
  const auto concerns = [this](const FixedTags& rule) { return registry::matches(rule.repositories, repository_); };
  const auto& rules = caller_.hosted->fixed_tags;
  if (std::any_of(rules.begin(), rules.end(), concerns)) {
    removal.is_fixed = [options = caller_.hosted, repository = repository_](std::string_view tag) {
      return !fixing_rule(*options, repository, tag).empty();
    };
  }
  parts_.store->hosted().remove_content(
      repository_, digest, std::move(removal), parts_.loop,
      announced(std::move(events), [this](const base::Result<void>& result) { done(result); }));
}

void ContentRemove::refuse_fixed(const std::string& tag) {
  refuse(409, "DENIED",
         base::format("tag {} of {} is immutable (rule {})", tag, repository_,
                      fixing_rule(*caller_.hosted, repository_, tag)));
}

void ContentRemove::refuse_unknown() {
  refuse(404, subject_ == Subject::blob ? "BLOB_UNKNOWN" : "MANIFEST_UNKNOWN",
         base::format("{} is not in {}", registry::to_string(reference_), repository_));
}

void ContentRemove::done(const base::Result<void>& result) {
  if (result.ok()) return send(begin(202));
  if (result.error().kind() == base::ErrorKind::not_found) return refuse_unknown();
  if (result.error().kind() == base::ErrorKind::denied) return refuse_fixed(result.error().message());
  const bool later = result.error().retry_after().has_value();  // somebody keeps pushing there
  if (result.error().kind() == base::ErrorKind::busy && subject_ == Subject::blob && !later) {
    // Of the statuses that the specification names for a removal (202, 400, 404, 405) the one that fits.
    return refuse_method("GET, HEAD", base::format("a manifest of {} needs it: remove that first", repository_));
  }
  refuse_store_error(result.error());
}

}  // namespace shoal::serve
