// Connection, third part: a streamed body, from the socket to its reader.
#include <algorithm>

#include "connection.h"

namespace shoal::http {

namespace {
constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
}

bool Connection::send_continue() {
  const std::string_view part = kContinue;
  const auto sent = stream_->write_some({&part, 1});
  // Nothing of an answer is before it, so it fits, or else the client takes nothing.
  return sent && *sent == kContinue.size();
}

void Connection::stop_reading() {
  if (reads_stopped_) return;
  reads_stopped_ = true;
  stream_->read_stop();
}

void Connection::begin_streamed_body() {
  const auto length = parser_.body_length();
  const auto limit = context_.options.max_stream_bytes;
  body_ = std::make_shared<StreamedBody>(context_.loop, std::max<std::size_t>(1, context_.options.body_chunk_bytes),
                                         length, [weak = weak_from_this(), exchange = exchange_ + 1] {
                                           const auto alive = weak.lock();
                                           if (alive && alive->exchange_ == exchange) alive->body_wanted();
                                         });
  parser_.stream_body(body_);
  parser_.request().stream = body_;
  receiving_ = true;
  unread_input_ = false;  // what is behind the head is the body; what is behind that will be in kept_
  owes_continue_ = parser_.expects_continue();
  if (limit > 0 && length.value_or(0) > limit) {
    break_body(base::Error(base::ErrorKind::full, "request body: longer than the limit"));
  }
  begin_exchange();
}

// Bytes that come while an exchange runs: of its body, or of what follows it.
void Connection::receive(std::string_view bytes) {
  if (!receiving_) {
    if (!bytes.empty()) keep(bytes);
    return;
  }
  if (body_broken_) {
    unread_input_ = true;
    if (state_ == State::handling) stop_reading();  // until the answer is out; lingering drains
    return;
  }
  if (kept_.empty()) {
    feed_body(bytes);
  } else {
    kept_.append(bytes);  // reading had stopped; these were on their way
    stop_reading();
  }
  if (receiving_ && !body_broken_ && peer_ended_ && kept_.empty()) abandon_body();
}

void Connection::feed_body(std::string_view bytes) {
  using Progress = RequestParser::Progress;
  const auto portion = bytes.size();
  while (!bytes.empty() && receiving_ && !body_broken_) {
    const auto room = body_->room();
    if (room == 0) {
      kept_.append(bytes);
      return stop_reading();
    }
    const auto step = parser_.feed(bytes.substr(0, room));
    bytes.remove_prefix(step.consumed);
    owes_continue_ = false;  // it sends without being asked
    switch (step.progress) {
      case Progress::more:
      case Progress::head: break;
      case Progress::message:
        receiving_ = false;
        body_->end();
        break;
      case Progress::refused: {
        const auto& refusal = parser_.refusal();
        const auto kind = refusal.status == 413 ? base::ErrorKind::full : base::ErrorKind::invalid;
        break_body(base::Error(kind, "request body: " + std::string(refusal.reason)));
        break;
      }
    }
  }
  if (receiving_ && !body_broken_) {
    deadline_ = body_->starved() ? context_.loop.now() + context_.options.body_timeout : base::SteadyTime::max();
    // So that what comes next needs no second copy. A reader that has nothing yet is never left without the socket.
    if (!body_->starved() && body_->room() < portion) stop_reading();
    return;
  }
  if (state_ == State::handling) deadline_ = base::SteadyTime::max();
  receive(bytes);
  if (!receiving_ && reads_stopped_ && kept_.empty()) read_on();  // to learn if the client leaves
}

void Connection::feed_kept() {
  if (!receiving_ || body_broken_) return;
  std::string bytes;
  bytes.swap(kept_);
  receive(bytes);
  const bool roomy = receiving_ && !body_broken_ && body_->room() > context_.options.body_chunk_bytes / 2;
  if (roomy && reads_stopped_ && kept_.empty()) read_on();
}

void Connection::break_body(base::Error error) {
  body_broken_ = close_after_ = unread_input_ = true;
  owes_continue_ = false;
  kept_ = std::string();
  if (state_ == State::handling) deadline_ = base::SteadyTime::max();
  body_->fail(std::move(error));
}

// The client ended inside a body: there is nothing to say about what it meant to send. A refusal that does not depend
// on the body may still be on its way.
void Connection::abandon_body() {
  const base::Error left(base::ErrorKind::gone, "request body: the client left before its end");
  if (!body_->was_read() && state_ == State::handling && !body_broken_) {
    break_body(left);
    deadline_ = context_.loop.now() + context_.options.body_timeout;
    return;
  }
  body_->fail(left);
  end_exchange(EndCause::client);
  close();
}

// A reader waits, or has made room. Runs inside the reader's code: nothing here may end the exchange.
void Connection::body_wanted() {
  if (!receiving_ || body_broken_ || (state_ != State::handling)) return;
  const auto post = [this](void (Connection::*next)()) {
    context_.loop.post([weak = weak_from_this(), next] {
      if (const auto alive = weak.lock()) ((*alive).*next)();
    });
  };
  if (std::exchange(owes_continue_, false) && !send_continue()) return post(&Connection::lost);
  if (!kept_.empty()) return post(&Connection::feed_kept);
  if (body_->starved()) deadline_ = context_.loop.now() + context_.options.body_timeout;
  if (reads_stopped_) read_on();
}

}  // namespace shoal::http
