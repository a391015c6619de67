#include "shoal/registry/referrers.h"

#include <array>

#include "json.h"
#include "shoal/base/format.h"
#include "shoal/registry/name.h"
#include "shoal/registry/push.h"

namespace shoal::registry {

using nlohmann::json;

std::string fallback_tag(const base::Digest& subject) {
  return base::format("{}-{}", base::to_string(subject.algorithm()), subject.hex().substr(0, 64));
}

std::vector<std::string> cosign_tags(const base::Digest& subject) {
  constexpr std::array<std::string_view, 3> kSuffixes = {".sig", ".att", ".sbom"};
  std::vector<std::string> tags;
  for (const auto suffix : kSuffixes) {
    auto tag = base::format("{}-{}{}", base::to_string(subject.algorithm()), subject.hex(), suffix);
    if (valid_tag(tag)) tags.push_back(std::move(tag));  // of sha512 it would be too long
  }
  return tags;
}

bool add_descriptors(std::string_view index, Descriptors& out) {
  const auto document = parse_json(index);
  const json* manifests = document && document->is_object() ? array_member(*document, "manifests") : nullptr;
  if (manifests == nullptr) return false;
  for (const json& descriptor : *manifests) {
    if (!descriptor.is_object()) continue;
    if (const auto digest = base::Digest::parse(string_member(descriptor, "digest"))) {
      out.try_emplace(*digest, dump_json(descriptor));
    }
  }
  return true;
}

ReferrersPage page_of(const Descriptors& all, const std::optional<base::Digest>& last,
                      const std::optional<std::string>& artifact_type, std::size_t max_bytes) {
  ReferrersPage page;
  std::vector<std::string> taken;
  std::size_t bytes = 0;
  std::optional<base::Digest> seen;
  for (auto it = last ? all.upper_bound(*last) : all.begin(); it != all.end(); ++it) {
    const auto& [digest, descriptor] = *it;
    if (artifact_type && descriptor_artifact_type(descriptor) != *artifact_type) continue;
    if (!taken.empty() && bytes + descriptor.size() > max_bytes) {
      page.last = seen;
      break;
    }
    bytes += descriptor.size() + 1;
    taken.push_back(descriptor);
    seen = digest;
  }
  page.body = referrers_body(taken);
  return page;
}

std::string referrers_query(const base::Digest& last, const std::optional<std::string>& artifact_type) {
  auto query = "last=" + last.to_string();
  if (artifact_type) query += "&artifactType=" + percent_encoded(*artifact_type);
  return query;
}

std::optional<std::string> wanted_artifact_type(std::string_view query) {
  auto type = query_value(query, "artifactType");
  if (type && type->empty()) type.reset();
  return type;
}

std::optional<std::string> filter_referrers(std::string_view index, std::string_view artifact_type) {
  auto document = parse_json(index);
  if (!document || !document->is_object() || array_member(*document, "manifests") == nullptr) return std::nullopt;
  json kept = json::array();
  for (json& descriptor : (*document)["manifests"]) {
    if (string_member(descriptor, "artifactType") == artifact_type) kept.push_back(std::move(descriptor));
  }
  (*document)["manifests"] = std::move(kept);
  return dump_json(*document);
}

}  // namespace shoal::registry
