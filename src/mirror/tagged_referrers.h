// TaggedReferrers: the referrers of one subject as upstream's clients keep them under tags, because upstream has no
// API for them: what the fallback tag lists, and cosign's tags. The tags are asked for like any tag, so they are
// remembered, and their absence is, and one question runs at a time. One loop: the repository's owner.
// OCI distribution-spec "Referrers Tag Schema".
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "desk.h"
#include "manifest_desk.h"

namespace shoal::mirror {

class TaggedReferrers {
 public:
  using Done = base::UniqueFunction<void(Outcome<TagPage>)>;

  // `query`: the client's (last, artifactType). `outage`: why upstream cannot be asked; then what is held is told, as
  // stale, or if that is nothing the outage. `done` runs once, later. Dropping it cancels.
  TaggedReferrers(const DeskParts& parts, ManifestDesk& manifests, Target target, const base::Digest& subject,
                  std::string query, std::optional<Refusal> outage, Done done);
  void start();

  [[nodiscard]] static std::vector<std::string> tags_of(const base::Digest& subject);  // the first is the fallback tag
  struct Found {                                                                       // under one tag
    ManifestAnswer manifest;
    bool is_list = false;  // the fallback tag
  };

 private:
  void ask(const std::string& tag, bool is_list);
  void answered(bool is_list, Outcome<ManifestAnswer> outcome);
  void put_together();

  DeskParts parts_;
  ManifestDesk& manifests_;
  Target target_;
  base::Digest subject_;
  std::string query_;
  std::optional<Refusal> outage_;
  Done done_;
  std::vector<std::unique_ptr<Pending>> wishes_;
  std::vector<Found> found_;
  std::optional<Refusal> refusal_;
  std::size_t left_ = 0;
  base::Lifetime life_;
};

}  // namespace shoal::mirror
