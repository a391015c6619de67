#include "manifest_names.h"

#include <algorithm>

#include "shoal/registry/manifest.h"

namespace shoal::store {

std::vector<base::Digest> named_by(std::string_view manifest) {
  std::vector<base::Digest> named;
  const auto view = registry::parse_manifest(manifest);
  if (!view.ok()) return named;
  named.reserve(view->children.size());
  for (const auto& child : view->children) named.push_back(child.digest);
  return named;
}

bool names(std::string_view manifest, const base::Digest& digest) {
  // Most do not have it at all; with escapes in it, only a parser can tell.
  if (manifest.find(digest.hex()) == std::string_view::npos && manifest.find("\\u") == std::string_view::npos) {
    return false;
  }
  const auto named = named_by(manifest);
  return std::find(named.begin(), named.end(), digest) != named.end();
}

std::optional<base::Digest> subject_of(std::string_view manifest) {
  const auto view = registry::parse_manifest(manifest);
  if (!view.ok() || !view->subject) return std::nullopt;
  return view->subject->digest;
}

}  // namespace shoal::store
