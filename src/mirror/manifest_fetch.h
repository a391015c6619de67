// ManifestFetch: asks upstream for one manifest, by tag or by digest; a tag we know is asked by HEAD first, and its
// manifest fetched only if it moved to one we do not hold. One loop; dropping it cancels.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <variant>

#include "desk.h"
#include "retrier.h"

namespace shoal::mirror {

class ManifestFetch {
 public:
  struct Moved {  // the tag is at this digest now, whose manifest we hold (the one we knew included)
    base::Digest digest;
  };
  using Answer = std::variant<Moved, upstream::Manifest, upstream::Failure>;

  ManifestFetch(const DeskParts& parts, const MirrorOptions& options, FillSource source, std::string reference,
                bool is_tag, std::optional<store::TagRecord> known, base::UniqueFunction<void(Answer)> done);
  void start();

 private:
  void head();
  void got_head(upstream::Outcome<upstream::ManifestHead> outcome);
  void get(std::string reference);

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
};

}  // namespace shoal::mirror
