#include "removal.h"

#include <nlohmann/json.hpp>

#include "contents.h"
#include "hosted.h"
#include "images.h"
#include "reply.h"
#include "shoal/registry/manifest.h"

namespace shoal::admin {
namespace {

using nlohmann::json;

constexpr std::size_t kTagsAtOnce = 1000;
constexpr std::size_t kMaxOtherTags = 100;  // told

json removal_json(const std::string& removed, bool hosted) {
  return {{"dry_run", true}, {"removed", removed}, {"hosted", hosted}, {"tags", 0},
          {"manifests", 0},  {"blobs", 0},         {"bytes_freed", 0}};
}

http::Response not_held(const std::string& repository, const std::string& tag) {
  return error_reply(404, "MANIFEST_UNKNOWN", repository + ":" + tag + " is not held here");
}

json other_tags(const store::Store& store, const std::string& repository, const std::string& tag,
                const base::Digest& digest) {
  json others = json::array();
  std::string last;
  for (bool more = true; more && others.size() < kMaxOtherTags;) {
    const auto tags = store.list_tags(repository, last, kTagsAtOnce);
    more = tags.size() == kTagsAtOnce;
    for (const auto& [name, record] : tags) {
      if (record.digest == digest && name != tag && others.size() < kMaxOtherTags) others.push_back(name);
      last = name;
    }
  }
  return others;
}

// What it leads to stays in the cache.
http::Response foresee_mirrored_tag(const store::Store& store, const std::string& repository, const std::string& tag) {
  const auto record = store.find_tag(repository, tag);
  if (!record) return not_held(repository, tag);
  const auto name = repository + ":" + tag;
  if (const auto refusal = refuse_read_only(store, "remove", name)) return error_reply(*refusal);
  auto reply = removal_json(name, /*hosted=*/false);
  reply["tags"] = 1;
  reply["digest"] = record->digest.to_string();
  reply["other_tags"] = other_tags(store, repository, tag, record->digest);
  const auto contents = contents_of(store, record->digest);
  reply["cached"] = {{"manifests", contents.manifests()},
                     {"blobs", contents.held.size() - contents.manifests()},
                     {"bytes", contents.bytes()}};
  return json_reply(200, reply);
}

http::Response foresee_mirrored_repository(const store::Store& store, const std::string& repository) {
  if (!repository_exists(store, repository)) return unknown_repository(repository);
  const auto forecast = store.foresee_removal(repository);
  if (!forecast) return error_reply(forecast.error().at("remove", repository));
  if (const auto refusal = refuse_read_only(store, "remove", repository)) return error_reply(*refusal);
  auto reply = removal_json(repository, /*hosted=*/false);
  reply["tags"] = forecast->tags;
  reply["manifests"] = forecast->manifests;
  reply["blobs"] = forecast->blobs;
  reply["bytes_freed"] = forecast->bytes;
  reply["blobs_shared"] = forecast->blobs_shared;
  reply["bytes_shared"] = forecast->bytes_shared;
  reply["blobs_pinned"] = forecast->blobs_pinned;
  reply["bytes_pinned"] = forecast->bytes_pinned;
  reply["blobs_in_use"] = forecast->blobs_in_use;
  reply["bytes_in_use"] = forecast->bytes_in_use;
  return json_reply(200, reply);
}

// As RemoveRepositoryJob finds them: the manifests of the tags, and those that they name.
store::Supposed all_of(const store::Store& store, const std::string& repository) {
  store::Supposed gone;
  std::vector<base::Digest> todo;
  std::string last;
  for (bool more = true; more;) {
    const auto tags = store.list_tags(repository, last, kTagsAtOnce);
    more = tags.size() == kTagsAtOnce;
    for (const auto& [tag, record] : tags) {
      gone.tags.emplace(tag, record.digest);
      todo.push_back(record.digest);
      last = tag;
    }
  }
  while (!todo.empty()) {
    const auto digest = todo.back();
    todo.pop_back();
    if (gone.manifests.contains(digest)) continue;
    const auto link = store.find_link(repository, digest);
    if (!link || !link->hosted || !link->manifest) continue;
    gone.manifests.insert(digest);
    const auto record = store.find_manifest(digest);
    const auto view = record ? registry::parse_manifest(*record->bytes)
                             : base::Result<registry::ManifestView>(base::Error(base::ErrorKind::not_found, ""));
    if (!view) continue;
    for (const auto& child : view->children) {
      if (child.is_manifest) todo.push_back(child.digest);
    }
  }
  return gone;
}

json collection_json(const GcForecast& forecast, bool needs_untagged) {
  return {{"manifests", forecast.now.manifests_removed},
          {"blobs", forecast.now.blobs_removed},
          {"bytes", forecast.now.bytes_freed},
          {"blobs_shared", forecast.in_time.blobs_shared},
          {"bytes_shared", forecast.in_time.bytes_shared},
          {"kept_by_grace", kept_by_grace(forecast.now, forecast.in_time)},
          {"grace_seconds", forecast.grace.count()},
          {"needs_untagged", needs_untagged && !forecast.untagged}};
}

}  // namespace

void foresee_hosted_removal(store::Store& store, NodeView& node, const std::string& repository, const std::string& tag,
                            PoolJobs::Answer answer) {
  const auto name = tag.empty() ? repository : repository + ":" + tag;
  const store::ReadWatch reads(store);
  auto reply = removal_json(name, /*hosted=*/true);
  store::Supposed gone;
  if (!tag.empty()) {
    if (const auto refusal = refuse_read_only(store, "remove", name)) return answer(error_reply(*refusal));
    const auto record = store.find_tag(repository, tag);
    if (!record) return answer(if_read(reads, not_held(repository, tag)));
    gone.tags.emplace(tag, record->digest);
    reply["digest"] = record->digest.to_string();
    reply["other_tags"] = other_tags(store, repository, tag, record->digest);
  } else {
    gone = all_of(store, repository);
    const auto refusal = refuse_read_only(store, "remove", repository);
    if (refusal && !gone.manifests.empty()) return answer(error_reply(*refusal));
    reply["manifests"] = gone.manifests.size();
  }
  if (reads.failed()) return answer(error_reply(store::unreadable_index()));
  reply["tags"] = gone.tags.size();
  const bool needs_untagged = !tag.empty();  // its manifest stays, without a tag
  node.foresee_garbage(repository, std::move(gone), needs_untagged,
                       [reply = std::move(reply), needs_untagged, name,
                        answer = std::move(answer)](base::Result<GcForecast> forecast) mutable {
                         if (!forecast) return answer(error_reply(forecast.error().at("remove", name)));
                         reply["collection"] = collection_json(*forecast, needs_untagged);
                         answer(json_reply(200, reply));
                       });
}

http::Response foresee_mirrored_removal(const store::Store& store, const std::string& repository,
                                        const std::string& tag) {
  return tag.empty() ? foresee_mirrored_repository(store, repository) : foresee_mirrored_tag(store, repository, tag);
}

http::Response foresee_blob_removal(const store::Store& store, std::string_view text) {
  const auto digest = base::Digest::parse(text);
  if (!digest) return error_reply(digest.error());
  const auto record = store.find_removable(*digest);
  if (!record) return error_reply(record.error());
  auto reply = removal_json(digest->to_string(), /*hosted=*/false);
  reply["blobs"] = 1;
  reply["bytes_freed"] = record->size;
  return json_reply(200, reply);
}

}  // namespace shoal::admin
