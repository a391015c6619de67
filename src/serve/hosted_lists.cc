#include "hosted_lists.h"

#include <algorithm>

#include "body_sources.h"
#include "shoal/base/format.h"
#include "shoal/registry/manifest.h"
#include "shoal/registry/name.h"
#include "shoal/registry/push.h"
#include "shoal/registry/wire.h"

namespace shoal::serve {
namespace {

constexpr std::size_t kMostNames = 10'000;  // in one page, whatever n says
constexpr std::size_t kSlice = 1'000;       // read from the index at once
constexpr std::size_t kTagBytes = 128;
constexpr std::size_t kReferrersBytes = 3 << 20;  // clients take 4 MiB
constexpr std::size_t kReferrersSlice = 256 << 10;

// What follows `last` in byte order also follows its beginning, which is all that a name can have.
std::string lookup_key(std::string last, std::size_t most) {
  last.resize(std::min(last.size(), most));
  return last;
}

std::string percent_encoded(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       std::string_view("-._~/:").find(c) != std::string_view::npos;
    if (plain) {
      out += c;
    } else {
      out += base::format("%{:02X}", static_cast<unsigned char>(c));
    }
  }
  return out;
}

ListPage tags_page(store::Store& store, const std::string& repository, std::string last, std::size_t n) {
  ListPage page;
  registry::TagList list{repository, {}};
  bool more = false;
  while (n > 0 && !more) {
    const auto want = std::min(kSlice, n - list.tags.size() + 1);
    auto slice = store.list_tags(repository, last, want);
    for (auto& [tag, record] : slice) {
      more = list.tags.size() == n;
      if (!more) list.tags.push_back(std::move(tag));
    }
    if (slice.size() < want) break;
    last = list.tags.back();
  }
  page.known = !list.tags.empty() || store.hosted().is_hosted(repository);
  if (more) page.next = base::format("n={}&last={}", n, list.tags.back());
  page.body = registry::tag_list_body(list);
  return page;
}

// Only what the caller may pull.
ListPage catalog_page(store::Store& store, const Caller& caller, std::string last, std::size_t n) {
  ListPage page;
  std::vector<std::string> names;
  bool more = false;
  while (n > 0 && !more) {
    const auto slice = store.hosted().list_hosted(last, kSlice);
    for (const auto& name : slice) {
      if (!caller.may(name, auth::Action::pull)) continue;
      more = names.size() == n;
      if (more) break;
      names.push_back(name);
    }
    if (slice.size() < kSlice) break;
    last = slice.back();
  }
  if (more) page.next = base::format("n={}&last={}", n, percent_encoded(names.back()));
  page.body = R"({"repositories":[)";  // a repository's name needs no escapes
  for (std::size_t i = 0; i < names.size(); ++i) page.body += (i > 0 ? ",\"" : "\"") + names[i] + '"';
  page.body += "]}";
  return page;
}

ListPage referrers_page(store::Hosted& hosted, const std::string& repository, const base::Digest& subject,
                        std::optional<base::Digest> last, const std::optional<std::string>& artifact_type) {
  ListPage page;
  std::vector<std::string> taken;
  std::size_t bytes = 0;
  for (;;) {
    // A descriptor larger than a slice still has to come through: manifests have 4 MiB at most.
    auto slice = hosted.list_referrers(repository, subject, last, kReferrersSlice);
    if (slice.empty()) slice = hosted.list_referrers(repository, subject, last, kReferrersBytes + (2U << 20));
    if (slice.empty()) break;
    for (auto& referrer : slice) {
      const bool wanted = !artifact_type || registry::descriptor_artifact_type(referrer.descriptor) == *artifact_type;
      if (wanted && !taken.empty() && bytes + referrer.descriptor.size() > kReferrersBytes) {
        page.next = "last=" + last->to_string();
        if (artifact_type) page.next += "&artifactType=" + percent_encoded(*artifact_type);
        page.body = registry::referrers_body(taken);
        return page;
      }
      last = referrer.digest;
      if (!wanted) continue;
      bytes += referrer.descriptor.size() + 1;
      taken.push_back(std::move(referrer.descriptor));
    }
  }
  page.body = registry::referrers_body(taken);
  return page;
}

}  // namespace

bool HostedList::read_paging(const std::string& query) {
  n_ = kMostNames;
  if (const auto n = registry::query_value(query, "n")) {
    const bool digits = !n->empty() && std::all_of(n->begin(), n->end(), [](char c) { return c >= '0' && c <= '9'; });
    if (!digits) {
      refuse(400, "UNSUPPORTED", "n must be a number");
      return false;
    }
    if (n->size() < 9) n_ = std::min<std::size_t>(kMostNames, std::stoul(*n));
  }
  last_ = registry::query_value(query, "last").value_or("");
  return true;
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
  on_pool([store = parts_.store, repository = repository_, last = lookup_key(last_, kTagBytes),
           n = n_] { return tags_page(*store, repository, last, n); },
          [this](const ListPage& page) {
            if (!page.known) return refuse(404, "NAME_UNKNOWN", base::format("nothing was pushed to {}", repository_));
            answer(page, base::format("/v2/{}/tags/list", repository_), "application/json");
          });
}

HostedCatalog::HostedCatalog(const DistributionHandler::Parts& parts, const http::Request& request,
                             http::Responder responder, std::string query)
    : HostedList(parts, request, std::move(responder), Subject::page, {}), query_(std::move(query)) {}

void HostedCatalog::start() {
  if (!read_paging(query_)) return;
  on_pool([store = parts_.store, caller = caller_, last = lookup_key(last_, registry::kMaxRepositoryBytes),
           n = n_] { return catalog_page(*store, caller, last, n); },
          [this](const ListPage& page) { answer(page, "/v2/_catalog", "application/json"); });
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
  auto artifact_type = registry::query_value(query_, "artifactType");
  if (artifact_type && artifact_type->empty()) artifact_type.reset();
  on_pool([hosted = &parts_.store->hosted(), repository = repository_, subject = subject_, last,
           artifact_type] { return referrers_page(*hosted, repository, subject, last, artifact_type); },
          [this, filtered = artifact_type.has_value()](const ListPage& page) {
            if (filtered) filters_ = "artifactType";
            answer(page, base::format("/v2/{}/referrers/{}", repository_, subject_.to_string()), registry::kOciIndex);
          });
}

}  // namespace shoal::serve
