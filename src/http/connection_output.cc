// Connection, second half: answers to bytes, and the end.
#include <algorithm>

#include "connection.h"
#include "shoal/net/stream.h"

namespace shoal::http {

namespace {

// A client that goes on sending when it has its answer: how long it may stand still, and how long it may go on.
constexpr std::chrono::seconds kLingerIdle{2};
constexpr std::chrono::seconds kLingerTime{20};
constexpr std::uint64_t kLingerBytesPerSecond = 256 * 1024;

struct BodyPlan {
  Framing framing = Framing::none;
  std::uint64_t length = 0;
  bool send_body = false;
};

BodyPlan plan_body(const Response& response, bool is_head, bool http_1_0) {
  BodyPlan plan;
  if (response.status < 200 || response.status == 204 || response.status == 304) return plan;
  plan.send_body = !is_head;
  if (response.source == nullptr) {
    plan.framing = Framing::length;
    plan.length = is_head && response.text.empty() ? response.content_length.value_or(0) : response.text.size();
  } else if (response.content_length) {
    plan.framing = Framing::length;
    plan.length = *response.content_length;
  } else {
    plan.framing = http_1_0 ? Framing::close : Framing::chunked;
  }
  return plan;
}

}  // namespace

Connection::Connection(ConnectionContext& context, std::unique_ptr<net::Stream> stream, bool secure)
    : context_(context),
      stream_(std::move(stream)),
      parser_(context.options, stream_->peer(), secure),
      writer_(*stream_, context.resident, context.options.window_bytes) {}

Connection::~Connection() { end_exchange(EndCause::shutdown); }

void Connection::start() {
  // Before the first request there may be a TLS handshake, and round trips: nothing that keep_alive_timeout is about.
  deadline_ = context_.loop.now() + std::max(context_.options.keep_alive_timeout, context_.options.header_timeout);
  read_on();
}

void Connection::read_on() {
  reads_stopped_ = false;
  stream_->read_start([this](base::Result<std::string_view> data) { on_data(std::move(data)); });
}

void Connection::enter(State next) { state_ = next; }

// What a handler or source gave us may be running right now: then it is dropped one turn later.
template <class T>
void Connection::drop_soon(std::unique_ptr<T> object) {
  if (object == nullptr) return;
  if (in_foreign_call_) context_.loop.post([gone = std::move(object)] {});
}

void Connection::check_deadline(base::SteadyTime now) {
  if (now < deadline_) return;
  const auto self = shared_from_this();
  switch (state_) {
    case State::idle:
    case State::lingering: return close();
    case State::head: return refuse(408, "the request headers took too long");
    case State::body: return refuse(408, "the request body took too long");
    case State::handling:
      if (!receiving_) return cut(EndCause::timeout);
      if (peer_ended_) return abandon_body();
      return break_body(base::Error(base::ErrorKind::timeout, "request body: the client sent nothing for too long"));
    case State::sending: return cut(EndCause::timeout);
    case State::closed: return;
  }
}

void Connection::drain() {
  const auto self = shared_from_this();
  if (state_ == State::idle) close();
}

void Connection::cut(EndCause cause) {
  if (state_ == State::closed) return;
  const auto self = shared_from_this();
  stream_->reset();
  end_exchange(cause);
  close();
}

void Connection::respond(std::uint64_t exchange, Response response) {
  const auto self = shared_from_this();
  if (exchange != exchange_ || state_ != State::handling || early_.has_value()) {
    if (response.on_end) response.on_end(ExchangeEnd{});  // too late, or a second answer
    return;
  }
  if (in_handle_) {
    early_ = std::move(response);  // handle() has not returned its operation yet
    return;
  }
  in_foreign_call_ = true;
  start_response(std::move(response));
  in_foreign_call_ = false;
  parse_kept_later();
}

// The next pipelined request goes to the handler in a turn of its own, not from inside a handler's or source's code.
void Connection::parse_kept_later() {
  if (state_ != State::idle || kept_.empty()) return;
  context_.loop.post([weak = weak_from_this()] {
    if (const auto alive = weak.lock()) alive->parse_kept();
  });
}

void Connection::start_response(Response response) {
  if (receiving_) {  // an answer before the end: the rest is not read, so no further request can be found
    break_body(base::Error(base::ErrorKind::cancelled, "request body: the request was answered before its end"));
  }
  enter(State::sending);
  const auto& request = parser_.request();
  const auto plan = plan_body(response, request.method == Method::head, parser_.http_1_0());
  close_after_ = close_after_ || response.close || context_.draining || (peer_ended_ && !more_input()) ||
                 plan.framing == Framing::close;
  on_end_ = std::move(response.on_end);
  HeadFacts facts;
  facts.framing = plan.framing;
  facts.length = plan.length;
  facts.server = context_.options.server_name;
  facts.date = context_.date.at(context_.loop.now());
  facts.request_id = request.id;
  if (close_after_) {
    facts.connection = ConnectionHeader::close;
  } else if (parser_.http_1_0()) {
    facts.connection = ConnectionHeader::keep_alive;
  }
  append_head(writer_.head(), response.status, response.headers, facts);
  if (plan.send_body) {
    writer_.start(plan.framing, plan.length, std::move(response.text), std::move(response.source));
  } else {
    writer_.start(plan.framing, 0, {}, nullptr);
    drop_soon(std::move(response.source));
  }
  deadline_ = context_.loop.now() + context_.options.send_timeout;
  advance();
}

void Connection::advance() {
  const auto before = writer_.total_bytes();
  const auto status = writer_.advance(context_.loop.now());
  if (writer_.total_bytes() > before) {
    deadline_ = context_.loop.now() + context_.options.send_timeout;
    if (!wrote_first_byte_) {
      wrote_first_byte_ = true;
      first_byte_ = std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now() - started_);
    }
  }
  switch (status) {
    case ResponseWriter::Status::done: return finish_exchange();
    case ResponseWriter::Status::socket: return wait_for_socket();
    case ResponseWriter::Status::source: return wait_for_source();
    case ResponseWriter::Status::disk: return load_pages();
    case ResponseWriter::Status::yielded:
      context_.loop.post([weak = weak_from_this()] {
        if (const auto alive = weak.lock()) alive->resume_output();
      });
      return;
    case ResponseWriter::Status::failed:
      if (writer_.file_failed()) return cut(EndCause::file);
      return cut(writer_.source_error() ? EndCause::source : EndCause::client);
  }
}

// What waited for the socket, the disk or its share of the turn goes on.
void Connection::resume_output() {
  if (state_ != State::sending) return;
  advance();
  parse_kept();
}

void Connection::wait_for_socket() {
  stream_->on_writable([this] {
    const auto self = shared_from_this();
    resume_output();
  });
}

void Connection::wait_for_source() {
  deadline_ = base::SteadyTime::max();  // the client is not to blame
  // Weakly: a source that is dropped one turn later may call once more.
  writer_.source()->on_ready([weak = weak_from_this()] {
    const auto alive = weak.lock();
    if (alive == nullptr || alive->state_ != State::sending) return;
    alive->writer_.source_ready();
    alive->deadline_ = alive->context_.loop.now() + alive->context_.options.send_timeout;
    alive->in_foreign_call_ = true;  // the source may call from inside its own code
    alive->advance();
    alive->in_foreign_call_ = false;
    alive->parse_kept_later();
  });
}

void Connection::load_pages() {
  deadline_ = base::SteadyTime::max();  // nor for a slow disk
  context_.disk.post([&loop = context_.loop, weak = weak_from_this(), pages = writer_.pages_to_load()] {
    auto loaded = net::load_pages(*pages.file, pages.offset, pages.size);
    loop.post([weak, loaded = std::move(loaded)] {
      const auto alive = weak.lock();
      if (alive == nullptr || alive->state_ != State::sending) return;
      if (!loaded.ok()) {
        alive->writer_.file_failed(loaded.error());
        return alive->cut(EndCause::file);
      }
      alive->writer_.pages_loaded();
      alive->deadline_ = alive->context_.loop.now() + alive->context_.options.send_timeout;
      alive->resume_output();
    });
  });
}

void Connection::finish_exchange() {
  end_exchange(EndCause::complete);
  if (state_ == State::closed) return;  // by what on_end did
  if (close_after_) return more_input() ? linger() : close();
  if ((peer_ended_ || context_.draining) && !more_input()) return close();
  enter(State::idle);
  parser_.reset();
  deadline_ = context_.loop.now() + context_.options.keep_alive_timeout;
  if (reads_stopped_) read_on();
}

// Reports and drops what belongs to the running exchange, if any.
void Connection::end_exchange(EndCause cause) {
  if (state_ != State::handling && state_ != State::sending) return;
  ExchangeEnd end;
  end.complete = cause == EndCause::complete;
  end.cause = cause;
  end.error = writer_.source_error();
  if (cause == EndCause::file) end.file = writer_.pages_to_load().file;
  end.body_bytes = writer_.body_bytes();
  end.first_byte = first_byte_;
  end.total = std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now() - started_);
  auto source = writer_.finish();
  if (early_) {  // answered inside handle(), but the client is gone before it could be sent
    on_end_ = std::move(early_->on_end);
    early_.reset();
  }
  if (auto on_end = std::move(on_end_)) on_end(end);
  if (body_ != nullptr) body_->fail(base::Error(base::ErrorKind::cancelled, "request body: the exchange is over"));
  body_.reset();
  parser_.forget_stream();  // nobody but the operation holds it now: its callback goes with it
  receiving_ = body_broken_ = owes_continue_ = false;
  drop_soon(std::move(source));
  drop_soon(std::move(operation_));
}

void Connection::linger() {
  enter(State::lingering);
  kept_ = std::string();
  stream_->shutdown_write();
  linger_began_ = context_.loop.now();
  still_sending();
  if (peer_ended_) return close();
  if (reads_stopped_) read_on();
}

// The more it sends, the longer: single bytes buy no time.
void Connection::still_sending() {
  const auto earned = std::chrono::seconds(discarded_ / kLingerBytesPerSecond);
  const auto until = linger_began_ + std::min(kLingerTime, kLingerIdle + earned);
  deadline_ = std::min(until, context_.loop.now() + kLingerIdle);
}

void Connection::close() {
  if (state_ == State::closed) return;
  const auto self = shared_from_this();
  enter(State::closed);
  stream_.reset();
  context_.closed(*this);
}

}  // namespace shoal::http
