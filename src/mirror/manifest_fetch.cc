#include "manifest_fetch.h"

namespace shoal::mirror {

ManifestFetch::ManifestFetch(const DeskParts& parts, const MirrorOptions& options, FillSource source,
                             std::string reference, bool is_tag, std::optional<store::TagRecord> known,
                             base::UniqueFunction<void(Answer)> done)
    : parts_(parts),
      retry_(options.retry),
      source_(std::move(source)),
      reference_(std::move(reference)),
      is_tag_(is_tag),
      known_(std::move(known)),
      done_(std::move(done)) {}

void ManifestFetch::start() {
  if (is_tag_ && known_) return head();
  get(reference_);
}

void ManifestFetch::head() {
  head_.emplace(
      parts_.loop, *source_.upstream, retry_,
      [this](upstream::Registry::Done<upstream::ManifestHead> done) {
        return source_.upstream->head_manifest(source_.repository, reference_, std::move(done));
      },
      [this](upstream::Outcome<upstream::ManifestHead> outcome) { got_head(std::move(outcome)); });
  head_->start();
}

void ManifestFetch::got_head(upstream::Outcome<upstream::ManifestHead> outcome) {
  if (auto* failure = std::get_if<upstream::Failure>(&outcome))
    return std::exchange(done_, nullptr)(std::move(*failure));
  const auto& head = std::get<upstream::ManifestHead>(outcome);
  if (head.head_refused || !head.digest) return get(reference_);
  // Upstream says so in this very repository: that is the proof that the repository may show it.
  if (parts_.index.find_manifest(*head.digest)) return std::exchange(done_, nullptr)(Moved{*head.digest});
  get(head.digest->to_string());
}

void ManifestFetch::get(std::string reference) {
  const bool by_head = is_tag_ && reference != reference_;
  auto& slot = get_ ? get_again_ : get_;
  slot.emplace(
      parts_.loop, *source_.upstream, retry_,
      [this, reference](upstream::Registry::Done<upstream::Manifest> done) {
        return source_.upstream->get_manifest(source_.repository, reference, std::move(done));
      },
      [this, by_head](upstream::Outcome<upstream::Manifest> outcome) {
        if (auto* failure = std::get_if<upstream::Failure>(&outcome)) {
          // The tag moved on between our HEAD and our GET, and what it named is gone.
          if (by_head && failure->kind == upstream::Failure::Kind::not_found) return get(reference_);
          return std::exchange(done_, nullptr)(std::move(*failure));
        }
        parts_.probe.manifest_fetched(source_.registry);
        std::exchange(done_, nullptr)(std::move(std::get<upstream::Manifest>(outcome)));
      });
  slot->start();
}

}  // namespace shoal::mirror
