// PageDesk: tag lists and referrers, passed through from upstream page by page, one question per page at a time. When
// upstream cannot be asked, the tags we hold are told instead, marked as stale. Referrers of an upstream that has no
// API for them come from tags (TaggedReferrers); a filter that upstream does not apply is applied here.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "desk.h"
#include "manifest_desk.h"
#include "retrier.h"

namespace shoal::mirror {

class PageDesk {
 public:
  PageDesk(const DeskParts& parts, const MirrorOptions& options, ManifestDesk& manifests);
  ~PageDesk();

  void tags(const Target& target, std::string query, Box<TagPage> box);
  void referrers(const Target& target, const base::Digest& digest, std::string query, Box<TagPage> box);
  void set_options(const MirrorOptions& options) { options_ = options; }
  void stop();

 private:
  struct Flight;
  void ask(const std::string& key, std::unique_ptr<Flight> flight, Box<TagPage> box);
  void ask_upstream(const std::string& key, Flight& flight);
  void ask_tags(const std::string& key, Flight& flight, std::optional<Refusal> outage);
  void landed(const std::string& key, upstream::Outcome<upstream::TagPage> outcome);
  void referrers_landed(const std::string& key, Flight& flight, upstream::Outcome<upstream::TagPage> outcome);
  void filter(const std::string& key, TagPage page, const std::string& artifact_type);
  void answer_all(const std::string& key, Outcome<TagPage> outcome);  // the flight ends
  void wait_for(Flight& flight, const std::string& key);
  void waited_long_enough(const std::string& key);
  void answer_failure(Flight& flight, const upstream::Failure& failure);
  [[nodiscard]] bool holds_tags(const Flight& flight) const;
  [[nodiscard]] bool holds_referrers(const Flight& flight) const;
  [[nodiscard]] std::optional<TagPage> held_tags(const Flight& flight) const;
  void note_api(const std::string& registry, bool there);

  DeskParts parts_;
  MirrorOptions options_;
  ManifestDesk& manifests_;
  bool stopping_ = false;
  std::size_t waiting_ = 0;
  std::map<std::string, std::unique_ptr<Flight>> flights_;
  base::Lifetime life_;
};

}  // namespace shoal::mirror
