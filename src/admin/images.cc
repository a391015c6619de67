#include "images.h"

#include <nlohmann/json.hpp>

#include "removed.h"
#include "reply.h"
#include "shoal/registry/manifest.h"
#include "shoal/registry/name.h"

namespace shoal::admin {
namespace {

using nlohmann::json;

constexpr std::size_t kTagsInListing = 100;      // of each repository; the rest by its own page
constexpr std::size_t kMaxDescriptors = 10'000;  // in one answer

json tag_json(const std::string& tag, const store::TagRecord& record) {
  return {{"tag", tag},
          {"digest", record.digest.to_string()},
          {"fetched", time_text(record.fetched)},
          {"checked", time_text(record.checked)}};
}

struct Sums {
  std::uint64_t bytes = 0, held = 0;
  std::size_t descriptors = 0;
};

json children_json(const store::Store& store, const registry::ManifestView& view, Sums& sums, bool descend) {
  json children = json::array();
  for (const auto& child : view.children) {
    if (++sums.descriptors > kMaxDescriptors) break;
    json entry{{"digest", child.digest.to_string()}, {"size", child.size}, {"media_type", child.media_type}};
    if (!child.platform.empty()) entry["platform"] = child.platform;
    if (child.foreign) entry["foreign"] = true;
    bool held = false;
    if (child.is_manifest) {
      entry["kind"] = "manifest";
      const auto record = store.find_manifest(child.digest);
      held = record.has_value();
      if (held && descend) {
        if (const auto inner = registry::parse_manifest(*record->bytes)) {
          entry["children"] = children_json(store, *inner, sums, /*descend=*/false);
        }
      }
    } else {
      entry["kind"] = "blob";
      held = store.find_blob(child.digest).has_value();
    }
    entry["held"] = held;
    sums.bytes += child.size;
    if (held) sums.held += child.size;
    children.push_back(std::move(entry));
  }
  return children;
}

}  // namespace

// Names hold no byte above 0x7e, so this sorts right before `name` and after everything smaller.
bool repository_exists(const store::Store& store, const std::string& name) {
  if (name.empty()) return false;
  std::string before = name;
  before.back() = static_cast<char>(before.back() - 1);
  before.push_back('\x7f');
  const auto next = store.list_repositories(before, 1);
  return !next.empty() && next.front() == name;
}

http::Response unknown_repository(const std::string& repository) {
  return error_reply(404, "NAME_UNKNOWN", "nothing of repository " + repository + " is held here");
}

http::Response list_repositories(store::Store& store, const Page& page) {
  json repositories = json::array();
  const auto names = store.list_repositories(page.last, page.limit);
  for (const auto& name : names) {
    json tags = json::array();
    const auto found = store.list_tags(name, "", kTagsInListing + 1);
    for (std::size_t i = 0; i < found.size() && i < kTagsInListing; ++i) tags.push_back(found[i].first);
    repositories.push_back({{"name", name},
                            {"hosted", store.hosted().is_hosted(name)},
                            {"tags", tags},
                            {"more_tags", found.size() > kTagsInListing}});
  }
  const auto next = names.size() == page.limit ? names.back() : std::string();
  return json_reply(200, {{"repositories", repositories}, {"next", next}});
}

http::Response list_tags(const store::Store& store, const std::string& repository, const Page& page) {
  if (!repository_exists(store, repository)) return unknown_repository(repository);
  json tags = json::array();
  const auto found = store.list_tags(repository, page.last, page.limit);
  for (const auto& [tag, record] : found) tags.push_back(tag_json(tag, record));
  const auto next = found.size() == page.limit ? found.back().first : std::string();
  return json_reply(200, {{"repository", repository}, {"tags", tags}, {"next", next}});
}

http::Response show_manifest(const store::Store& store, const std::string& repository, const std::string& tag,
                             const std::string& digest) {
  json answer{{"repository", repository}};
  auto wanted = digest.empty() ? base::Result<base::Digest>(base::Error(base::ErrorKind::not_found, "no such tag"))
                               : base::Digest::parse(digest);
  if (!tag.empty()) {
    const auto record = store.find_tag(repository, tag);
    if (!record) return error_reply(404, "MANIFEST_UNKNOWN", repository + ":" + tag + " is not held here");
    answer.update(tag_json(tag, *record));
    wanted = record->digest;
  }
  if (!wanted) return error_reply(wanted.error());
  const auto link = store.find_link(repository, *wanted);
  const auto manifest = store.find_manifest(*wanted);
  if (!link || !link->proven || !manifest) {
    return error_reply(404, "MANIFEST_UNKNOWN", repository + "@" + wanted->to_string() + " is not held here");
  }
  answer["digest"] = wanted->to_string();
  answer["media_type"] = manifest->media_type;
  answer["size"] = manifest->bytes->size();
  answer["stored"] = time_text(manifest->stored);
  const auto view = registry::parse_manifest(*manifest->bytes);
  if (!view) return error_reply(view.error());
  if (!view->artifact_type.empty()) answer["artifact_type"] = view->artifact_type;
  if (view->subject) answer["subject"] = view->subject->digest.to_string();
  Sums sums;
  answer["children"] = children_json(store, *view, sums, /*descend=*/true);
  answer["named_bytes"] = sums.bytes;
  answer["held_bytes"] = sums.held;
  // parse_manifest has bounded its nesting, so that printing it again is safe.
  answer["manifest"] = json::parse(*manifest->bytes, nullptr, /*allow_exceptions=*/false);
  return json_reply(200, answer);
}

void remove_image(store::Store& store, obs::EventSink& events, base::Executor& on, const std::string& repository,
                  const std::string& tag, PoolJobs::Answer answer) {
  std::vector<store::Write> writes;
  const store::ReadWatch reads(store);
  if (tag.empty()) {
    if (!repository_exists(store, repository)) return answer(if_read(reads, unknown_repository(repository)));
    writes.emplace_back(store::RemoveRepository{repository});
  } else {
    if (!store.find_tag(repository, tag)) {
      return answer(if_read(reads, error_reply(404, "MANIFEST_UNKNOWN", repository + ":" + tag + " is not held here")));
    }
    writes.emplace_back(store::RemoveTag{repository, tag});
  }
  const auto removed = tag.empty() ? repository : repository + ":" + tag;
  store.commit(std::move(writes), on,
               [&events, repository, tag, removed, answer = std::move(answer)](base::Result<void> result) mutable {
                 if (!result) return answer(error_reply(result.error().at("remove", removed)));
                 tell_removed(events, tag.empty() ? obs::EventObject::repository : obs::EventObject::tag, repository,
                              {}, tag);
                 answer(json_reply(200, {{"removed", removed}}));
               });
}

http::Response show_blob(const store::Store& store, std::string_view text) {
  const auto digest = base::Digest::parse(text);
  if (!digest) return error_reply(digest.error());
  const auto record = store.find_blob(*digest);
  if (!record) return error_reply(404, "BLOB_UNKNOWN", digest->to_string() + " is not held here");
  return json_reply(200, {{"digest", digest->to_string()},
                          {"size", record->size},
                          {"verified", time_text(record->verified)},
                          {"last_use", time_text(record->last_use)},
                          {"uses", record->uses},
                          {"pinned", record->pinned}});
}

http::Response remove_blob(store::Store& store, obs::EventSink& events, std::string_view text) {
  const auto digest = base::Digest::parse(text);
  if (!digest) return error_reply(digest.error());
  const auto result = store.remove_blob(*digest);
  if (result) tell_removed(events, obs::EventObject::blob, {}, digest->to_string(), {});
  return result ? json_reply(200, {{"removed", digest->to_string()}}) : error_reply(result.error());
}

}  // namespace shoal::admin
