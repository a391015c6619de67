// ManifestFetch: asks upstream for one manifest, by tag or by digest; a tag we know is asked by HEAD first, and its
// manifest fetched only if it moved to one we do not hold. In a site, manifests come from neighbours where one has
// them; and when upstream fails, a tag that we know nothing of is answered from a neighbour's memory, if the site is
// one trust domain. One loop; dropping it cancels.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <variant>

#include "desk.h"
#include "retrier.h"
#include "site_manifest.h"

namespace shoal::mirror {

class ManifestFetch {
 public:
  struct Moved {  // the tag is at this digest now, whose manifest we hold (the one we knew included)
    base::Digest digest;
  };
  struct Remembered {  // upstream fails, and so a neighbour remembers the tag
    base::Digest digest;
    p2p::PeerManifest manifest;
    bool held = false;  // in our index
    std::chrono::seconds fetched_ago{0};
    std::chrono::seconds checked_ago{0};
    std::string why;  // how upstream failed
  };
  using Answer = std::variant<Moved, upstream::Manifest, Remembered, upstream::Failure>;

  ManifestFetch(const DeskParts& parts, const MirrorOptions& options, FillSource source, std::string reference,
                bool is_tag, std::optional<store::TagRecord> known, base::UniqueFunction<void(Answer)> done);
  void start();
  void stored();                                                       // what was answered is in the index
  [[nodiscard]] const std::string& origin() const { return origin_; }  // "neighbour ...", "" for upstream

 private:
  void head();
  void got_head(upstream::Outcome<upstream::ManifestHead> outcome);
  void get(std::string reference);
  void get_upstream(const std::string& reference);
  void failed(upstream::Failure failure);
  void remembered(const p2p::PeerTag& tag, std::string why);
  void read(upstream::Manifest manifest);  // a large one, on the pool

  DeskParts parts_;
  upstream::RetryPolicy retry_;
  FillSource source_;
  std::string reference_;
  bool is_tag_;
  std::optional<store::TagRecord> known_;
  base::UniqueFunction<void(Answer)> done_;
  std::optional<Retrier<upstream::ManifestHead>> head_;
  std::optional<Retrier<upstream::Manifest>> get_;
  std::optional<Retrier<upstream::Manifest>> get_again_;
  std::unique_ptr<SiteManifest> site_;
  std::unique_ptr<p2p::PeerCall> tag_call_;
  std::string origin_;
  base::Lifetime life_;
};

}  // namespace shoal::mirror
