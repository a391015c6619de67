#include "hosted.h"

#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>

#include "reply.h"
#include "shoal/registry/manifest.h"

namespace shoal::admin {
namespace {

using nlohmann::json;

constexpr std::size_t kTagsAtOnce = 100;
constexpr std::size_t kMaxContents = 100'000;  // of one pin: manifests and blobs together

// Removes a repository's manifests one after the other: those the tags name, then what those named. Keeps itself alive
// through the callback that is under way; on a loop, which stops before the store goes.
class RemoveRepositoryJob : public std::enable_shared_from_this<RemoveRepositoryJob> {
 public:
  RemoveRepositoryJob(store::Store& store, base::Executor& on, std::string repository, PoolJobs::Answer answer)
      : store_(store), on_(on), repository_(std::move(repository)), answer_(std::move(answer)) {}

  void next_tags() {
    const auto tags = store_.list_tags(repository_, last_, kTagsAtOnce);
    for (const auto& [tag, record] : tags) {
      todo_.push_back(record.digest);
      ++tags_;
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
      store_.hosted().remove_content(repository_, digest, on_, [self = shared_from_this()](base::Result<void> result) {
        if (!result && result.error().kind() != base::ErrorKind::not_found &&
            result.error().kind() != base::ErrorKind::busy) {  // busy: another index names it
          return self->answer_(error_reply(result.error().at("remove", self->repository_)));
        }
        if (result) ++self->manifests_;
        self->next();
      });
      return;
    }
    if (!store_.list_tags(repository_, last_, 1).empty()) return next_tags();
    if (!children_.empty()) {
      todo_.swap(children_);
      return next();
    }
    answer_(json_reply(200, {{"removed", repository_}, {"tags", tags_}, {"manifests", manifests_}}));
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
  base::Executor& on_;
  std::string repository_;
  PoolJobs::Answer answer_;
  std::string last_;
  std::vector<base::Digest> todo_, children_;
  std::set<base::Digest> seen_;
  std::size_t tags_ = 0, manifests_ = 0;
};

// What a digest leads to and is held here, with its size; false: too much of it.
bool collect(const store::Store& store, const base::Digest& first, std::map<base::Digest, std::uint64_t>& held) {
  std::vector<base::Digest> todo{first};
  while (!todo.empty()) {
    const auto digest = todo.back();
    todo.pop_back();
    if (held.contains(digest)) continue;
    if (held.size() == kMaxContents) return false;
    if (const auto blob = store.find_blob(digest)) held[digest] = blob->size;
    const auto manifest = store.find_manifest(digest);
    if (!manifest) continue;
    held[digest] = manifest->bytes->size();
    const auto view = registry::parse_manifest(*manifest->bytes);
    if (!view) continue;
    for (const auto& child : view->children) todo.push_back(child.digest);
  }
  return true;
}

}  // namespace

http::Response list_hosted(store::Store& store, const Page& page) {
  json repositories = json::array();
  const auto names = store.hosted().list_hosted(page.last, page.limit);
  for (const auto& name : names) {
    const auto about = store.hosted().measure(name);
    repositories.push_back(
        {{"name", name}, {"tags", about.tags}, {"manifests", about.manifests}, {"bytes", about.bytes}});
  }
  const auto next = names.size() == page.limit ? names.back() : std::string();
  return json_reply(200, {{"repositories", repositories}, {"next", next}});
}

void remove_hosted(store::Store& store, base::Executor& on, const std::string& repository, const std::string& tag,
                   PoolJobs::Answer answer) {
  if (tag.empty()) {
    std::make_shared<RemoveRepositoryJob>(store, on, repository, std::move(answer))->next_tags();
    return;
  }
  store.hosted().remove_tag(
      repository, tag, on,
      [name = repository + ":" + tag, answer = std::move(answer)](base::Result<void> result) mutable {
        if (result) return answer(json_reply(200, {{"removed", name}}));
        if (result.error().kind() == base::ErrorKind::not_found) {
          return answer(error_reply(404, "MANIFEST_UNKNOWN", name + " is not held here"));
        }
        answer(error_reply(result.error().at("remove", name)));
      });
}

void set_pin(store::Store& store, base::Executor& on, std::string_view text, Pin pin, PoolJobs::Answer answer) {
  const auto digest = base::Digest::parse(text);
  if (!digest) return answer(error_reply(digest.error()));
  std::map<base::Digest, std::uint64_t> held;
  if (!collect(store, *digest, held)) {
    return answer(error_reply(400, "BAD_REQUEST", digest->to_string() + " leads to too much to be pinned at once"));
  }
  if (held.empty()) return answer(error_reply(404, "BLOB_UNKNOWN", digest->to_string() + " is not held here"));
  std::vector<store::Write> writes;
  std::uint64_t bytes = 0;
  for (const auto& [content, size] : held) {
    writes.emplace_back(store::PinBlob{content, pin == Pin::keep});
    bytes += size;
  }
  json reply{
      {pin == Pin::keep ? "pinned" : "unpinned", digest->to_string()}, {"contents", held.size()}, {"bytes", bytes}};
  store.commit(std::move(writes), on,
               [reply = std::move(reply), answer = std::move(answer)](base::Result<void> result) mutable {
                 answer(result ? json_reply(200, reply) : error_reply(result.error().at("pin")));
               });
}

http::Response scrub_reply(const store::ScrubReport& report) {
  return json_reply(200, {{"blobs", report.blobs},
                          {"bytes", report.bytes},
                          {"damaged", report.damaged},
                          {"renewed", report.renewed},
                          {"names", report.names},
                          {"whole", report.whole}});
}

http::Response gc_reply(const base::Result<GcOutcome>& result, const GcRequest& request) {
  if (!result) return error_reply(result.error());
  const auto& [retention, garbage] = *result;
  return json_reply(200, {{"dry_run", request.dry_run},
                          {"tags_removed", retention.tags_removed},
                          {"tags", retention.names},
                          {"repositories", garbage.repositories},
                          {"manifests_removed", garbage.manifests_removed},
                          {"links_removed", garbage.links_removed},
                          {"blobs_removed", garbage.blobs_removed},
                          {"bytes_freed", garbage.bytes_freed},
                          {"uploads_removed", garbage.uploads_removed}});
}

}  // namespace shoal::admin
