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
  // With neighbours, HEAD first: the proof is ours, the manifest may be theirs.
  if (is_tag_ && (known_ || parts_.site != nullptr)) return head();
  get(reference_);
}

void ManifestFetch::stored() {
  if (site_) site_->stored();
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
  if (auto* failure = std::get_if<upstream::Failure>(&outcome)) return failed(std::move(*failure));
  const auto& head = std::get<upstream::ManifestHead>(outcome);
  if (head.head_refused || !head.digest) return get_upstream(reference_);
  // Upstream says so in this very repository: that is the proof that the repository may show it.
  if (parts_.index.find_manifest(*head.digest)) return std::exchange(done_, nullptr)(Moved{*head.digest});
  get(head.digest->to_string());
}

// By digest from the site, if the repository's right is proven already or a neighbour's proof counts; else upstream.
void ManifestFetch::get(std::string reference) {
  const auto digest = base::Digest::parse(reference);
  const bool proven = is_tag_;  // by HEAD
  if (parts_.site == nullptr || !digest.ok() || (!proven && !parts_.site->options().trust_domain)) {
    return get_upstream(reference);
  }
  site_ =
      std::make_unique<SiteManifest>(*parts_.site, parts_.loop, *digest, source_.canonical,
                                     proven ? SiteManifest::Need::bytes : SiteManifest::Need::bytes_and_proof,
                                     [this, digest = *digest, reference](std::optional<p2p::PeerManifest> manifest) {
                                       if (!manifest) return get_upstream(reference);
                                       origin_ = "neighbour " + site_->peer();
                                       std::exchange(done_, nullptr)(upstream::Manifest{
                                           digest, std::move(manifest->media_type), std::move(manifest->bytes), {}});
                                     });
  site_->start();
}

void ManifestFetch::get_upstream(const std::string& reference) {
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
          if (by_head && failure->kind == upstream::Failure::Kind::not_found) return get_upstream(reference_);
          return failed(std::move(*failure));
        }
        parts_.probe.manifest_fetched(source_.registry);
        auto& manifest = std::get<upstream::Manifest>(outcome);
        if (manifest.unread) return read(std::move(manifest));
        std::exchange(done_, nullptr)(std::move(manifest));
      });
  slot->start();
}

// Upstream's own "not found" is an answer. Whatever else failed, neighbours may remember the tag.
void ManifestFetch::failed(upstream::Failure failure) {
  const bool may_ask = parts_.site != nullptr && parts_.site->options().trust_domain && is_tag_ && !known_ &&
                       failure.kind != upstream::Failure::Kind::not_found;
  if (!may_ask) return std::exchange(done_, nullptr)(std::move(failure));
  tag_call_ = parts_.site->find_tag(source_.canonical, reference_,
                                    [this, failure = std::move(failure)](base::Result<p2p::PeerTag> tag) mutable {
                                      const auto& policy = source_.upstream->options().tags;
                                      if (!tag.ok() || tag->checked_ago > policy.ttl + policy.stale_if_error) {
                                        return std::exchange(done_, nullptr)(std::move(failure));
                                      }
                                      remembered(*tag, std::move(failure.message));
                                    });
}

void ManifestFetch::remembered(const p2p::PeerTag& tag, std::string why) {
  Remembered answer{tag.digest, {}, false, tag.fetched_ago, tag.checked_ago, std::move(why)};
  if (auto held = parts_.index.find_manifest(tag.digest)) {
    answer.manifest = {std::move(held->media_type), std::move(held->bytes), /*proven=*/true};
    answer.held = true;
    return std::exchange(done_, nullptr)(std::move(answer));
  }
  site_ = std::make_unique<SiteManifest>(
      *parts_.site, parts_.loop, tag.digest, source_.canonical, SiteManifest::Need::bytes_and_proof,
      [this, answer = std::move(answer)](std::optional<p2p::PeerManifest> manifest) mutable {
        if (!manifest) {
          return std::exchange(
              done_, nullptr)(upstream::Failure{upstream::Failure::Kind::unavailable, 0, {}, std::move(answer.why)});
        }
        origin_ = "neighbour " + site_->peer();
        answer.manifest = std::move(*manifest);
        std::exchange(done_, nullptr)(std::move(answer));
      });
  site_->start();
}

void ManifestFetch::read(upstream::Manifest manifest) {
  parts_.disk.post([&loop = parts_.loop, watch = life_.watch(), this, manifest = std::move(manifest)]() mutable {
    loop.post([watch, this, outcome = upstream::read_large(std::move(manifest))]() mutable {
      if (watch.gone()) return;
      auto done = std::exchange(done_, nullptr);
      if (auto* failure = std::get_if<upstream::Failure>(&outcome)) return done(std::move(*failure));
      done(std::move(std::get<upstream::Manifest>(outcome)));
    });
  });
}

}  // namespace shoal::mirror
