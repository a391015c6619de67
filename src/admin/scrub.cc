#include "scrub.h"

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>

#include "query.h"
#include "reply.h"
#include "shoal/base/format.h"

namespace shoal::admin {
namespace {

using nlohmann::json;

// In one request: it keeps a thread of the pool, and a stop of the node waiting.
constexpr std::uint64_t kMaxStep = 256ULL << 20;

base::Result<std::uint64_t> positive(const Query& query, std::string_view name, std::uint64_t otherwise) {
  const auto text = query.text(name);
  if (text.empty()) return otherwise;
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error == std::errc() && end == text.data() + text.size() && value > 0) return value;
  return base::Error(base::ErrorKind::invalid, base::format("{} must be a positive number", name));
}

json seconds_at(std::uint64_t bytes, std::uint64_t rate) {
  if (rate == 0) return nullptr;
  return (bytes + rate - 1) / rate;
}

}  // namespace

base::Result<ScrubRequest> parse_scrub(std::string_view text) {
  const auto query = Query::parse(text, {"dry_run", "restart"}, {"bytes", "rate"});
  if (!query) return query.error();
  const auto bytes = positive(*query, "bytes", kMaxStep);
  if (!bytes) return bytes.error();
  const auto rate = positive(*query, "rate", 0);
  if (!rate) return rate.error();
  const bool dry_run = query->flag("dry_run");
  if (*rate != 0 && !dry_run) return base::Error(base::ErrorKind::invalid, "rate is for a dry_run");
  return ScrubRequest{std::min(*bytes, kMaxStep),
                      query->flag("restart") ? ScrubFrom::the_beginning : ScrubFrom::where_it_was, dry_run, *rate};
}

http::Response scrub(const store::Store& store, NodeView& node, const ScrubRequest& request) {
  if (request.dry_run) {
    const auto usage = store.usage();
    const auto background = node.scrub_rate();
    return json_reply(200, {{"dry_run", true},
                            {"blobs", usage.blobs},
                            {"bytes", usage.blob_bytes},
                            {"rate", request.rate},
                            {"seconds", seconds_at(usage.blob_bytes, request.rate)},
                            {"background_rate", background},
                            {"background_seconds", seconds_at(usage.blob_bytes, background)}});
  }
  const auto report = node.scrub(request.bytes, request.from);
  // What it found before is told first: the next step comes to the same place.
  if (report.unreadable && report.blobs == 0 && report.bytes == 0) return error_reply(store::unreadable_index());
  return json_reply(200, {{"blobs", report.blobs},
                          {"bytes", report.bytes},
                          {"damaged", report.damaged},
                          {"renewed", report.renewed},
                          {"names", report.names},
                          {"whole", report.whole}});
}

}  // namespace shoal::admin
