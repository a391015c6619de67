#include "page_get.h"

#include <algorithm>

#include "body_sources.h"
#include "shoal/registry/name.h"

namespace shoal::serve {
namespace {

bool is_number(std::string_view text) {
  return !text.empty() && text.size() <= 9 &&
         std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

// What upstream may see of the client's query: the parameters of the specification, nothing of ours (ns).
std::string upstream_query(std::string_view query, bool tags) {
  std::string out;
  while (!query.empty()) {
    const auto end = std::min(query.find('&'), query.size());
    const auto part = query.substr(0, end);
    query.remove_prefix(std::min(end + 1, query.size()));
    const auto name = part.substr(0, part.find('='));
    const bool known = tags ? (name == "n" || name == "last") : name != "ns";
    if (!known || part.empty()) continue;
    if (!out.empty()) out += '&';
    out += part;
  }
  return out;
}

}  // namespace

PageGet::PageGet(const DistributionHandler::Parts& parts, const http::Request& request, http::Responder responder,
                 mirror::Target target, std::optional<base::Digest> subject, std::string path, std::string query)
    : Exchange(parts, request, std::move(responder), Subject::page, target.canonical()),
      target_(std::move(target)),
      subject_(std::move(subject)),
      path_(std::move(path)),
      query_(std::move(query)) {}

void PageGet::start() {
  if (const auto n = registry::query_value(query_, "n"); !subject_ && n && !is_number(*n)) {
    return refuse(400, "UNSUPPORTED", "n must be a number");
  }
  const auto done = [this](mirror::Outcome<mirror::TagPage> outcome) {
    if (const auto* refusal = std::get_if<mirror::Refusal>(&outcome)) return refuse(*refusal);
    answer(std::get<mirror::TagPage>(outcome));
  };
  auto query = upstream_query(query_, !subject_);
  pending_ = subject_ ? parts_.mirror.referrers(parts_.loop, target_, *subject_, std::move(query), done)
                      : parts_.mirror.list_tags(parts_.loop, target_, std::move(query), done);
}

void PageGet::answer(const mirror::TagPage& page) {
  auto response = begin(200);
  explain(response, page.provenance);
  response.headers.add("Content-Type", page.content_type);
  for (const auto& [name, value] : page.headers) response.headers.add(name, value);
  if (!page.next.empty()) {
    const auto ns = namespace_.empty() ? std::string() : "&ns=" + namespace_;
    response.headers.add("Link", "<" + path_ + "?" + page.next + ns + ">; rel=\"next\"");
  }
  auto owner = std::make_shared<const std::string>(page.body);
  response.content_length = owner->size();
  const std::string_view bytes = *owner;
  response.source = std::make_unique<MemorySource>(std::move(owner), bytes);
  send(std::move(response));
}

}  // namespace shoal::serve
