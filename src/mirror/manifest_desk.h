// ManifestDesk: answers manifests of the repositories this loop owns. One question to upstream per reference at a time.
#pragma once

#include <list>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "desk.h"
#include "manifest_fetch.h"

namespace shoal::mirror {

class ManifestDesk {
 public:
  ManifestDesk(const DeskParts& parts, const MirrorOptions& options);
  ~ManifestDesk();

  void get(const Target& target, const registry::Reference& reference, Box<ManifestAnswer> box);
  void set_options(const MirrorOptions& options) { options_ = options; }
  void stop();

 private:
  struct Flight;
  void by_tag(const FillSource& source, const std::string& tag, Box<ManifestAnswer> box);
  void by_digest(const FillSource& source, const base::Digest& digest, Box<ManifestAnswer> box);
  // Joins or starts the question; `box` may be null (refresh behind).
  void ask(const FillSource& source, const std::string& reference, std::optional<base::Digest> digest,
           std::optional<store::TagRecord> known, std::optional<ManifestAnswer> stale, Box<ManifestAnswer> box);
  void wait_for(Flight& flight, const std::string& key, std::chrono::milliseconds patience);
  void waited_long_enough(const std::string& key);
  void landed(const std::string& key, ManifestFetch::Answer answer);
  void keep(Flight& flight, const upstream::Manifest& manifest);
  [[nodiscard]] ManifestAnswer keep_remembered(Flight& flight, const ManifestFetch::Remembered& tag);
  void keep_hints(const std::string& canonical, std::shared_ptr<const std::string> bytes);
  void answer_failure(Flight& flight, const upstream::Failure& failure);

  DeskParts parts_;
  MirrorOptions options_;
  bool stopping_ = false;
  std::size_t waiting_ = 0;
  std::map<std::string, std::unique_ptr<Flight>> flights_;
  base::Lifetime life_;
};

// The manifest a tag record names, as an answer; nullopt when its bytes are gone.
[[nodiscard]] std::optional<ManifestAnswer> answer_from(const Index& index, const base::Digest& digest);
[[nodiscard]] std::chrono::seconds age_of(base::WallTime since, base::WallTime now);

}  // namespace shoal::mirror
