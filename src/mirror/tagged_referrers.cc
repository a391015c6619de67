#include "tagged_referrers.h"

#include "shoal/registry/manifest.h"
#include "shoal/registry/push.h"
#include "shoal/registry/referrers.h"

namespace shoal::mirror {
namespace {

constexpr std::size_t kPageBytes = 3 << 20;  // clients take 4 MiB

struct Page {
  TagPage page;
  bool empty = true;
};

Page page_from(const std::vector<TaggedReferrers::Found>& found, std::string_view query) {
  registry::Descriptors all;
  for (const auto& each : found) {
    const auto& manifest = each.manifest;
    if (each.is_list) {
      (void)registry::add_descriptors(*manifest.bytes, all);  // not to be read: as good as none
    } else {
      all.try_emplace(manifest.digest,
                      registry::referrer_descriptor(*manifest.bytes, manifest.digest, manifest.media_type));
    }
  }
  std::optional<base::Digest> last;
  if (const auto text = registry::query_value(query, "last")) {
    if (const auto digest = base::Digest::parse(*text)) last = *digest;  // another's idea of a page: from the start
  }
  const auto type = registry::wanted_artifact_type(query);
  const auto made = registry::page_of(all, last, type, kPageBytes);
  Page out;
  out.page.body = made.body;
  out.page.content_type = registry::kOciIndex;
  if (made.last) out.page.next = registry::referrers_query(*made.last, type);
  if (type) out.page.headers.emplace_back("OCI-Filters-Applied", "artifactType");
  out.empty = all.empty();
  return out;
}

// The answer is as good as the worst of its parts.
int badness(Provenance::Kind kind) {
  switch (kind) {
    case Provenance::Kind::hit: return 0;
    case Provenance::Kind::stale: return 2;
    default: return 1;
  }
}

Provenance worst_of(const std::vector<TaggedReferrers::Found>& found) {
  Provenance worst;
  for (const auto& each : found) {
    const auto& one = each.manifest.provenance;
    if (badness(one.kind) > badness(worst.kind)) worst = one;
    if (one.age && (!worst.age || *one.age > *worst.age)) worst.age = one.age;
  }
  if (worst.kind == Provenance::Kind::stale) return worst;
  if (badness(worst.kind) > 0) worst.kind = Provenance::Kind::miss;
  worst.stored = false;  // the list itself
  worst.detail = "from tags";
  return worst;
}

}  // namespace

TaggedReferrers::TaggedReferrers(const DeskParts& parts, ManifestDesk& manifests, Target target,
                                 const base::Digest& subject, std::string query, std::optional<Refusal> outage,
                                 Done done)
    : parts_(parts),
      manifests_(manifests),
      target_(std::move(target)),
      subject_(subject),
      query_(std::move(query)),
      outage_(std::move(outage)),
      done_(std::move(done)) {}

std::vector<std::string> TaggedReferrers::tags_of(const base::Digest& subject) {
  auto tags = registry::cosign_tags(subject);
  tags.insert(tags.begin(), registry::fallback_tag(subject));
  return tags;
}

void TaggedReferrers::start() {
  const auto tags = tags_of(subject_);
  left_ = tags.size() + 1;
  const store::ReadWatch reads(parts_.index.store());
  for (std::size_t i = 0; i < tags.size(); ++i) {
    if (outage_ && !parts_.index.find_tag(target_.canonical(), tags[i])) {
      --left_;
    } else {
      ask(tags[i], /*is_list=*/i == 0);
    }
  }
  if (outage_ && reads.failed()) refusal_ = unreadable_index();  // else upstream is asked
  if (--left_ == 0) put_together();
}

void TaggedReferrers::ask(const std::string& tag, bool is_list) {
  auto box = std::make_shared<Mailbox<ManifestAnswer>>(
      parts_.loop, [this, is_list](Outcome<ManifestAnswer> outcome) { answered(is_list, std::move(outcome)); });
  wishes_.push_back(std::make_unique<Mailbox<ManifestAnswer>::Wish>(box));
  manifests_.get(target_, registry::Tag(tag), std::move(box));
}

void TaggedReferrers::answered(bool is_list, Outcome<ManifestAnswer> outcome) {
  if (auto* manifest = std::get_if<ManifestAnswer>(&outcome)) {
    // A fallback tag without an index is somebody else's use of that name.
    if (is_list && manifest->media_type == registry::kOciIndex) {
      found_.insert(found_.begin(), {std::move(*manifest), is_list});  // its descriptors come before those made here
    } else if (!is_list) {
      found_.push_back({std::move(*manifest), is_list});
    }
  } else if (auto& refusal = std::get<Refusal>(outcome); refusal.kind != Refusal::Kind::not_found) {
    refusal_ = std::move(refusal);  // what is not known may be a signature: there is no list without it
  }
  if (--left_ == 0) put_together();
}

void TaggedReferrers::put_together() {
  if (refusal_) return std::exchange(done_, nullptr)(std::move(*refusal_));
  parts_.disk.post([found = found_, query = query_, &loop = parts_.loop, watch = life_.watch(), this] {
    loop.post([made = page_from(found, query), watch, this]() mutable {
      if (watch.gone()) return;
      if (outage_ && made.empty) return std::exchange(done_, nullptr)(std::move(*outage_));  // not known to be empty
      made.page.provenance = worst_of(found_);
      if (outage_) {
        made.page.provenance.kind = Provenance::Kind::stale;
        made.page.provenance.detail = outage_->message;
      }
      std::exchange(done_, nullptr)(std::move(made.page));
    });
  });
}

}  // namespace shoal::mirror
