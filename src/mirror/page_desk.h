// PageDesk: tag lists and referrers, passed through from upstream page by page, one question per page at a time. When
// upstream cannot be asked, the tags we hold are told instead, marked as stale.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "desk.h"
#include "retrier.h"

namespace shoal::mirror {

class PageDesk {
 public:
  PageDesk(const DeskParts& parts, const MirrorOptions& options);
  ~PageDesk();

  void tags(const Target& target, std::string query, Box<TagPage> box);
  void referrers(const Target& target, const base::Digest& digest, std::string query, Box<TagPage> box);
  void set_options(const MirrorOptions& options) { options_ = options; }
  void stop();

 private:
  struct Flight;
  void ask(const std::string& key, std::unique_ptr<Flight> flight, Box<TagPage> box);
  void landed(const std::string& key, upstream::Outcome<upstream::TagPage> outcome);
  void wait_for(Flight& flight, const std::string& key);
  void waited_long_enough(const std::string& key);
  void answer_failure(Flight& flight, const upstream::Failure& failure);
  [[nodiscard]] bool holds_tags(const Flight& flight) const;
  [[nodiscard]] std::optional<TagPage> held_tags(const Flight& flight) const;

  DeskParts parts_;
  MirrorOptions options_;
  bool stopping_ = false;
  std::size_t waiting_ = 0;
  std::map<std::string, std::unique_ptr<Flight>> flights_;
};

}  // namespace shoal::mirror
