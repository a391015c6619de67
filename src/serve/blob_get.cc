#include "blob_get.h"

#include "body_sources.h"
#include "hosted_read.h"
#include "shoal/base/format.h"
#include "shoal/http/range.h"

namespace shoal::serve {
namespace {

constexpr std::string_view kBoundary = "shoal-part-7d1f4c2a9be04";
constexpr std::string_view kType = "application/octet-stream";

std::unique_ptr<ChainSource> multipart(mirror::Blob& blob, const std::vector<base::ByteRange>& ranges,
                                       std::uint64_t size, std::uint64_t& length) {
  auto chain = std::make_unique<ChainSource>();
  length = 0;
  const auto text = [&](std::string part) {
    length += part.size();
    chain->add(std::move(part));
  };
  for (const auto& range : ranges) {
    text(base::format("\r\n--{}\r\nContent-Type: {}\r\nContent-Range: {}\r\n\r\n", kBoundary, kType,
                      http::content_range(range, size)));
    length += range.size();
    chain->add(blob.read(range));
  }
  text(base::format("\r\n--{}--\r\n", kBoundary));
  return chain;
}

bool is_here(const http::Request& request) {
  const std::string_view ip = request.peer.ip, host = request.host;
  const bool named = host.starts_with(ip) && (host.size() == ip.size() || host[ip.size()] == ':');
  return ip.starts_with("127.") || ip == "::1" || named;
}

}  // namespace

BlobGet::BlobGet(const DistributionHandler::Parts& parts, const http::Request& request, http::Responder responder,
                 mirror::Target target, const base::Digest& digest)
    : Exchange(parts, request, std::move(responder), Subject::blob, target.canonical()),
      target_(std::move(target)),
      digest_(digest),
      etag_('"' + digest.to_string() + '"'),
      from_here_(is_here(request)) {}

void BlobGet::start() {
  if (target_.registry.empty()) return start_hosted();
  if (auto warm = parts_.mirror.try_blob(target_, digest_)) {
    if (is_head()) return stat_done({*warm->size(), warm->provenance()});
    return opened(std::move(warm));
  }
  if (is_head()) {
    pending_ =
        parts_.mirror.stat_blob(parts_.loop, target_, digest_, [this](mirror::Outcome<mirror::BlobStat> outcome) {
          if (const auto* refusal = std::get_if<mirror::Refusal>(&outcome)) return refuse(*refusal);
          stat_done(std::get<mirror::BlobStat>(outcome));
        });
    return;
  }
  pending_ = parts_.mirror.open_blob(parts_.loop, target_, digest_,
                                     [this](mirror::Outcome<std::unique_ptr<mirror::Blob>> outcome) {
                                       if (const auto* refusal = std::get_if<mirror::Refusal>(&outcome)) {
                                         return refuse(*refusal);
                                       }
                                       opened(std::move(std::get<std::unique_ptr<mirror::Blob>>(outcome)));
                                     });
}

void BlobGet::start_hosted() {
  auto outcome = open_hosted_blob(parts_, target_.repository, digest_, is_head() ? Purpose::look : Purpose::pull);
  if (const auto* refusal = std::get_if<mirror::Refusal>(&outcome)) return refuse(*refusal);
  auto& blob = std::get<std::unique_ptr<mirror::Blob>>(outcome);
  if (is_head()) return stat_done({*blob->size(), blob->provenance()});
  opened(std::move(blob));
}

http::Response BlobGet::begin_blob(int status) const {
  auto response = begin(status);
  response.headers.add("Docker-Content-Digest", std::string_view(etag_).substr(1, etag_.size() - 2));
  response.headers.add("ETag", etag_);
  response.headers.add("Accept-Ranges", "bytes");
  response.headers.add("Cache-Control", "max-age=31536000");
  return response;
}

void BlobGet::stat_done(const mirror::BlobStat& stat) {
  const bool same = http::not_modified(if_none_match_, etag_);
  auto response = begin_blob(same ? 304 : 200);
  explain(response, stat.provenance);
  if (!same) {
    response.headers.add("Content-Type", kType);
    response.content_length = stat.size;
  }
  send(std::move(response));
}

void BlobGet::opened(std::unique_ptr<mirror::Blob> blob) {
  if (http::not_modified(if_none_match_, etag_)) {
    auto response = begin_blob(304);
    explain(response, blob->provenance());
    return send(std::move(response));
  }
  http::RangePlan plan;
  const auto size = blob->size();
  if (size && !range_.empty()) plan = http::plan_range(range_, if_range_, etag_, *size);
  using Kind = http::RangePlan::Kind;
  // What is not kept can be read once, to its end; a range that stops earlier is answered with the whole (RFC
  // 9110 14.2).
  const bool to_the_end = plan.kind == Kind::single && plan.ranges.front().end == *size;
  if (!blob->seekable() && plan.kind != Kind::not_satisfiable && !to_the_end) plan.kind = Kind::full;

  // One pull, in however many ranges: the one that begins at the beginning.
  const bool from_start = plan.kind == Kind::full || (!plan.ranges.empty() && plan.ranges.front().begin == 0);
  if (from_start) announce_pull(size);
  if (blob->provenance().kind == mirror::Provenance::Kind::hit) sends_stored(digest_);
  auto response = begin_blob(plan.kind == Kind::full ? 200 : plan.kind == Kind::not_satisfiable ? 416 : 206);
  explain(response, blob->provenance(), blob->origins());
  switch (plan.kind) {
    case Kind::full:
      response.headers.add("Content-Type", kType);
      response.content_length = size;
      response.source = blob->read_all();
      break;
    case Kind::single:
      response.headers.add("Content-Type", kType);
      response.headers.add("Content-Range", http::content_range(plan.ranges.front(), *size));
      response.content_length = plan.ranges.front().size();
      response.source = blob->read(plan.ranges.front());
      break;
    case Kind::multi: {
      response.headers.add("Content-Type", base::format("multipart/byteranges; boundary=\"{}\"", kBoundary));
      std::uint64_t length = 0;
      response.source = multipart(*blob, plan.ranges, *size, length);
      response.content_length = length;
      break;
    }
    case Kind::not_satisfiable: return refuse_range(std::move(response), *size);
  }
  if (!from_here_ && response.source) {
    response.source = std::make_unique<CountedSource>(std::move(response.source), parts_.probe);
  }
  send(std::move(response));
}

void BlobGet::announce_pull(std::optional<std::uint64_t> size) {
  auto event = begin_event(obs::EventKind::pull, obs::EventObject::blob);
  if (!event) return;
  event->digest = digest_.to_string();
  event->media_type = kType;
  event->size = size.value_or(0);
  announce_at_end(std::move(event));
}

}  // namespace shoal::serve
