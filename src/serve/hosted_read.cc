#include "hosted_read.h"

#include <atomic>

#include "shoal/base/format.h"
#include "shoal/obs/log.h"

namespace shoal::serve {
namespace {

using mirror::Refusal;

constexpr std::chrono::seconds kRetryAfter{60};

// What was not found since this was made is not there, or nobody can tell.
class Search {
 public:
  Search(const DistributionHandler::Parts& parts, const std::string& repository)
      : reads_(*parts.store), repository_(repository) {}
  [[nodiscard]] std::optional<Refusal> failed() const {
    if (!reads_.failed()) return std::nullopt;
    return Refusal{Refusal::Kind::unavailable, "the index cannot be read", kRetryAfter};
  }
  [[nodiscard]] Refusal not_here(std::string_view what, std::string_view name) const {
    if (auto refusal = failed()) return std::move(*refusal);
    return {Refusal::Kind::not_found, base::format("{} {} is not in {}", what, name, repository_), std::nullopt};
  }

 private:
  const store::ReadWatch reads_;
  const std::string& repository_;
};

// A client may ask as often as it likes: one line a second at most.
void log_damage(base::Clock& clock, const std::string& message) {
  static std::atomic<std::int64_t> last{-1};
  const auto now = std::chrono::duration_cast<std::chrono::seconds>(clock.steady_now().time_since_epoch()).count();
  if (last.exchange(now) != now) obs::error(obs::Category::serve, "{}", message);
}

// It was pushed here and acknowledged, so it is not "unknown": the operator has to look, or somebody push it again.
Refusal damaged(const DistributionHandler::Parts& parts, const std::string& repository, const std::string& name,
                std::string_view why) {
  auto message =
      base::format("{} of {} was pushed here, but what is stored of it is damaged or gone ({}); push it again", name,
                   repository, why);
  log_damage(parts.clock, message);
  return {Refusal::Kind::unavailable, std::move(message), kRetryAfter};
}

}  // namespace

mirror::Outcome<std::unique_ptr<mirror::Blob>> open_hosted_blob(const DistributionHandler::Parts& parts,
                                                                const std::string& repository,
                                                                const base::Digest& digest, Purpose purpose) {
  auto& store = *parts.store;
  const Search search(parts, repository);
  const auto link = store.find_link(repository, digest);
  if (!link || !link->hosted) return search.not_here("blob", digest.to_string());
  auto open = store.open_blob(digest);
  if (!open) {
    if (open.error().kind() == base::ErrorKind::not_found && link->manifest) {
      return search.not_here("blob", digest.to_string());  // a manifest's digest
    }
    // Who looks may be about to push it, and must not be told to leave it out.
    if (purpose == Purpose::look) return search.not_here("blob", digest.to_string());
    if (auto refusal = search.failed()) return std::move(*refusal);
    return damaged(parts, repository, digest.to_string(), open.error().message());
  }
  if (purpose == Purpose::pull) {
    store.touch_blob(digest);
  } else {  // a pusher will count on it
    store.hosted().touch_link(repository, digest);
  }
  return mirror::stored_blob(std::move(*open), mirror::Provenance{});
}

mirror::Outcome<mirror::ManifestAnswer> find_hosted_manifest(const DistributionHandler::Parts& parts,
                                                             const std::string& repository,
                                                             const registry::Reference& reference, Purpose purpose) {
  auto& store = *parts.store;
  const Search search(parts, repository);
  const auto name = registry::to_string(reference);
  std::optional<base::Digest> digest;
  if (const auto* tag = std::get_if<registry::Tag>(&reference)) {
    const auto record = store.find_tag(repository, *tag);
    if (!record) return search.not_here("tag", name);
    digest = record->digest;
  } else {
    digest = std::get<base::Digest>(reference);
  }
  const auto link = store.find_link(repository, *digest);
  // A blob's digest stays one, whatever another repository knows it as.
  if (!link || !link->hosted || !link->manifest) return search.not_here("manifest", name);
  auto manifest = store.find_manifest(*digest);
  if (!manifest) {
    if (auto refusal = search.failed()) return std::move(*refusal);
    return damaged(parts, repository, digest->to_string(), "no such manifest in the index");
  }
  if (purpose == Purpose::pull) {
    store.touch_manifest(*digest);
  } else {
    store.hosted().touch_link(repository, *digest);
  }
  return mirror::ManifestAnswer{*digest, std::move(manifest->media_type), std::move(manifest->bytes), {}, {}};
}

}  // namespace shoal::serve
