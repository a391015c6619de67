#include "shim.h"

#include <cstdlib>
#include <vector>

#include "call.h"
#include "map_frames.h"

namespace shoal::sim {

using namespace p2p;

namespace {

// The frames of a piece map, told again with other hashes.
class LyingMap final : public base::ByteSource, private FrameReader::Taker {
 public:
  LyingMap(std::unique_ptr<base::ByteSource> source, const Seal& seal, const std::string& nonce)
      : source_(std::move(source)), reader_(seal, nonce, UINT32_MAX, *this), writer_(seal, nonce) {}
  [[nodiscard]] base::Pulled pull(std::uint64_t max) override {
    while (told_.empty()) {
      auto piece = source_->pull(max);
      const auto* memory = std::get_if<base::MemorySlice>(&piece);
      if (memory == nullptr) return piece;
      if (!reader_.take(memory->bytes).ok()) std::abort();
      if (told_.empty()) told_ = writer_.keep_alive();
    }
    const auto out = std::make_shared<const std::string>(std::exchange(told_, {}));
    return base::MemorySlice{out, *out};
  }
  void on_ready(base::UniqueFunction<void()> ready) override { source_->on_ready(std::move(ready)); }

 private:
  void on_entries(const std::vector<MapEntry>& entries) override {
    auto false_ones = entries;
    for (auto& entry : false_ones) entry.hash[7] ^= 0xff;
    told_ += writer_.entries(false_ones);
  }
  void on_place(MapPlace place) override { told_ += writer_.place(place); }

  std::unique_ptr<base::ByteSource> source_;
  FrameReader reader_;
  FrameWriter writer_;
  std::string told_;
};

void cut_out(std::string& text, const std::string& member) {  // "port":6881, and the comma before it
  for (auto at = text.find(member); at != std::string::npos; at = text.find(member, at)) {
    const auto end = text.find_first_not_of("0123456789", at + member.size());
    auto from = at;
    if (from > 0 && text[from - 1] == ',') {
      text.erase(from - 1, end - from + 1);
      at = from - 1;
    } else {
      text.erase(from, end - from + (text[end] == ',' ? 1 : 0));
    }
  }
}

class Relay final : public http::Responder::Target {
 public:
  Relay(Ways ways, Seal& seal, std::string nonce, bool pieces, http::Responder to)
      : ways_(ways), seal_(seal), nonce_(std::move(nonce)), pieces_(pieces), to_(std::move(to)) {}
  void respond(std::uint64_t, http::Response response) override {
    if (pieces_ && ways_.lies_on_pieces && response.source != nullptr) {
      response.source = std::make_unique<LyingMap>(std::move(response.source), seal_, nonce_);
    }
    if (response.status == 200 && response.text.starts_with("{") && response.text.size() > 2) retell(response);
    to_.send(std::move(response));
  }

 private:
  void retell(http::Response& response) {
    const auto kind = response.headers.get("Content-Type");
    if (kind != "application/json") return;
    if (ways_.says_more) response.text.insert(1, R"("mood":{"sky":["blue",7]},"later":null,)");
    if (!ways_.knows_pieces) cut_out(response.text, "\"port\":");
    http::Headers headers;
    for (const auto& header : response.headers.all()) {
      if (header.name != kSealHeader) headers.add(header.name, header.value);
    }
    const auto sealed = sealed_text(headers.get(kProvenHeader), response.text);
    headers.add(kSealHeader, seal_.answer(nonce_, response.status, sealed));
    response.headers = std::move(headers);
  }

  const Ways ways_;
  Seal& seal_;
  const std::string nonce_;
  const bool pieces_;
  http::Responder to_;
};

struct Relayed final : http::Operation {
  ~Relayed() override = default;
  std::shared_ptr<Relay> relay;  // the inner handler holds it weakly
  std::unique_ptr<http::Operation> inner;
};

}  // namespace

Shim::Shim(http::Handler& inner, Ways ways, const std::string& secret, base::Clock& clock)
    : inner_(inner), ways_(ways), seal_(std::move(*Seal::make(secret))), clock_(clock) {}
Shim::~Shim() = default;

std::unique_ptr<http::Operation> Shim::handle(const http::Request& request, http::Responder responder) {
  const std::string_view target = request.target;
  const bool pieces = target.starts_with("/p2p/v1/pieces/");
  const bool content = pieces || target.starts_with("/p2p/v1/blobs/");
  if ((pieces && !ways_.knows_pieces) || (content && ways_.refuses_blobs)) {
    http::Response response;
    response.status = ways_.refuses_blobs ? 500 : 404;
    response.text = "no such page";
    responder.send(std::move(response));
    return nullptr;
  }
  if (!target.starts_with("/p2p/v1/")) return inner_.handle(request, std::move(responder));
  const auto caller =
      seal_->check_request(request.headers.get(kSealHeader), http::to_string(request.method),
                           sealed_target(request.host, request.target), request.body, clock_.wall_now());
  if (!caller.ok()) return inner_.handle(request, std::move(responder));  // it will refuse, too
  auto operation = std::make_unique<Relayed>();
  operation->relay = std::make_shared<Relay>(ways_, *seal_, caller->nonce, pieces, std::move(responder));
  operation->inner = inner_.handle(request, http::Responder(operation->relay, 1));
  return operation;
}

}  // namespace shoal::sim
