#include "shoal/registry/retention.h"

#include <algorithm>

#include "shoal/registry/pattern.h"

namespace shoal::registry {
namespace {

using Keep = RetentionRule::Keep;

bool any_matches(const std::vector<std::string>& patterns, std::string_view text) {
  return std::any_of(patterns.begin(), patterns.end(), [text](const auto& pattern) { return matches(pattern, text); });
}

bool takes_part(const RetentionRule& rule, const Artifact& artifact) {
  if (artifact.tags.empty()) return rule.untagged;
  return std::any_of(artifact.tags.begin(), artifact.tags.end(), [&rule](const auto& tag) {
    return any_matches(rule.tags, tag) && !any_matches(rule.except_tags, tag);
  });
}

bool later_pushed(const Artifact* a, const Artifact* b) {
  return a->pushed != b->pushed ? a->pushed > b->pushed : a->digest < b->digest;
}

bool later_pulled(const Artifact* a, const Artifact* b) {
  return a->pulled != b->pulled ? a->pulled > b->pulled : a->digest < b->digest;  // nullopt is less than any time
}

// What takes part -> what of it stays, in front; answers how many.
std::size_t select(const RetentionRule& rule, std::vector<const Artifact*>& candidates, base::WallTime now) {
  const auto count = static_cast<std::size_t>(std::min<std::uint64_t>(rule.count, candidates.size()));
  const auto since = now - rule.within;
  const auto front = [&candidates](auto stays) {
    const auto end = std::partition(candidates.begin(), candidates.end(), stays);
    return static_cast<std::size_t>(end - candidates.begin());
  };
  switch (rule.keep) {
    case Keep::always: return candidates.size();
    case Keep::latest_pushed: std::sort(candidates.begin(), candidates.end(), later_pushed); return count;
    case Keep::latest_pulled: std::sort(candidates.begin(), candidates.end(), later_pulled); return count;
    case Keep::pushed_within: return front([since](const Artifact* a) { return a->pushed >= since; });
    case Keep::pulled_within: return front([since](const Artifact* a) { return a->pulled && *a->pulled >= since; });
  }
  return candidates.size();
}

}  // namespace

std::vector<base::Digest> not_retained(const std::vector<RetentionRule>& rules, std::string_view repository,
                                       const std::vector<Artifact>& artifacts, base::WallTime now) {
  bool concerned = false;
  std::vector<base::Digest> kept;
  for (const auto& rule : rules) {
    if (!any_matches(rule.repositories, repository)) continue;
    concerned = true;
    std::vector<const Artifact*> candidates;
    for (const auto& artifact : artifacts) {
      if (takes_part(rule, artifact)) candidates.push_back(&artifact);
    }
    const auto stay = select(rule, candidates, now);
    for (std::size_t i = 0; i < stay; ++i) kept.push_back(candidates[i]->digest);
  }
  std::vector<base::Digest> going;
  if (!concerned) return going;
  std::sort(kept.begin(), kept.end());
  for (const auto& artifact : artifacts) {
    if (!std::binary_search(kept.begin(), kept.end(), artifact.digest)) going.push_back(artifact.digest);
  }
  return going;
}

}  // namespace shoal::registry
