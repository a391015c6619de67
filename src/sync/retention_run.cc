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

std::vector<registry::Artifact> tagged_artifacts(const store::Store& store, const std::string& repository) {
  std::map<base::Digest, registry::Artifact> by_digest;
  std::string last;
  for (;;) {
    const auto page = store.list_tags(repository, last, kPage);
    for (const auto& [tag, record] : page) {
      auto& artifact =
          by_digest.try_emplace(record.digest, registry::Artifact{record.digest, {}, {}, {}}).first->second;
      artifact.tags.push_back(tag);
      artifact.pushed = std::max(artifact.pushed, record.fetched);
    }
    if (page.size() < kPage) break;
    last = page.back().first;
  }
  std::vector<registry::Artifact> artifacts;
  artifacts.reserve(by_digest.size());
  for (auto& [digest, artifact] : by_digest) artifacts.push_back(std::move(artifact));
  return artifacts;
}

}  // namespace

struct RetentionRun::Found {
  std::string repository;  // "": that was the last
  bool concerned = false;
  std::size_t artifacts = 0;
  std::vector<Going> tags;
};

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
  Found found;
  const auto next = store_.hosted().list_hosted(repository_, 1);
  if (next.empty()) return planned(std::move(found));
  found.repository = next.front();
  found.concerned = concerned(options_, found.repository);
  if (!found.concerned) return planned(std::move(found));
  auto artifacts = tagged_artifacts(store_, found.repository);
  for (auto& artifact : artifacts) artifact.pulled = store_.hosted().last_pull(artifact.digest);
  found.artifacts = artifacts.size();
  auto going = registry::not_retained(options_.rules, found.repository, artifacts, clock_.wall_now());
  std::sort(going.begin(), going.end());
  for (const auto& artifact : artifacts) {
    if (!std::binary_search(going.begin(), going.end(), artifact.digest)) continue;
    for (const auto& tag : artifact.tags) {
      if (!is_fixed(options_, found.repository, tag)) found.tags.push_back({tag, artifact.digest});
    }
  }
  planned(std::move(found));
}

void RetentionRun::planned(Found found) {
  if (found.repository.empty()) return finish({});
  repository_ = std::move(found.repository);
  if (found.concerned) ++report_.repositories;
  report_.artifacts += found.artifacts;
  report_.tags_removed += found.tags.size();
  for (const auto& going : found.tags) {
    if (report_.names.size() < kMaxNames) report_.names.push_back(repository_ + ":" + going.tag);
  }
  if (options_.dry_run || found.tags.empty()) return next_repository();
  obs::info(obs::Category::store, "retention: {} of the tags of {} go", found.tags.size(), repository_);
  going_ = std::move(found.tags);
  remove_some();
}

void RetentionRun::remove_some() {
  while (removing_ < kAtOnce && !going_.empty()) {
    const auto going = std::move(going_.back());
    going_.pop_back();
    ++removing_;
    // Whoever moved the tag since it was looked at has been told that it is there.
    store_.hosted().remove_tag_of(
        repository_, going.tag, going.digest, strand_, [watch = life_.watch(), this](base::Result<void> result) {
          if (watch.gone() || !done_) return;
          --removing_;
          if (!result && result.error().kind() != base::ErrorKind::not_found) {  // not found: somebody was faster
            return finish(result.error());
          }
          if (going_.empty() && removing_ == 0) return next_repository();
          remove_some();
        });
  }
}

void RetentionRun::finish(base::Result<void> result) {
  auto done = std::exchange(done_, nullptr);
  if (!result) return done(result.error().at("retention", repository_));
  done(std::move(report_));
}

}  // namespace shoal::sync
