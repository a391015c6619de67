// hosted, registry: the repositories that live here.
#include <algorithm>

#include "shoal/base/format.h"
#include "shoal/registry/pattern.h"
#include "translate.h"

namespace shoal::app {

using namespace std::chrono_literals;

namespace {

void check(config::Section& section, std::string_view key, const std::string& pattern) {
  if (const auto checked = registry::check_pattern(pattern); !checked) section.fail(key, checked.error().message());
}

// "team/**:v*" is the tags v* of team/**; without a colon, every tag.
std::vector<serve::FixedTags> read_immutable_tags(config::Section& section) {
  std::vector<serve::FixedTags> fixed;
  for (const auto& text : section.list("immutable_tags", {})) {
    const auto colon = text.rfind(':');
    serve::FixedTags tags{text.substr(0, colon), colon == std::string::npos ? "*" : text.substr(colon + 1)};
    check(section, "immutable_tags", tags.repositories);
    check(section, "immutable_tags", tags.tags);
    fixed.push_back(std::move(tags));
  }
  return fixed;
}

std::vector<serve::Quota> read_quotas(config::Section section) {
  std::vector<serve::Quota> quotas;
  for (const auto& [pattern, text] : section.strings()) {
    check(section, pattern, pattern);
    const auto bytes = config::parse_size(text);
    if (!bytes) section.fail(pattern, "needs a size such as 512KiB, 10MiB or 50GiB");
    quotas.push_back({pattern, bytes.value_or(0)});
  }
  return quotas;
}

std::chrono::seconds whole_seconds(std::chrono::milliseconds time) {
  return std::chrono::ceil<std::chrono::seconds>(time);
}

registry::RetentionRule read_retention_rule(config::Section section) {
  using Keep = registry::RetentionRule::Keep;
  registry::RetentionRule rule;
  rule.repositories = section.list("repositories", {"**"});
  rule.tags = section.list("tags", {"**"});
  rule.except_tags = section.list("except_tags", {});
  if (rule.repositories.empty()) section.fail("repositories", "names none");
  if (rule.tags.empty()) section.fail("tags", "names none");
  const std::pair<const char*, const std::vector<std::string>*> lists[] = {
      {"repositories", &rule.repositories}, {"tags", &rule.tags}, {"except_tags", &rule.except_tags}};
  for (const auto& [key, patterns] : lists) {
    for (const auto& pattern : *patterns) check(section, key, pattern);
  }
  if (!section.has("keep")) section.fail("keep", "says what stays: it is needed");
  rule.keep = section.choice("keep", Keep::always,
                             {{"always", Keep::always},
                              {"latest_pushed", Keep::latest_pushed},
                              {"latest_pulled", Keep::latest_pulled},
                              {"pushed_within", Keep::pushed_within},
                              {"pulled_within", Keep::pulled_within}});
  const bool counts = rule.keep == Keep::latest_pushed || rule.keep == Keep::latest_pulled;
  const bool lasts = rule.keep == Keep::pushed_within || rule.keep == Keep::pulled_within;
  if (counts != section.has("count")) section.fail("count", "goes with latest_pushed and latest_pulled");
  if (lasts != section.has("within")) section.fail("within", "goes with pushed_within and pulled_within");
  rule.count = static_cast<std::uint64_t>(section.integer("count", 1, {1, 1'000'000'000}));
  rule.within = whole_seconds(section.duration("within", 1h, {1min, 24h * 36500}));
  return rule;
}

}  // namespace

std::vector<std::string> read_hosted(config::Section root, const Settings& settings) {
  auto patterns = root.list("hosted", {});
  for (const auto& pattern : patterns) check(root, "hosted", pattern);
  const bool all = std::find(patterns.begin(), patterns.end(), "**") != patterns.end();
  if (all && !settings.default_upstream.empty()) {
    root.warn("hosted", base::format("\"**\" is every name without a registry in front: {} is reached by its own name "
                                     "only",
                                     settings.default_upstream));
  }
  return patterns;
}

RegistrySettings read_registry(config::Section section, store::StoreOptions& storage) {
  RegistrySettings registry;
  auto& hosted = registry.hosted;
  hosted.max_manifest_bytes =
      static_cast<std::size_t>(section.size("max_manifest_size", hosted.max_manifest_bytes, {1024, 256 << 20}));
  hosted.max_blob_bytes = section.size("max_blob_size", hosted.max_blob_bytes);
  hosted.remove = section.boolean("delete", hosted.remove);
  hosted.anonymous_mount = section.boolean("anonymous_mount", hosted.anonymous_mount);
  hosted.sparse_indexes = section.boolean("sparse_indexes", hosted.sparse_indexes);
  hosted.fixed_tags = read_immutable_tags(section);
  hosted.quotas = read_quotas(section.section("quotas"));
  storage.upload_max_age = std::chrono::duration_cast<std::chrono::hours>(
      section.duration("upload_max_age", storage.upload_max_age, {1h, 24h * 3650}));
  storage.max_uploads = static_cast<std::size_t>(
      section.integer("max_uploads", static_cast<std::int64_t>(storage.max_uploads), {1, 1'000'000}));
  registry.gc_interval = whole_seconds(section.duration("gc_interval", registry.gc_interval));
  if (registry.gc_interval.count() > 0 && registry.gc_interval < 1min)
    section.fail("gc_interval", "must be 0, or 1m or more");
  registry.gc.grace = whole_seconds(section.duration("gc_grace", registry.gc.grace));
  registry.gc.untagged = section.boolean("gc_untagged", registry.gc.untagged);
  for (auto& rule : section.items("retention")) registry.retention.push_back(read_retention_rule(rule));
  if (registry.gc.grace < 1h) {
    section.warn("gc_grace", "a push that takes longer than this may lose layers before its manifest comes");
  }
  return registry;
}

}  // namespace shoal::app
