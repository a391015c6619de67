#include "contents.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <vector>

#include "shoal/registry/manifest.h"

namespace shoal::admin {
namespace {

constexpr std::size_t kMaxContents = 100'000;  // manifests and blobs together, held or not

std::uint64_t sum(const std::map<base::Digest, Contents::Object>& objects) {
  std::uint64_t bytes = 0;
  for (const auto& [digest, object] : objects) bytes += object.size;
  return bytes;
}

}  // namespace

std::uint64_t Contents::bytes() const { return sum(held); }
std::uint64_t Contents::missing_bytes() const { return sum(missing); }

std::size_t Contents::manifests() const {
  return static_cast<std::size_t>(
      std::count_if(held.begin(), held.end(), [](const auto& entry) { return entry.second.manifest; }));
}

std::size_t Contents::loose() const {
  return static_cast<std::size_t>(
      std::count_if(held.begin(), held.end(), [](const auto& entry) { return entry.second.loose; }));
}

Contents contents_of(const store::Store& store, const base::Digest& first) {
  Contents contents;
  std::vector<std::pair<base::Digest, Contents::Object>> todo{{first, {}}};
  bool named = false;  // by a manifest, that is all but the first
  while (!todo.empty()) {
    auto [digest, object] = std::move(todo.back());
    todo.pop_back();
    const bool is_named = std::exchange(named, true);
    if (contents.held.contains(digest) || contents.missing.contains(digest)) continue;
    if (contents.held.size() + contents.missing.size() == kMaxContents) {
      contents.too_much = true;
      break;
    }
    const auto blob = store.find_blob(digest);
    const auto manifest = store.find_manifest(digest);
    if (blob) contents.held[digest] = {blob->size, false, !blob->pinned};
    if (manifest) contents.held[digest] = {manifest->bytes->size(), true, false, object.platform};
    if (!blob && !manifest && is_named) contents.missing.emplace(digest, std::move(object));
    const auto view = manifest ? registry::parse_manifest(*manifest->bytes)
                               : base::Result<registry::ManifestView>(base::Error(base::ErrorKind::not_found, ""));
    if (!view) continue;
    for (const auto& child : view->children) {
      if (child.foreign && !store.find_blob(child.digest)) continue;
      todo.push_back({child.digest, {child.size, child.is_manifest, false, child.platform}});
    }
  }
  return contents;
}

nlohmann::json objects_json(const std::map<base::Digest, Contents::Object>& objects, std::size_t limit) {
  auto list = nlohmann::json::array();
  for (const auto& [digest, object] : objects) {
    if (list.size() == limit) break;
    nlohmann::json entry{
        {"digest", digest.to_string()}, {"kind", object.manifest ? "manifest" : "blob"}, {"size", object.size}};
    if (!object.platform.empty()) entry["platform"] = object.platform;
    list.push_back(std::move(entry));
  }
  return list;
}

}  // namespace shoal::admin
