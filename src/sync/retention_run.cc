#include "shoal/sync/retention_run.h"

#include <algorithm>
#include <map>
#include <utility>

#include "shoal/obs/log.h"
#include "shoal/registry/pattern.h"

namespace shoal::sync {
namespace {

constexpr std::size_t kPage = 1000;
constexpr std::size_t kAtOnce = 64;  // removals under way: they share a commit
constexpr std::size_t kMaxNames = 1000;

bool concerned(const RetentionOptions& options, std::string_view repository) {
  for (const auto& rule : options.rules) {
    for (const auto& pattern : rule.repositories) {
      if (registry::matches(pattern, repository)) return true;
    }
  }
  return false;
}

bool is_fixed(const RetentionOptions& options, std::string_view repository, std::string_view tag) {
  return std::any_of(options.fixed_tags.begin(), options.fixed_tags.end(), [&](const auto& fixed) {
    return registry::matches(fixed.first, repository) && registry::matches(fixed.second, tag);
  });
}

// An error when something cannot be read: what is not seen would look like something that no rule keeps.
base::Result<std::vector<registry::Artifact>> tagged_artifacts(const store::Hosted& hosted,
                                                               const std::string& repository) {
  std::map<base::Digest, registry::Artifact> by_digest;
  std::string last;
  for (;;) {
    const auto page = hosted.read_tagged(repository, last, kPage);
    if (!page) return page.error();
    for (const auto& [tag, record] : *page) {
      auto& artifact =
          by_digest.try_emplace(record.digest, registry::Artifact{record.digest, {}, {}, {}}).first->second;
      artifact.tags.push_back(tag);
      artifact.pushed = std::max(artifact.pushed, record.fetched);
    }
    if (page->size() < kPage) break;
    last = page->back().first;
  }
  std::vector<registry::Artifact> artifacts;
  artifacts.reserve(by_digest.size());
  for (auto& [digest, artifact] : by_digest) {
    const auto pulled = hosted.last_pull(digest);
    if (!pulled) return pulled.error();
    artifact.pulled = *pulled;
    artifacts.push_back(std::move(artifact));
  }
  return artifacts;
}

}  // namespace

base::Result<RetentionPlan> plan_retention(const store::Hosted& hosted, const RetentionOptions& options,
                                           const std::string& repository, base::WallTime now) {
  RetentionPlan plan;
  plan.concerned = concerned(options, repository);
  if (!plan.concerned) return plan;
  const auto artifacts = tagged_artifacts(hosted, repository);
  if (!artifacts) return artifacts.error();
  plan.artifacts = artifacts->size();
  auto going = registry::not_retained(options.rules, repository, *artifacts, now);
  std::sort(going.begin(), going.end());
  for (const auto& artifact : *artifacts) {
    if (!std::binary_search(going.begin(), going.end(), artifact.digest)) continue;
    for (const auto& tag : artifact.tags) {
      if (!is_fixed(options, repository, tag)) plan.tags.emplace_back(tag, artifact.digest);
    }
  }
  return plan;
}

RetentionRun::RetentionRun(store::Store& store, base::Executor& strand, base::Clock& clock, RetentionOptions options)
    : store_(store), strand_(strand), clock_(clock), options_(std::move(options)) {}

RetentionRun::~RetentionRun() = default;

void RetentionRun::start(Done done) {
  done_ = std::move(done);
  next_repository();
}

// A turn of the strand each.
void RetentionRun::next_repository() {
  strand_.post([watch = life_.watch(), this] {
    if (!watch.gone()) look();
  });
}

void RetentionRun::look() {
  const auto next = store_.hosted().read_hosted(repository_, 1);
  if (!next) return finish(next.error());
  if (next->empty()) return finish({});
  repository_ = next->front();
  auto plan = plan_retention(store_.hosted(), options_, repository_, clock_.wall_now());
  if (!plan) return finish(plan.error());
  planned(std::move(*plan));
}

void RetentionRun::planned(RetentionPlan plan) {
  if (plan.concerned) ++report_.repositories;
  report_.artifacts += plan.artifacts;
  report_.tags_removed += plan.tags.size();
  for (const auto& [tag, digest] : plan.tags) {
    if (report_.names.size() < kMaxNames) report_.names.push_back(repository_ + ":" + tag);
  }
  if (options_.dry_run || plan.tags.empty()) return next_repository();
  obs::info(obs::Category::store, "retention: {} of the tags of {} go", plan.tags.size(), repository_);
  going_ = std::move(plan.tags);
  remove_some();
}

void RetentionRun::remove_some() {
  while (removing_ < kAtOnce && !going_.empty()) {
    const auto going = std::move(going_.back());
    going_.pop_back();
    ++removing_;
    // Whoever moved the tag since it was looked at has been told that it is there.
    store_.hosted().release_tag(
        repository_, going.first, going.second, strand_,
        [watch = life_.watch(), this, tag = going.first](base::Result<void> result) {
          if (watch.gone() || !done_) return;
          --removing_;
          const store::ReadWatch reads(store_);
          if (result && !store_.find_tag(repository_, tag) && !reads.failed()) tell_removed(tag);
          if (!result && result.error().kind() != base::ErrorKind::not_found) {  // not found: somebody was faster
            return finish(result.error());
          }
          if (going_.empty() && removing_ == 0) return next_repository();
          remove_some();
        });
  }
}

void RetentionRun::tell_removed(const std::string& tag) {
  if (!options_.events->wants(obs::EventKind::remove, obs::EventObject::tag)) return;
  obs::Event event;
  event.kind = obs::EventKind::remove;
  event.object = obs::EventObject::tag;
  event.repository = repository_;
  event.tag = tag;
  event.reason = "retention";
  options_.events->publish(std::move(event));
}

void RetentionRun::finish(base::Result<void> result) {
  auto done = std::exchange(done_, nullptr);
  if (!result) return done(result.error().at("retention", repository_));
  done(std::move(report_));
}

}  // namespace shoal::sync
