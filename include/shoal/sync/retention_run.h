// RetentionRun: one round of the retention rules over the hosted repositories. Removes tags and releases
// their manifests, for the garbage collector to take what nothing else leads to (Hosted::release_tag). Reads the index,
// one repository at a time: blocks. All of it runs on `strand`, which runs one function after the other; it is dropped
// there, or when nothing runs there any more.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "shoal/base/clock.h"
#include "shoal/base/loop.h"
#include "shoal/base/result.h"
#include "shoal/obs/event.h"
#include "shoal/registry/retention.h"
#include "shoal/store/store.h"

namespace shoal::sync {

struct RetentionOptions {
  std::vector<registry::RetentionRule> rules;
  // Never removed: (repository pattern, tag pattern).
  std::vector<std::pair<std::string, std::string>> fixed_tags;
  bool dry_run = false;
  obs::EventSink* events = &obs::no_events();  // hears of the tags that go; outlives the run
};

struct RetentionReport {
  std::uint64_t repositories = 0;  // that some rule is about
  std::uint64_t artifacts = 0;     // looked at
  std::uint64_t tags_removed = 0;
  std::vector<std::string> names;  // "repository:tag" of the removed, at most 1,000
};

// What the rules say of one repository, now.
struct RetentionPlan {
  bool concerned = false;  // some rule is about it
  std::size_t artifacts = 0;
  std::vector<std::pair<std::string, base::Digest>> tags;  // that go, and where they lead
};
// Blocks on the index. An error when it cannot be read.
[[nodiscard]] base::Result<RetentionPlan> plan_retention(const store::Hosted& hosted, const RetentionOptions& options,
                                                         const std::string& repository, base::WallTime now);

class RetentionRun {
 public:
  using Done = base::UniqueFunction<void(base::Result<RetentionReport>)>;
  // All references outlive it.
  RetentionRun(store::Store& store, base::Executor& strand, base::Clock& clock, RetentionOptions options);
  ~RetentionRun();
  void start(Done done);  // any thread; `done` once, on the strand; not after destruction

 private:
  using Going = std::pair<std::string, base::Digest>;  // where the tag led when it was looked at
  void next_repository();
  void look();
  void planned(RetentionPlan plan);
  void remove_some();
  void tell_removed(const std::string& tag);
  void finish(base::Result<void> result);

  store::Store& store_;
  base::Executor& strand_;
  base::Clock& clock_;
  const RetentionOptions options_;
  Done done_;
  RetentionReport report_;
  std::string repository_;    // the last one looked at
  std::vector<Going> going_;  // its tags, still to be removed
  std::size_t removing_ = 0;
  base::Lifetime life_;
};

}  // namespace shoal::sync
