// Referrers beyond the API: the tags under which clients keep them where a registry has none, and the lists made of
// them. Pure. OCI distribution-spec "Listing Referrers", "Referrers Tag Schema"; cosign's tags by its SIGNATURE_SPEC.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "shoal/base/digest.h"

namespace shoal::registry {

// "sha256-<hex>": holds an index of the referrers. The specification cuts longer digests at 64 digits.
[[nodiscard]] std::string fallback_tag(const base::Digest& subject);
// "sha256-<hex>.sig", ".att", ".sbom": what is under them refers to the subject by its tag alone.
[[nodiscard]] std::vector<std::string> cosign_tags(const base::Digest& subject);

using Descriptors = std::map<base::Digest, std::string>;  // JSON, in the order that pages have

// Adds the descriptors of an index, those that are there already aside. False: it is not an index. What has no digest
// is left out.
[[nodiscard]] bool add_descriptors(std::string_view index, Descriptors& out);

// One page: what comes strictly after `last` and is of that type (nullopt: all), up to `max_bytes` but at least one.
struct ReferrersPage {
  std::string body;
  std::optional<base::Digest> last;  // there is more behind this one
};
[[nodiscard]] ReferrersPage page_of(const Descriptors& all, const std::optional<base::Digest>& last,
                                    const std::optional<std::string>& artifact_type, std::size_t max_bytes);
// Query of the page after that one.
[[nodiscard]] std::string referrers_query(const base::Digest& last, const std::optional<std::string>& artifact_type);
[[nodiscard]] std::optional<std::string> wanted_artifact_type(std::string_view query);  // nullopt: no filter

// An index with the descriptors of that type alone, all else as it was. nullopt: it is not an index.
[[nodiscard]] std::optional<std::string> filter_referrers(std::string_view index, std::string_view artifact_type);

}  // namespace shoal::registry
