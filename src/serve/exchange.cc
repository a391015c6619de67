#include "exchange.h"

#include <algorithm>

#include "shoal/base/format.h"
#include "shoal/registry/wire.h"

namespace shoal::serve {
namespace {

constexpr int kClientLeft = 499;  // never sent; as nginx logs it
// An answer that comes before its request's body has ended costs the connection; a small rest is read instead.
constexpr std::size_t kDrainBytes = 64 * 1024;
constexpr std::size_t kMaxText = 256;  // of a header in an event

}  // namespace

std::string_view end_text(const http::ExchangeEnd& end, bool stored) {
  switch (end.cause) {
    case http::EndCause::complete: return "ok";
    case http::EndCause::client: return "client";
    case http::EndCause::timeout: return "timeout";
    case http::EndCause::shutdown: return "shutdown";
    case http::EndCause::file: return "store";
    case http::EndCause::source: break;
  }
  // Of a blob that cannot be kept, a reader that is too slow is let go (mirror.laggard_patience).
  if (end.error && end.error->kind() == base::ErrorKind::full) return "timeout";
  return stored ? "store" : "upstream";
}

struct Exchange::Record {
  DistributionHandler::Parts parts;
  Subject subject;
  base::WallTime at;
  http::Method method;
  std::string id, peer, target, repository, user_agent, cache, detail, user;
  int status = 0;
  std::optional<mirror::Provenance::Kind> kind;
  bool from_neighbour = false;
  std::shared_ptr<const mirror::Origins> origins;  // shared with the body's sources
  std::optional<PushKind> push;
  std::string host;  // only if somebody may want events
  bool secure = false;
  std::optional<obs::Event> event;     // to publish at the end
  std::optional<base::Digest> stored;  // the body is the store's file of it
};

bool Caller::may(std::string_view repository, auth::Action action) const {
  return !access || auth::decide(access->policy, identity, repository, action) == auth::Verdict::allow;
}

Exchange::Exchange(const DistributionHandler::Parts& parts, const http::Request& request, http::Responder responder,
                   Subject subject, std::string repository)
    : parts_(parts),
      range_(request.headers.get("range")),
      if_range_(request.headers.get("if-range")),
      if_none_match_(request.headers.get("if-none-match")),
      method_(request.method),
      responder_(std::move(responder)),
      record_(std::make_shared<Record>(Record{parts,
                                              subject,
                                              parts.clock.wall_now(),
                                              request.method,
                                              request.id,
                                              request.peer.ip,
                                              request.target,
                                              std::move(repository),
                                              std::string(request.headers.get("user-agent")),
                                              {},
                                              {},
                                              {},
                                              0,
                                              {},
                                              false,
                                              {},
                                              {},
                                              {},
                                              request.secure,
                                              {},
                                              {}})),
      body_(request.stream),
      body_length_(body_ ? body_->length() : std::nullopt),
      waits_for_continue_(request.headers.has("expect")) {
  if (parts.events->wants_any()) record_->host = request.host;
}

void Exchange::set_caller(Caller caller) {
  record_->user = caller.identity.user;
  caller_ = std::move(caller);
}

void Exchange::count_push(PushKind kind) { record_->push = kind; }

std::optional<obs::Event> Exchange::begin_event(obs::EventKind kind, obs::EventObject object) const {
  if (!parts_.events->wants(kind, object)) return std::nullopt;
  const auto& record = *record_;
  obs::Event event;
  event.kind = kind;
  event.object = object;
  event.repository = record.repository;
  // Strangers' texts: as much as anyone needs of them.
  event.request = {record.id,
                   record.peer,
                   record.host.substr(0, kMaxText),
                   std::string(http::to_string(record.method)),
                   record.user_agent.substr(0, kMaxText),
                   record.user,
                   record.secure};
  return event;
}

void Exchange::sends_stored(const base::Digest& digest) { record_->stored = digest; }

void Exchange::announce_at_end(std::optional<obs::Event> event) { record_->event = std::move(event); }

std::optional<std::uint64_t> Exchange::body_length() const { return body_length_; }

http::Response Exchange::begin(int status) const {
  http::Response response;
  response.status = status;
  response.headers.add("Docker-Distribution-Api-Version", "registry/2.0");
  if (!namespace_.empty()) response.headers.add("OCI-Namespace", namespace_);
  return response;
}

void Exchange::explain(http::Response& response, const mirror::Provenance& provenance,
                       std::shared_ptr<const mirror::Origins> origins) {
  record_->kind = provenance.kind;
  record_->from_neighbour = provenance.from_neighbour;
  record_->origins = std::move(origins);
  record_->cache = cache_status(provenance);
  response.headers.add("Cache-Status", record_->cache);
  if (provenance.age) response.headers.add("Age", std::to_string(provenance.age->count()));
  if (provenance.kind == mirror::Provenance::Kind::stale) {
    std::string text = "stale: ";
    for (const char c : std::string_view(provenance.detail).substr(0, 200)) {
      text.push_back(c >= 0x20 && c < 0x7f && c != '"' && c != '\\' ? c : '?');
    }
    response.headers.add("Warning", "299 - \"" + text + "\"");
  }
}

// Of the body, as far as it was sent.
mirror::BytesFrom Exchange::bytes_from(const Record& record, std::uint64_t sent) {
  if (record.origins) return record.origins->count({0, sent});
  mirror::BytesFrom from;
  const bool fetched =
      record.kind == mirror::Provenance::Kind::miss || record.kind == mirror::Provenance::Kind::collapsed;
  (!fetched ? from.disk : record.from_neighbour ? from.neighbours : from.upstream) = sent;
  return from;
}

void Exchange::write_line(Record& record, const http::ExchangeEnd& end) {
  if (record.event && end.complete) {
    if (record.event->size == 0) record.event->size = end.body_bytes;  // nobody knew before
    record.parts.events->publish(std::move(*record.event));
  }
  const bool disk_failed = end.file && end.error && end.error->kind() == base::ErrorKind::corrupt;
  if (record.stored && disk_failed && record.parts.store != nullptr) {
    record.parts.store->report_unreadable(*record.stored, *end.file, *end.error);
  }
  auto& probe = *record.parts.probe;
  probe.answered(record.subject, record.status, end);
  if (record.push) probe.pushed(*record.push, record.status);
  obs::AccessLine line;
  if (record.kind) {
    const auto from = bytes_from(record, end.body_bytes);
    probe.came_from(record.subject, *record.kind, from);
    line.from_disk = from.disk;
    line.from_upstream = from.upstream;
    line.from_neighbours = from.neighbours;
    line.from_swarm = from.swarm;
  }
  line.at = record.at;
  line.id = record.id;
  line.peer = record.peer;
  line.user = record.user;
  line.method = http::to_string(record.method);
  line.target = record.target;
  line.repository = record.repository;
  line.cache = record.cache;
  line.user_agent = record.user_agent;
  auto detail = record.detail;
  if (end.error) detail += (detail.empty() ? "" : "; ") + end.error->message();
  line.detail = detail;
  line.status = record.status;
  line.bytes = end.body_bytes;
  line.first_byte = end.first_byte;
  line.total = end.total;
  line.complete = end.complete;
  // Without a provenance it is hosted, or our own words.
  line.end = end_text(end, !record.kind || *record.kind == mirror::Provenance::Kind::hit);
  record.parts.access_log.write(line);
}

Exchange::~Exchange() {
  if (record_->status != 0) return;
  record_->status = kClientLeft;
  record_->detail = "the client left before the answer";
  http::ExchangeEnd end;
  const auto took = parts_.clock.wall_now() - record_->at;
  end.total = std::max(std::chrono::microseconds(0), std::chrono::duration_cast<std::chrono::microseconds>(took));
  write_line(*record_, end);
}

http::Responder Exchange::hand_over() {
  record_->status = kClientLeft;  // the other one writes the line
  return responder_;
}

void Exchange::read_body(base::UniqueFunction<void(base::Result<http::RequestBody::Chunk>)> done) {
  reading_ = true;
  if (!body_) {
    parts_.loop.post([this, watch = life_.watch(), done = std::move(done)]() mutable {
      if (watch.gone()) return;
      reading_ = false;
      done(http::RequestBody::Chunk());
    });
    return;
  }
  body_->read(
      [this, watch = life_.watch(), done = std::move(done)](base::Result<http::RequestBody::Chunk> chunk) mutable {
        if (watch.gone()) return;
        reading_ = false;
        if (!chunk || !*chunk) {
          body_.reset();
        } else {
          parts_.probe->received((*chunk)->size());
        }
        done(std::move(chunk));
      });
}

void Exchange::send(http::Response response) {
  // Of unknown length it might never end.
  const bool short_rest = body_length_ && *body_length_ <= kDrainBytes;
  if (!body_ || reading_ || waits_for_continue_ || !short_rest) return send_now(std::move(response));
  send_after_body(std::move(response), 0);
}

void Exchange::send_after_body(http::Response response, std::size_t drained) {
  read_body([this, drained, response = std::move(response)](base::Result<http::RequestBody::Chunk> chunk) mutable {
    const auto size = chunk && *chunk ? (*chunk)->size() : 0;
    if (size == 0 || drained + size > kDrainBytes) return send_now(std::move(response));
    send_after_body(std::move(response), drained + size);
  });
}

void Exchange::send_now(http::Response response) {
  record_->status = response.status;
  response.on_end = [record = record_](const http::ExchangeEnd& end) { write_line(*record, end); };
  responder_.send(std::move(response));
}

void Exchange::refuse(const mirror::Refusal& refusal) {
  const auto [status, code] = answer_to(refusal, record_->subject);
  auto response = begin(status);
  response.headers.add("Content-Type", "application/json");
  if (refusal.retry_after) response.headers.add("Retry-After", std::to_string(refusal.retry_after->count()));
  record_->cache = "shoal; fwd=miss";
  response.headers.add("Cache-Status", record_->cache);
  response.text = registry::error_body(code, refusal.message);
  record_->detail = refusal.message;
  send(std::move(response));
}

void Exchange::refuse(int status, std::string_view code, std::string_view message) {
  refuse(begin(status), code, message);
}

void Exchange::refuse(http::Response response, std::string_view code, std::string_view message) {
  response.headers.add("Content-Type", "application/json");
  response.text = registry::error_body(code, message);
  record_->detail = message;
  send(std::move(response));
}

void Exchange::refuse_method(std::string_view allow, std::string_view message) {
  auto response = begin(405);
  response.headers.add("Allow", allow);
  refuse(std::move(response), "UNSUPPORTED", message);
}

void Exchange::refuse_range(http::Response response, std::uint64_t size) {
  response.headers.add("Content-Range", base::format("bytes */{}", size));
  response.headers.add("Content-Type", "application/json");
  const auto message = base::format("the range asked for is beyond the end: there are {} bytes", size);
  response.text = registry::error_body("RANGE_INVALID", message);
  record_->detail = message;
  send(std::move(response));
}

}  // namespace shoal::serve
