#include "exchange.h"

#include "support/memory_store.h"

namespace shoal::sim {
namespace {

constexpr std::uint64_t kChunk = 64 * 1024;
constexpr std::uint64_t kHeadBytes = 400;
constexpr Millis kCutAgain{50};

http::Method method_of(const std::string& name) {
  if (name == "POST") return http::Method::post;
  if (name == "HEAD") return http::Method::head;
  return http::Method::get;
}

std::string host_of(const std::string& url) {
  const auto rest = url.substr(url.find("://") + 3);
  return rest.substr(0, rest.find('/'));
}

}  // namespace

Exchange::Exchange(Wire& wire, int from, fetch::Request request, fetch::Sink& sink)
    : wire_(wire), from_(from), to_(wire.net.node_at(request.url)), request_(std::move(request)), sink_(&sink) {
  const auto path = request_.url.find('/', request_.url.find("://") + 3);
  target_ = path == std::string::npos ? "/" : request_.url.substr(path);
}

Exchange::~Exchange() {
  if (timeout_) wire_.world.cancel(*timeout_);
}

void Exchange::when_there(base::SteadyTime when, int owner, base::UniqueFunction<void()> run) {
  wire_.world.schedule(when, owner, World::Kind::timer,
                       [self = shared_from_this(), owner, run = std::move(run)]() mutable {
                         if (!self->wire_.net.is_cut(self->from_, self->to_)) return run();
                         self->when_there(self->wire_.world.now() + kCutAgain, owner, std::move(run));
                       });
}

void Exchange::arm(std::chrono::milliseconds timeout, const char* what) {
  if (timeout_) wire_.world.cancel(*timeout_);
  timeout_ = wire_.world.after(timeout, from_, [this, self = shared_from_this(), what] {
    timeout_.reset();
    finish(base::Error(base::ErrorKind::timeout, base::format("{}: {}", request_.url, what)));
  });
}

void Exchange::call() {
  ++wire_.counts.calls;
  const auto away = wire_.net.latency(from_, to_);
  switch (wire_.net.calls(from_, to_)) {
    case Net::Calls::refused:
      return fail_later(2 * away, base::Error(base::ErrorKind::gone, request_.url + ": connect: connection refused"));
    case Net::Calls::swallowed: return arm(request_.connect_timeout, "connect: nobody answers");
    case Net::Calls::open: break;
  }
  server_ = wire_.net.host(to_).life;
  arm(request_.connect_timeout + request_.first_byte_timeout, "no answer");
  when_there(wire_.net.carry(from_, to_, kHeadBytes + request_.body.size()), to_, [this] { arrive(); });
}

void Exchange::fail_later(std::chrono::nanoseconds delay, base::Error error) {
  wire_.world.after(delay, from_, [this, self = shared_from_this(), error = std::move(error)] { finish(error); });
}

void Exchange::arrive() {
  if (sink_ == nullptr || !server_->alive) return;
  http::Request request;
  request.method = method_of(request_.method);
  request.target = target_;
  request.host = host_of(request_.url);
  for (const auto& [name, value] : request_.headers) request.headers.add(name, value);
  request.peer = {Net::ip_of(from_), 40'000};
  request.id = "sim";
  if (server_->handler->body_mode(request) == http::BodyMode::buffer) request.body = request_.body;
  serving_ = true;
  auto operation = server_->handler->handle(request, http::Responder(weak_from_this(), 1));
  if (serving_) operation_ = std::move(operation);
}

void Exchange::respond(std::uint64_t, http::Response response) {
  if (!serving_ || std::exchange(responded_, true)) return;
  response_ = std::move(response);
  if (response_.source == nullptr) {
    left_ = response_.text.size();
  } else {
    left_ = response_.content_length;
  }
  const auto bytes = kHeadBytes + response_.text.size();
  when_there(wire_.net.carry(to_, from_, bytes), from_, [this] { deliver_head(); });
}

void Exchange::deliver_head() {
  if (sink_ == nullptr || !serving_) return;
  fetch::ResponseHead head;
  status_ = head.status = response_.status;
  head.effective_url = request_.url;
  for (const auto& header : response_.headers.all()) head.headers.emplace_back(header.name, header.value);
  if (left_) head.headers.emplace_back("Content-Length", std::to_string(*left_));
  head_taken_ = true;
  arm(request_.stall_timeout, "nothing more comes");
  const auto self = shared_from_this();
  sink_->on_head(head);
  if (sink_ == nullptr) return;
  if (response_.source != nullptr) return pump();
  if (!response_.text.empty()) {
    auto text = std::move(response_.text);
    left_ = 0;
    if (wire_.net.host(to_).spoils_answers && status_ == 200) {
      text[wire_.world.pick(text.size())] ^= 1;
      ++wire_.counts.spoilt_answers;
    }
    taken_ += text.size();
    (void)sink_->on_data(text);
  }
  if (sink_ != nullptr) finish({});
}

void Exchange::pump() {
  if (!serving_ || sink_ == nullptr || paused_ || pulling_ || response_.source == nullptr) return;
  auto piece = response_.source->pull(kChunk);
  if (auto* file = std::get_if<base::FileSlice>(&piece)) return bring(test::read_slice(*file));
  if (auto* memory = std::get_if<base::MemorySlice>(&piece)) return bring(std::string(memory->bytes));
  if (std::holds_alternative<base::SourcePending>(piece)) {
    return response_.source->on_ready([weak = weak_from_this()] {
      if (const auto self = weak.lock()) self->pump();
    });
  }
  const bool whole = std::holds_alternative<base::SourceEnd>(piece) && left_.value_or(0) == 0;
  pulling_ = true;
  when_there(wire_.net.carry(to_, from_, 1), from_, [this, whole] {
    if (whole) return finish({});
    finish(base::Error(base::ErrorKind::gone, request_.url + ": the answer was cut"));
  });
}

void Exchange::bring(std::string bytes) {
  pulling_ = true;
  if (left_) *left_ -= std::min<std::uint64_t>(*left_, bytes.size());
  const auto when = wire_.net.carry(to_, from_, bytes.size());
  when_there(when, from_, [this, bytes = std::move(bytes)]() mutable {
    pulling_ = false;
    deliver(std::move(bytes));
  });
}

void Exchange::deliver(std::string bytes) {
  if (sink_ == nullptr || !serving_) return;
  if (paused_) {
    waiting_ = std::move(bytes);
    return;
  }
  arm(request_.stall_timeout, "nothing more comes");
  const bool spoilt = spoil(bytes);
  taken_ += bytes.size();
  const auto self = shared_from_this();
  if (sink_->on_data(bytes) == fetch::Flow::pause && sink_ != nullptr) {
    paused_ = true;
    if (timeout_) wire_.world.cancel(*std::exchange(timeout_, std::nullopt));
    return;
  }
  if (spoilt && sink_ != nullptr) {
    wire_.world.violation("node {} took a frame of node {}'s piece map whose seal was broken", from_, to_);
  }
  pump();
}

// Changes a bit of an entry in the first whole frame of entries.
bool Exchange::spoil(std::string& bytes) const {
  if (!wire_.net.host(to_).spoils_maps || !target_.starts_with("/p2p/v1/pieces/") || status_ != 200) return false;
  constexpr std::size_t kHead = 5, kSeal = 67, kEntry = 36;
  for (std::size_t at = 0; at + kHead < bytes.size();) {
    std::size_t length = 0;
    for (std::size_t i = 1; i < kHead; ++i) length = length << 8 | static_cast<unsigned char>(bytes[at + i]);
    if (at + kHead + length + kSeal > bytes.size()) return false;
    if (bytes[at] == 'E' && length >= kEntry) {
      bytes[at + kHead + 4 + wire_.world.pick(32)] ^= 1;
      ++wire_.counts.spoilt_frames;
      return true;
    }
    at += kHead + length + kSeal;
  }
  return false;
}

void Exchange::resume() {
  if (!std::exchange(paused_, false)) return;
  arm(request_.stall_timeout, "nothing more comes");
  // Never inside the call.
  wire_.world.after(std::chrono::nanoseconds(0), from_, [this, self = shared_from_this()] {
    if (!waiting_.empty()) return deliver(std::exchange(waiting_, {}));
    pump();
  });
}

void Exchange::finish(base::Result<void> result) {
  if (sink_ == nullptr) return;
  if (timeout_) wire_.world.cancel(*std::exchange(timeout_, std::nullopt));
  const auto self = shared_from_this();
  const bool good = result.ok() && status_ >= 200 && status_ < 300;
  if (good || taken_ > 0) {
    if (target_.starts_with("/p2p/v1/blobs/") && status_ == 200) wire_.forgive(from_, digest_in(target_));
  }
  if (!good && (taken_ == 0 || status_ != 200)) wire_.note_failure(from_, to_, target_);
  auto* sink = std::exchange(sink_, nullptr);
  const bool complete = result.ok();
  wire_.world.after(wire_.net.latency(from_, to_), to_, [self, complete] { self->let_server_go(complete); });
  sink->on_end(std::move(result));
}

void Exchange::client_left() {
  if (sink_ == nullptr) return;
  sink_ = nullptr;
  if (timeout_) wire_.world.cancel(*std::exchange(timeout_, std::nullopt));
  when_there(wire_.world.now() + wire_.net.latency(from_, to_), to_, [this] { let_server_go(false); });
}

void Exchange::let_server_go(bool complete) {
  const auto self = shared_from_this();
  if (std::exchange(serving_, false)) {
    operation_.reset();
    response_.source.reset();
    if (auto end = std::exchange(response_.on_end, nullptr)) {
      end({.complete = complete, .cause = complete ? http::EndCause::complete : http::EndCause::client});
    }
  }
  wire_.ended(*this);
}

void Exchange::client_died() {
  sink_ = nullptr;
  if (timeout_) wire_.world.cancel(*std::exchange(timeout_, std::nullopt));
  when_there(wire_.world.now() + wire_.net.latency(from_, to_), to_, [this] { let_server_go(false); });
}

void Exchange::server_died() {
  const auto self = shared_from_this();
  serving_ = false;
  operation_.reset();
  response_.source.reset();
  response_.on_end = nullptr;
  if (sink_ == nullptr) return wire_.ended(*this);
  when_there(wire_.world.now() + wire_.net.latency(from_, to_), from_,
             [this] { finish(base::Error(base::ErrorKind::gone, request_.url + ": connection reset by peer")); });
}

}  // namespace shoal::sim
