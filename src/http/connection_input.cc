// Connection, first half: bytes to requests.
#include <algorithm>

#include "connection.h"
#include "shoal/obs/metrics.h"

namespace shoal::http {

namespace {

constexpr std::size_t kKeptLimit = 64 * 1024;          // pipelined bytes kept before reading stops
constexpr char kTlsHandshake = 0x16;                   // the first byte of a TLS ClientHello
constexpr std::uint64_t kDiscardLimit = 256ULL << 20;  // of what a client still sends when it has its answer

}  // namespace

void Connection::on_data(base::Result<std::string_view> data) {
  const auto self = shared_from_this();
  if (!data) {
    if (body_ != nullptr) body_->fail(data.error().at("request body"));
    end_exchange(EndCause::client);
    close();
    return;
  }
  if (data->empty()) {
    peer_ended();
  } else {
    take(*data);
  }
}

void Connection::take(std::string_view bytes) {
  switch (state_) {
    case State::idle:
      // Clients that do not know whether we speak TLS try it first, at every pull: not worth an answer or a log line.
      if (exchange_ == 0 && bytes.front() == kTlsHandshake) return close();
      if (kept_.empty()) return parse(bytes);
      kept_.append(bytes);  // the turn of what came before has been posted (parse_kept_later), but not run
      return parse_kept();
    case State::head: return parse(bytes);
    case State::body: deadline_ = context_.loop.now() + context_.options.body_timeout; return parse(bytes);
    case State::handling:
    case State::sending: return receive(bytes);
    case State::lingering:
      discarded_ += bytes.size();
      if (discarded_ > kDiscardLimit) return close();
      return still_sending();
    case State::closed: return;
  }
}

void Connection::keep(std::string_view bytes) {
  if (close_after_ && state_ == State::sending) {
    unread_input_ = true;
    return;
  }
  kept_.append(bytes);
  if (kept_.size() >= kKeptLimit) stop_reading();
}

// A FIN: the client will send no more, but may well wait for the answer to what it sent.
void Connection::peer_ended() {
  peer_ended_ = true;
  if (receiving_ && !body_broken_) {
    if (kept_.empty()) abandon_body();
    return;
  }
  if (state_ == State::handling || state_ == State::sending || (state_ == State::idle && !kept_.empty())) return;
  close();
}

void Connection::parse_kept() {
  if (state_ != State::idle || kept_.empty()) return;
  std::string bytes;
  bytes.swap(kept_);  // parse() may keep a rest again
  parse(bytes);
}

void Connection::parse(std::string_view bytes) {
  using Progress = RequestParser::Progress;
  while (!bytes.empty() && (state_ == State::idle || state_ == State::head || state_ == State::body)) {
    if (state_ == State::idle) {
      // Empty lines between requests start nothing (RFC 9112 2.2).
      bytes.remove_prefix(std::min(bytes.find_first_not_of("\r\n"), bytes.size()));
      if (bytes.empty()) break;
      enter(State::head);
      deadline_ = context_.loop.now() + context_.options.header_timeout;
    }
    const auto step = parser_.feed(bytes);
    bytes.remove_prefix(step.consumed);
    unread_input_ = !bytes.empty();
    switch (step.progress) {
      case Progress::more: break;
      case Progress::head: begin_body(); break;
      case Progress::message:
        if (state_ == State::head) begin_without_body();
        begin_exchange();
        break;
      case Progress::refused: refuse(parser_.refusal().status, parser_.refusal().reason); break;
    }
  }
  if (state_ == State::handling || state_ == State::sending) {
    receive(bytes);
  } else if (peer_ended_ && state_ != State::lingering) {
    close();  // half a request, and no more will come
  }
}

void Connection::begin_body() {
  const auto mode = context_.handler.body_mode(parser_.request());
  if (mode == BodyMode::stream) return begin_streamed_body();
  enter(State::body);
  deadline_ = context_.loop.now() + context_.options.body_timeout;
  const bool wanted = mode == BodyMode::buffer;
  if (!(wanted ? parser_.keep_body() : parser_.drop_body())) {
    return refuse(parser_.refusal().status, parser_.refusal().reason);
  }
  if (!parser_.expects_continue()) return;
  if (!wanted) {  // the client has not sent it: answer instead of asking for it
    close_after_ = unread_input_ = true;
    begin_exchange();
    return;
  }
  if (!send_continue()) cut(EndCause::client);
}

// Whoever streams bodies gets one here too: at its end.
void Connection::begin_without_body() {
  auto& request = parser_.request();
  if (context_.handler.body_mode(request) != BodyMode::stream) return;
  auto body = std::make_shared<StreamedBody>(context_.loop, 0, 0, [] {});
  body->end();
  request.stream = std::move(body);
}

void Connection::begin_exchange() {
  enter(State::handling);
  deadline_ = base::SteadyTime::max();  // the handler has timeouts of its own
  ++exchange_;
  started_ = std::chrono::steady_clock::now();
  wrote_first_byte_ = false;
  first_byte_ = {};
  auto& request = parser_.request();
  request.id = obs::next_request_id();
  request.certified = stream_->certified();
  const auto& options = context_.options;
  close_after_ = close_after_ || !parser_.keep_alive() ||
                 (options.max_requests_per_connection > 0 && exchange_ >= options.max_requests_per_connection);
  in_handle_ = true;
  auto operation = context_.handler.handle(request, Responder(weak_from_this(), exchange_));
  in_handle_ = false;
  if (state_ != State::handling) return drop_soon(std::move(operation));  // the handler had us closed
  operation_ = std::move(operation);
  if (!early_) return;
  Response response = std::move(*early_);
  early_.reset();
  start_response(std::move(response));
}

void Connection::refuse(int status, std::string_view reason) {
  enter(State::handling);
  ++exchange_;
  started_ = std::chrono::steady_clock::now();
  wrote_first_byte_ = false;
  first_byte_ = {};
  close_after_ = unread_input_ = true;
  if (parser_.request().id.empty()) parser_.request().id = obs::next_request_id();
  start_response(context_.handler.refuse(status, reason));
}

}  // namespace shoal::http
