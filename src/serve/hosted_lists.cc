#include "hosted_lists.h"

#include <algorithm>

#include "body_sources.h"
#include "hosted_referrers.h"
#include "shoal/base/format.h"
#include "shoal/registry/manifest.h"
#include "shoal/registry/name.h"
#include "shoal/registry/referrers.h"
#include "shoal/registry/wire.h"

namespace shoal::serve {
namespace {

constexpr std::size_t kMostNames = 10'000;  // in one page, whatever n says
constexpr std::size_t kSlice = 1'000;       // read from the index at once
constexpr std::size_t kLeast = 100;         // the same; some of them may not be for the caller
constexpr std::size_t kTagBytes = 128;

// What follows `last` in byte order also follows its beginning, which is all that a name can have.
std::string lookup_key(std::string last, std::size_t most) {
  last.resize(std::min(last.size(), most));
  return last;
}

base::Result<NameSlice> slice_of(base::Result<std::vector<std::string>> read, std::size_t limit,
                                 const std::string& last) {
  if (!read) return read.error();
  const bool more = read->size() == limit;
  std::string next = read->empty() ? last : read->back();
  return NameSlice{std::move(*read), std::move(next), more};
}

NameReader read_tags(const store::Hosted& hosted, const std::string& repository) {
  return [&hosted, repository](const std::string& last, std::size_t limit) {
    return slice_of(hosted.read_tags(repository, last, limit), limit, last);
  };
}

// Only what the caller may pull.
NameReader read_catalog(const store::Hosted& hosted, const Caller& caller) {
  return [&hosted, caller](const std::string& last, std::size_t limit) {
    auto slice = slice_of(hosted.read_hosted(last, limit), limit, last);
    if (slice) std::erase_if(slice->names, [&](const auto& name) { return !caller.may(name, auth::Action::pull); });
    return slice;
  };
}

// At most `n` names behind `last`.
base::Result<NameSlice> page_of(const NameReader& read, const std::string& last, std::size_t n) {
  NameSlice page{{}, last, n > 0};
  for (bool full = false; page.more && !full;) {
    auto slice = read(page.last, std::clamp(n - page.names.size() + 1, kLeast, kSlice));
    if (!slice) return slice;
    page.more = slice->more;
    page.last = std::move(slice->last);
    for (auto& name : slice->names) {
      full = page.names.size() == n;
      if (full) break;
      page.names.push_back(std::move(name));
    }
    page.more = page.more || full;
  }
  if (!page.names.empty()) page.last = page.names.back();
  return page;
}

}  // namespace

bool HostedList::read_paging(const std::string& query) {
  if (const auto n = registry::query_value(query, "n")) {
    const bool digits = !n->empty() && std::all_of(n->begin(), n->end(), [](char c) { return c >= '0' && c <= '9'; });
    if (!digits) {
      refuse(400, "UNSUPPORTED", "n must be a number");
      return false;
    }
    n_ = n->size() < 9 ? std::min<std::size_t>(kMostNames, std::stoul(*n)) : kMostNames;
  }
  last_ = registry::query_value(query, "last").value_or("");
  return true;
}

void HostedList::list(NameReader read, std::string head, std::string path, std::string last) {
  read_ = std::move(read);
  head_ = std::move(head);
  path_ = std::move(path);
  on_pool([read = read_, n = n_, last = std::move(last)] { return n ? page_of(read, last, *n) : read(last, kSlice); },
          [this](base::Result<NameSlice> names) { listed(std::move(names)); });
}

void HostedList::listed(base::Result<NameSlice> names) {
  if (!names) return refuse_unread(names.error());
  if (!known(*names)) return;
  if (!n_ && names->more) return stream(*names);
  ListPage page;
  if (n_ && names->more && !names->names.empty()) {
    page.next = base::format("n={}&last={}", *n_, registry::percent_encoded(names->names.back()));
  }
  names->more = false;
  page.body = head_;
  NameStream::append(page.body, *names, /*first=*/true);
  answer(page, path_, "application/json");
}

void HostedList::refuse_unread(const base::Error& why) {
  auto response = begin(503);
  response.headers.add("Retry-After", "30");
  refuse(std::move(response), "UNAVAILABLE", why.message());
}

void HostedList::stream(const NameSlice& first) {
  auto response = begin(200);
  explain(response, mirror::Provenance{});
  response.headers.add("Content-Type", "application/json");
  response.source = std::make_unique<NameStream>(
      NameStream::Parts{parts_.loop, *parts_.pool, parts_.pool_gate},
      [read = read_](const std::string& last) { return read(last, kSlice); }, head_, first);
  send(std::move(response));
}

void HostedList::answer(const ListPage& page, std::string_view path, std::string_view content_type) {
  auto response = begin(200);
  explain(response, mirror::Provenance{});
  response.headers.add("Content-Type", content_type);
  if (!page.next.empty()) response.headers.add("Link", base::format("<{}?{}>; rel=\"next\"", path, page.next));
  if (!filters_.empty()) response.headers.add("OCI-Filters-Applied", filters_);
  auto owner = std::make_shared<const std::string>(page.body);
  response.content_length = owner->size();
  const std::string_view bytes = *owner;
  response.source = std::make_unique<MemorySource>(std::move(owner), bytes);
  send(std::move(response));
}

HostedTags::HostedTags(const DistributionHandler::Parts& parts, const http::Request& request, http::Responder responder,
                       std::string repository, std::string query)
    : HostedList(parts, request, std::move(responder), Subject::page, repository),
      repository_(std::move(repository)),
      query_(std::move(query)) {}

void HostedTags::start() {
  if (!read_paging(query_)) return;
  list(read_tags(parts_.store->hosted(), repository_), base::format(R"({{"name":"{}","tags":[)", repository_),
       base::format("/v2/{}/tags/list", repository_), lookup_key(last_, kTagBytes));
}

bool HostedTags::known(const NameSlice& names) {
  const store::ReadWatch reads(*parts_.store);
  if (!names.names.empty() || parts_.store->hosted().is_hosted(repository_)) return true;
  if (reads.failed()) {
    refuse_unread(store::unreadable_index());
    return false;
  }
  refuse(404, "NAME_UNKNOWN", base::format("nothing was pushed to {}", repository_));
  return false;
}

HostedCatalog::HostedCatalog(const DistributionHandler::Parts& parts, const http::Request& request,
                             http::Responder responder, std::string query)
    : HostedList(parts, request, std::move(responder), Subject::page, {}), query_(std::move(query)) {}

void HostedCatalog::start() {
  if (!read_paging(query_)) return;
  list(read_catalog(parts_.store->hosted(), caller_), R"({"repositories":[)", "/v2/_catalog",
       lookup_key(last_, registry::kMaxRepositoryBytes));
}

HostedReferrers::HostedReferrers(const DistributionHandler::Parts& parts, const http::Request& request,
                                 http::Responder responder, std::string repository, const base::Digest& subject,
                                 std::string query)
    : HostedList(parts, request, std::move(responder), Subject::page, repository),
      repository_(std::move(repository)),
      query_(std::move(query)),
      subject_(subject) {}

void HostedReferrers::start() {
  std::optional<base::Digest> last;
  if (const auto text = registry::query_value(query_, "last"); text && !text->empty()) {
    auto digest = base::Digest::parse(*text);
    if (!digest) return refuse(400, "DIGEST_INVALID", "last must be a digest");
    last = *digest;
  }
  const auto artifact_type = registry::wanted_artifact_type(query_);
  on_pool([store = parts_.store, repository = repository_, subject = subject_, last,
           artifact_type] { return hosted_referrers_page(*store, repository, subject, last, artifact_type); },
          [this, filtered = artifact_type.has_value()](const base::Result<ListPage>& page) {
            if (!page) return refuse_unread(page.error());
            if (filtered) filters_ = "artifactType";
            answer(*page, base::format("/v2/{}/referrers/{}", repository_, subject_.to_string()), registry::kOciIndex);
          });
}

}  // namespace shoal::serve
