#include "hosted.h"

#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>

#include "removed.h"
#include "reply.h"
#include "shoal/base/format.h"
#include "shoal/registry/manifest.h"

namespace shoal::admin {
namespace {

using nlohmann::json;

constexpr std::size_t kTagsAtOnce = 100;

// Removes a repository's manifests one after the other: those the tags name, then what those named; what was busy once
// more at the end. Keeps itself alive through the callback that is under way; on a loop, which stops before the store
// goes.
class RemoveRepositoryJob : public std::enable_shared_from_this<RemoveRepositoryJob> {
 public:
  RemoveRepositoryJob(store::Store& store, obs::EventSink& events, base::Executor& on, std::string repository,
                      PoolJobs::Answer answer)
      : store_(store), events_(events), on_(on), repository_(std::move(repository)), answer_(std::move(answer)) {}

  void next_tags() {
    const auto tags = store_.list_tags(repository_, last_, kTagsAtOnce);
    for (const auto& [tag, record] : tags) {
      todo_.push_back(record.digest);
      ++tags_of_[record.digest];
    }
    if (!tags.empty()) last_ = tags.back().first;
    next();
  }

 private:
  void next() {
    while (!todo_.empty()) {
      const auto digest = todo_.back();
      todo_.pop_back();
      if (!seen_.insert(digest).second) continue;
      remember_children(digest);
      store_.hosted().remove_content(
          repository_, digest, {}, on_,
          [self = shared_from_this(), digest](base::Result<void> result) { self->removed(digest, result); });
      return;
    }
    if (!store_.list_tags(repository_, last_, 1).empty()) return next_tags();
    if (!children_.empty()) {
      todo_.swap(children_);
      return next();
    }
    if (!kept_.empty() && !again_) {
      again_ = true;
      for (const auto& [digest, why] : kept_) {
        todo_.push_back(digest);
        seen_.erase(digest);
      }
      kept_.clear();
      return next();
    }
    tell();
  }

  void removed(const base::Digest& digest, const base::Result<void>& result) {
    if (result) {
      ++manifests_;
      tell_removed(events_, obs::EventObject::manifest, repository_, digest.to_string(), {});
      if (const auto tags = tags_of_.find(digest); tags != tags_of_.end()) tags_ += tags->second;
    } else if (result.error().kind() == base::ErrorKind::busy) {  // somebody pushes there, or the index is behind
      kept_.emplace_back(digest, result.error().message());
    } else if (result.error().kind() != base::ErrorKind::not_found) {
      return answer_(error_reply(result.error().at("remove", repository_)));
    }
    next();
  }

  void tell() {
    if (reads_.failed()) {
      const auto so_far = base::format("{}: {} manifests removed, perhaps not all", repository_, manifests_);
      return answer_(error_reply(store::unreadable_index().at(so_far)));
    }
    json reply{{"removed", repository_}, {"tags", tags_}, {"manifests", manifests_}};
    if (kept_.empty()) {
      tell_removed(events_, obs::EventObject::repository, repository_, {}, {});
      return answer_(json_reply(200, reply));
    }
    json kept = json::array();
    for (const auto& [digest, why] : kept_) kept.push_back({{"digest", digest.to_string()}, {"reason", why}});
    reply["kept"] = std::move(kept);
    const auto& [first, why] = kept_.front();
    const auto message = base::format("{}: {} manifests removed, {} stayed ({}: {}); try again", repository_,
                                      manifests_, kept_.size(), first.to_string(), why);
    reply["errors"] = json::array({{{"code", "IN_USE"}, {"message", message}}});
    answer_(json_reply(409, reply));
  }

  // Read before it goes. Children go last: while an index names one, it has to stay.
  void remember_children(const base::Digest& digest) {
    const auto record = store_.find_manifest(digest);
    if (!record) return;
    const auto view = registry::parse_manifest(*record->bytes);
    if (!view) return;
    for (const auto& child : view->children) {
      if (child.is_manifest && !seen_.contains(child.digest)) children_.push_back(child.digest);
    }
  }

  store::Store& store_;
  const store::ReadWatch reads_{store_};
  obs::EventSink& events_;
  base::Executor& on_;
  std::string repository_;
  PoolJobs::Answer answer_;
  std::string last_;
  std::vector<base::Digest> todo_, children_;
  std::set<base::Digest> seen_;
  std::map<base::Digest, std::size_t> tags_of_;
  std::vector<std::pair<base::Digest, std::string>> kept_;  // and why
  bool again_ = false;
  std::size_t tags_ = 0, manifests_ = 0;
};

}  // namespace

http::Response list_hosted(store::Store& store, const Page& page) {
  json repositories = json::array();
  const auto names = store.hosted().list_hosted(page.last, page.limit);
  for (const auto& name : names) {
    const auto about = store.hosted().measure(name);
    if (!about) return error_reply(about.error().at("measure", name));
    repositories.push_back(
        {{"name", name}, {"tags", about->tags}, {"manifests", about->manifests}, {"bytes", about->bytes}});
  }
  const auto next = names.size() == page.limit ? names.back() : std::string();
  return json_reply(200, {{"repositories", repositories}, {"next", next}});
}

void remove_hosted(store::Store& store, obs::EventSink& events, base::Executor& on, const std::string& repository,
                   const std::string& tag, PoolJobs::Answer answer) {
  if (tag.empty()) {
    std::make_shared<RemoveRepositoryJob>(store, events, on, repository, std::move(answer))->next_tags();
    return;
  }
  store.hosted().remove_tag(repository, tag, on,
                            [&events, repository, tag, name = repository + ":" + tag,
                             answer = std::move(answer)](base::Result<void> result) mutable {
                              if (result) {
                                tell_removed(events, obs::EventObject::tag, repository, {}, tag);
                                return answer(json_reply(200, {{"removed", name}}));
                              }
                              if (result.error().kind() == base::ErrorKind::not_found) {
                                return answer(error_reply(404, "MANIFEST_UNKNOWN", name + " is not held here"));
                              }
                              answer(error_reply(result.error().at("remove", name)));
                            });
}

http::Response gc_reply(const base::Result<GcOutcome>& result, const GcRequest& request) {
  if (!result) return error_reply(result.error());
  const auto& [retention, garbage, in_time, grace] = *result;
  json reply{{"dry_run", request.dry_run},
             {"tags_removed", retention.tags_removed},
             {"tags", retention.names},
             {"repositories", garbage.repositories},
             {"repositories_removed", garbage.repositories_removed},
             {"manifests_removed", garbage.manifests_removed},
             {"links_removed", garbage.links_removed},
             {"blobs_removed", garbage.blobs_removed},
             {"bytes_freed", garbage.bytes_freed},
             {"uploads_removed", garbage.uploads_removed}};
  if (request.dry_run) {
    reply["manifests"] = garbage.manifests;
    reply["blobs_shared"] = garbage.blobs_shared;
    reply["bytes_shared"] = garbage.bytes_shared;
    reply["grace_seconds"] = grace.count();
    reply["kept_by_grace"] = kept_by_grace(garbage, in_time);
  }
  return json_reply(200, reply);
}

// Two rounds, one after the other: a push between them may make the second see less.
json kept_by_grace(const store::GcReport& now, const store::GcReport& in_time) {
  const auto more = [](std::uint64_t later, std::uint64_t sooner) { return later > sooner ? later - sooner : 0; };
  return {{"manifests", more(in_time.manifests_removed, now.manifests_removed)},
          {"blobs", more(in_time.blobs_removed, now.blobs_removed)},
          {"bytes", more(in_time.bytes_freed, now.bytes_freed)}};
}

}  // namespace shoal::admin
