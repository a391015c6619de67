#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>

#include "call.h"
#include "call_budget.h"
#include "core.h"
#include "map_source.h"
#include "piece_choice.h"
#include "roster.h"
#include "shoal/base/format.h"
#include "shoal/obs/log.h"
#include "shoal/registry/name.h"
#include "shoal/registry/wire.h"
#include "wire.h"

namespace shoal::p2p {
namespace {

constexpr std::string_view kPrefix = "/p2p/v1/";
constexpr std::chrono::seconds kToldEvery{10};  // of strangers, to the log

http::Response json(int status, std::string text) {
  http::Response response;
  response.status = status;
  response.headers.add("Content-Type", "application/json");
  response.headers.add("Cache-Control", "no-store");
  response.text = std::move(text);
  return response;
}

http::Response refusal(const base::Error& error) {
  int status = 500;
  std::string_view code = "UNKNOWN";
  switch (error.kind()) {
    case base::ErrorKind::not_found: status = 404, code = "NOT_FOUND"; break;
    case base::ErrorKind::denied: status = 403, code = "DENIED"; break;
    case base::ErrorKind::invalid: status = 400, code = "BAD_REQUEST"; break;
    case base::ErrorKind::busy: status = 503, code = "UNAVAILABLE"; break;
    default: break;
  }
  auto response = json(status, registry::error_body(code, error.message()));
  if (const auto wait = error.retry_after()) response.headers.add("Retry-After", std::to_string(wait->count()));
  return response;
}

constexpr std::uint64_t kPaced = 64 * 1024;  // a piece, where there is a rate

// Counts what leaves for neighbours, and holds it to the upload rate.
class UploadSource final : public base::ByteSource {
 public:
  UploadSource(std::unique_ptr<base::ByteSource> source, Site::Core& core, base::Loop& loop)
      : source_(std::move(source)), core_(core), loop_(loop) {}
  [[nodiscard]] base::Pulled pull(std::uint64_t max) override {
    if (loop_.now() < not_before_) return base::SourcePending{};
    const auto rate = core_.rates().upload;
    auto piece = source_->pull(rate > 0 ? std::min(max, kPaced) : max);
    if (const auto* file = std::get_if<base::FileSlice>(&piece)) sent(file->size, rate);
    if (const auto* memory = std::get_if<base::MemorySlice>(&piece)) sent(memory->bytes.size(), rate);
    return piece;
  }
  void on_ready(base::UniqueFunction<void()> ready) override {
    const auto wait = std::chrono::ceil<std::chrono::milliseconds>(not_before_ - loop_.now());
    if (wait.count() <= 0) return source_->on_ready(std::move(ready));
    timer_ = loop_.schedule(wait, std::move(ready));
  }

 private:
  void sent(std::uint64_t bytes, std::uint64_t rate) {
    core_.probe.served(bytes);
    not_before_ = loop_.now() + core_.uploads.passed(bytes, rate, loop_.now());
  }
  std::unique_ptr<base::ByteSource> source_;
  Site::Core& core_;
  base::Loop& loop_;
  base::SteadyTime not_before_{};
  base::Timer timer_;
};

// A neighbour that waits for a blob to be opened.
class BlobOperation final : public http::Operation {
 public:
  std::unique_ptr<Shelf::Pending> pending;
};

std::optional<std::uint64_t> number(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// A neighbour that waits to be told about the pieces of a blob.
class MapOperation final : public http::Operation {
 public:
  explicit MapOperation(http::Responder r) : responder(std::move(r)) {}
  http::Responder responder;
  base::Lifetime life;
};

}  // namespace

struct PeerHandler::Impl {
  Impl(Site::Core& c, base::Loop& l, Shelf& s, http::Handler& n) : core(c), loop(l), shelf(s), next(n) {}

  [[nodiscard]] base::Result<Seal::Caller> admit(const http::Request& request);
  void seal(http::Response& response, const std::string& nonce, std::string_view body) const;
  void stranger(const http::Request& request, std::string_view why, const std::string& message);
  [[nodiscard]] http::Response announce(const std::string& body, const std::string& node);
  [[nodiscard]] http::Response want(const std::string& body, const std::string& node);
  [[nodiscard]] http::Response manifest(std::string_view reference, std::string_view query);
  [[nodiscard]] http::Response tag(std::string_view query);
  [[nodiscard]] std::unique_ptr<http::Operation> blob(std::string_view reference, std::string_view query,
                                                      const std::string& nonce, http::Responder responder);
  [[nodiscard]] std::unique_ptr<http::Operation> pieces(std::string_view reference, std::string_view query,
                                                        const Seal::Caller& caller, const std::string& ip,
                                                        http::Responder responder);
  [[nodiscard]] http::Response map_answer(base::Result<MapAnswer> answer, const std::string& nonce, bool proven);

  Site::Core& core;
  base::Loop& loop;
  Shelf& shelf;
  http::Handler& next;
  base::SteadyTime told{};
  CallBudget budget;
};

PeerHandler::PeerHandler(Site& site, base::Loop& loop, Shelf& shelf, http::Handler& next)
    : impl_(std::make_unique<Impl>(site.core(), loop, shelf, next)) {}
PeerHandler::~PeerHandler() = default;

http::BodyMode PeerHandler::body_mode(const http::Request& request) {
  if (!std::string_view(request.target).starts_with(kPrefix)) return impl_->next.body_mode(request);
  return request.method == http::Method::post ? http::BodyMode::buffer : http::BodyMode::drop;
}

std::unique_ptr<http::Operation> PeerHandler::handle(const http::Request& request, http::Responder responder) {
  const std::string_view target = request.target;
  if (!target.starts_with(kPrefix)) return impl_->next.handle(request, std::move(responder));
  const auto caller = impl_->admit(request);
  if (!caller.ok()) {
    auto response = refusal(caller.error());
    response.close = true;
    responder.send(std::move(response));
    return nullptr;
  }
  const auto mark = std::min(target.find('?'), target.size());
  const auto path = target.substr(kPrefix.size(), mark - kPrefix.size());
  const auto query = mark < target.size() ? target.substr(mark + 1) : std::string_view();
  const bool post = request.method == http::Method::post;
  const bool get = request.method == http::Method::get;
  if (get && path.starts_with("blobs/")) {
    return impl_->blob(path.substr(6), query, caller->nonce, std::move(responder));
  }
  if (get && path.starts_with("pieces/")) {
    return impl_->pieces(path.substr(7), query, *caller, request.peer.ip, std::move(responder));
  }
  http::Response response = refusal(base::Error(base::ErrorKind::not_found, "neighbours have no such path"));
  if (post && path == "announce") response = impl_->announce(request.body, caller->node);
  if (post && path == "want") response = impl_->want(request.body, caller->node);
  if (get && path.starts_with("manifests/")) response = impl_->manifest(path.substr(10), query);
  if (get && path == "tags") response = impl_->tag(query);
  const bool manifest = response.status == 200 && path.starts_with("manifests/");
  impl_->seal(response, caller->nonce, manifest ? manifest_text(response.headers.get("Content-Type")) : response.text);
  responder.send(std::move(response));
  return nullptr;
}

base::Result<Seal::Caller> PeerHandler::Impl::admit(const http::Request& request) {
  const auto& allow = core.options.allow;
  const bool allowed = std::any_of(allow.begin(), allow.end(),
                                   [&](const Network& network) { return network.contains(request.peer.ip); });
  if (!allowed) {
    stranger(request, "network", "its address is in none of p2p.allow");
    return base::Error(base::ErrorKind::denied, "this node's neighbours are others");
  }
  if (!budget.take(request.peer.ip, request.body.size(), loop.now())) {
    stranger(request, "too many calls", "its address calls too often");
    return base::Error(base::ErrorKind::busy, "too many calls from this address").retry_after(std::chrono::seconds(1));
  }
  if (core.options.certificates() && !request.certified) {
    stranger(request, "certificate", "it shows no certificate of p2p.ca_file");
    return base::Error(base::ErrorKind::denied, "this node's neighbours are others");
  }
  auto caller =
      core.seal->check_request(request.headers.get(kSealHeader), http::to_string(request.method),
                               sealed_target(request.host, request.target), request.body, core.clock.wall_now());
  if (!caller.ok()) {
    stranger(request, "seal", caller.error().message());
    return base::Error(base::ErrorKind::denied, "this node's neighbours are others");
  }
  return caller;
}

void PeerHandler::Impl::seal(http::Response& response, const std::string& nonce, std::string_view body) const {
  const auto text = sealed_text(response.headers.get(kProvenHeader), body);
  response.headers.add(kSealHeader, core.seal->answer(nonce, response.status, text));
}

void PeerHandler::Impl::stranger(const http::Request& request, std::string_view why, const std::string& message) {
  core.probe.refused(why);
  const auto now = loop.now();
  if (told != base::SteadyTime{} && now - told < kToldEvery) return;
  told = now;
  obs::warn(obs::Category::p2p, "a call of {} to {} was refused: {}", request.peer.ip,
            std::string_view(request.target).substr(0, request.target.find('?')), message);
}

http::Response PeerHandler::Impl::announce(const std::string& body, const std::string& node) {
  auto message = parse_announce(body);
  if (!message.ok()) return refusal(message.error());
  if (message->node.id != node) return refusal(base::Error(base::ErrorKind::invalid, "speaks for another node"));
  if (!core.reachable(message->node.url)) return refusal(base::Error(base::ErrorKind::invalid, "has no https:// URL"));
  auto answer = core.tracker.announce(*message, core.clock.steady_now());
  if (!answer.ok()) return refusal(answer.error());
  answer->id = core.self().id;
  {
    const std::lock_guard lock(core.mutex);
    for (const auto& tracker : core.tracker_states_) {
      // One that others would not accept would spoil the answer for them.
      const bool good = check(NodeInfo{answer->id, tracker.url, "", 0}).ok();
      if (tracker.alive && good && answer->trackers.size() < kMaxTrackers) answer->trackers.push_back(tracker.url);
    }
  }
  return json(200, to_json(*answer));
}

http::Response PeerHandler::Impl::want(const std::string& body, const std::string& node) {
  const auto message = parse_want(body);
  if (!message.ok()) return refusal(message.error());
  if (message->node.id != node) return refusal(base::Error(base::ErrorKind::invalid, "speaks for another node"));
  const auto advice = core.advise(message->node, message->want);
  return advice.ok() ? json(200, to_json(*advice)) : refusal(advice.error());
}

http::Response PeerHandler::Impl::manifest(std::string_view reference, std::string_view query) {
  const auto digest = base::Digest::parse(reference);
  const auto repository = registry::query_value(query, "repository");
  if (!digest.ok() || !repository) return refusal(base::Error(base::ErrorKind::invalid, "needs digest and repository"));
  auto found = shelf.find_manifest(*repository, *digest);
  if (!found.ok()) return refusal(found.error());
  http::Response response;
  response.headers.add("Content-Type", found->media_type);
  if (found->proven) response.headers.add(kProvenHeader, "1");
  response.text = *found->bytes;
  core.probe.served(response.text.size());
  return response;
}

http::Response PeerHandler::Impl::tag(std::string_view query) {
  const auto repository = registry::query_value(query, "repository");
  const auto name = registry::query_value(query, "tag");
  if (!repository || !name) return refusal(base::Error(base::ErrorKind::invalid, "needs repository and tag"));
  const auto found = shelf.find_tag(*repository, *name);
  if (!found.ok()) return refusal(found.error());
  return json(200, nlohmann::json{{"digest", found->digest.to_string()},
                                  {"fetched_ago", static_cast<std::uint64_t>(found->fetched_ago.count())},
                                  {"checked_ago", static_cast<std::uint64_t>(found->checked_ago.count())}}
                       .dump());
}

std::unique_ptr<http::Operation> PeerHandler::Impl::blob(std::string_view reference, std::string_view query,
                                                         const std::string& nonce, http::Responder responder) {
  const auto digest = base::Digest::parse(reference);
  const auto repository = registry::query_value(query, "repository");
  const auto from = number(registry::query_value(query, "offset").value_or("0"));
  if (!digest.ok() || !repository || !from) {
    responder.send(refusal(base::Error(base::ErrorKind::invalid, "needs digest, repository and offset")));
    return nullptr;
  }
  auto operation = std::make_unique<BlobOperation>();
  operation->pending = shelf.open_blob(
      *repository, *digest,
      [this, nonce, digest = *digest, offset = *from,
       responder = std::move(responder)](base::Result<Shelf::Item> item) mutable {
        if (item.ok() && item->size && offset > *item->size) {
          item = base::Error(base::ErrorKind::invalid, "the blob ends before that offset");
        }
        auto source = item.ok() ? item->read(offset) : nullptr;
        if (item.ok() && source == nullptr) {
          item = base::Error(base::ErrorKind::busy, "the blob can be read from its beginning only");
        }
        if (!item.ok()) {
          auto response = refusal(item.error());
          seal(response, nonce, response.text);
          return responder.send(std::move(response));
        }
        http::Response response;
        response.headers.add("Content-Type", "application/octet-stream");
        response.headers.add(kOffsetHeader, std::to_string(offset));
        if (item->size) response.headers.add(kSizeHeader, std::to_string(*item->size));
        if (item->proven) response.headers.add(kProvenHeader, "1");
        seal(response, nonce, blob_text(response.headers.get(kOffsetHeader), response.headers.get(kSizeHeader)));
        if (item->size) response.content_length = *item->size - offset;
        response.source = std::make_unique<UploadSource>(std::move(source), core, loop);
        response.on_end = [&store = core.store, digest](const http::ExchangeEnd& end) {
          const bool disk_failed = end.file && end.error && end.error->kind() == base::ErrorKind::corrupt;
          if (disk_failed) store.report_unreadable(digest, *end.file, *end.error);
        };
        responder.send(std::move(response));
      });
  return operation;
}

std::unique_ptr<http::Operation> PeerHandler::Impl::pieces(std::string_view reference, std::string_view query,
                                                           const Seal::Caller& caller, const std::string& ip,
                                                           http::Responder responder) {
  const auto digest = base::Digest::parse(reference);
  const auto repository = registry::query_value(query, "repository");
  const auto size = number(registry::query_value(query, "size").value_or(""));
  const auto port = number(registry::query_value(query, "port").value_or(""));
  auto operation = std::make_unique<MapOperation>(std::move(responder));
  const auto refuse = [&](base::ErrorKind kind, const char* why) {
    operation->responder.send(map_answer(base::Error(kind, why), caller.nonce, false));
    return nullptr;
  };
  if (!digest.ok() || !repository || !size || !port || *port == 0 || *port > 65'535) {
    return refuse(base::ErrorKind::invalid, "needs digest, repository, size and port");
  }
  if (!core.door->is_open()) return refuse(base::ErrorKind::not_found, "this node takes part in no swarm");
  const auto piece = number(registry::query_value(query, "piece").value_or(""));
  if (piece && *piece != piece_length_for(*size)) {
    return refuse(base::ErrorKind::not_found, "pieces are of another length here: another version");
  }
  const auto mapped = std::string_view(ip).starts_with("::ffff:") && ip.find('.') != std::string::npos ? 7U : 0U;
  MapQuestion question{*digest,
                       *size,
                       {caller.node, ip.substr(mapped), static_cast<std::uint16_t>(*port)},
                       registry::query_value(query, "call") == "1"};
  auto answered = [this, digest = *digest, repository = *repository, nonce = caller.nonce,
                   watch = operation->life.watch(), waiting = operation.get()](base::Result<MapAnswer> answer) {
    loop.post([this, digest, repository, nonce, watch, waiting, answer = std::move(answer)]() mutable {
      if (watch.gone()) return;
      waiting->responder.send(map_answer(std::move(answer), nonce, shelf.is_proven(repository, digest)));
    });
  };
  core.door->post(core.door, [question = std::move(question), answered = std::move(answered)](SwarmDesk& desk) mutable {
    desk.subscribe(std::move(question), std::move(answered));
  });
  return operation;
}

http::Response PeerHandler::Impl::map_answer(base::Result<MapAnswer> answer, const std::string& nonce, bool proven) {
  if (!answer.ok()) {
    auto response = refusal(answer.error());
    seal(response, nonce, response.text);
    return response;
  }
  http::Response response;
  response.headers.add("Content-Type", "application/octet-stream");
  response.headers.add("Cache-Control", "no-store");
  response.headers.add(kSwarmPortHeader, std::to_string(answer->swarm_port));
  if (proven) response.headers.add(kProvenHeader, "1");
  seal(response, nonce, map_text(response.headers.get(kSwarmPortHeader)));
  response.source = std::make_unique<MapSource>(std::move(*answer), *core.seal, nonce, loop);
  return response;
}

}  // namespace shoal::p2p
