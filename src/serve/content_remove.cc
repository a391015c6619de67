#include "content_remove.h"

#include "manifest_put.h"
#include "shoal/base/format.h"

namespace shoal::serve {
namespace {

constexpr std::size_t kSlice = 1000;

// A tag on that manifest which a rule keeps there; "" if there is none. Walks the tags: on the pool.
std::string fixed_tag_on(store::Store& store, const HostedOptions& options, const std::string& repository,
                         const base::Digest& digest) {
  std::string last;
  for (;;) {
    const auto slice = store.list_tags(repository, last, kSlice);
    for (const auto& [tag, record] : slice) {
      if (record.digest == digest && !fixing_rule(options, repository, tag).empty()) return tag;
    }
    if (slice.size() < kSlice) return {};
    last = slice.back().first;
  }
}

}  // namespace

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
  const auto& digest = std::get<base::Digest>(reference_);
  const auto link = parts_.store->find_link(repository_, digest);
  const bool is_manifest = parts_.store->find_manifest(digest).has_value();
  if (!link || !link->hosted || is_manifest != (subject_ == Subject::manifest)) return refuse_unknown();
  if (subject_ == Subject::manifest) return remove_manifest(digest);
  remove_content(digest);
}

void ContentRemove::remove_tag(const std::string& tag) {
  if (!fixing_rule(*caller_.hosted, repository_, tag).empty() && parts_.store->find_tag(repository_, tag)) {
    return refuse_fixed(tag);
  }
  parts_.store->hosted().remove_tag(repository_, tag, parts_.loop,
                                    guarded([this](const base::Result<void>& result) { done(result); }));
}

void ContentRemove::remove_manifest(const base::Digest& digest) {
  const auto& options = caller_.hosted;
  if (options->fixed_tags.empty()) return remove_content(digest);
  on_pool([store = parts_.store, options, repository = repository_,
           digest] { return fixed_tag_on(*store, *options, repository, digest); },
          [this, digest](const std::string& tag) {
            if (!tag.empty()) return refuse_fixed(tag);
            remove_content(digest);
          });
}

void ContentRemove::remove_content(const base::Digest& digest) {
  parts_.store->hosted().remove_content(repository_, digest, parts_.loop,
                                        guarded([this](const base::Result<void>& result) { done(result); }));
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
  if (result.error().kind() == base::ErrorKind::busy) {
    return refuse(409, "DENIED", base::format("a manifest of {} needs it: remove that first", repository_));
  }
  refuse_store_error(result.error());
}

}  // namespace shoal::serve
