#include "request_parser.h"

#include <llhttp.h>

#include "target.h"
#include "text.h"

namespace shoal::http {

namespace {

// Chunk sizes, extensions and trailers may be so much longer than the body they carry.
constexpr std::size_t kFramingFactor = 8;
constexpr std::size_t kFramingAllowance = 16 * 1024;
constexpr std::string_view kBodyTooLarge = "the request body is too large";

Method to_method(std::uint8_t method) {
  switch (method) {
    case HTTP_GET: return Method::get;
    case HTTP_HEAD: return Method::head;
    case HTTP_POST: return Method::post;
    case HTTP_PUT: return Method::put;
    case HTTP_PATCH: return Method::patch;
    case HTTP_DELETE: return Method::del;
    case HTTP_OPTIONS: return Method::options;
    default: return Method::other;
  }
}

}  // namespace

struct RequestParser::Llhttp {
  llhttp_t state;

  static RequestParser& self(llhttp_t* parser) { return *static_cast<RequestParser*>(parser->data); }
  static const llhttp_settings_t& settings() {
    static const llhttp_settings_t kSettings = [] {
      llhttp_settings_t s;
      llhttp_settings_init(&s);
      s.on_url = [](llhttp_t* p, const char* at, std::size_t n) { return self(p).on_url({at, n}); };
      s.on_header_field = [](llhttp_t* p, const char* at, std::size_t n) { return self(p).on_field({at, n}); };
      s.on_header_value = [](llhttp_t* p, const char* at, std::size_t n) { return self(p).on_value({at, n}); };
      s.on_header_value_complete = [](llhttp_t* p) { return self(p).on_value_complete(); };
      s.on_headers_complete = [](llhttp_t* p) { return self(p).on_headers_complete(); };
      s.on_body = [](llhttp_t* p, const char* at, std::size_t n) { return self(p).on_body({at, n}); };
      s.on_message_complete = [](llhttp_t* p) { return self(p).on_message_complete(); };
      return s;
    }();
    return kSettings;
  }
};

RequestParser::RequestParser(const ServerOptions& options, net::Address peer, bool secure)
    : options_(options), llhttp_(std::make_unique<Llhttp>()) {
  request_.peer = std::move(peer);
  request_.secure = secure;
  reset();
}

RequestParser::~RequestParser() = default;

void RequestParser::reset() {
  llhttp_init(&llhttp_->state, HTTP_REQUEST, &Llhttp::settings());
  llhttp_->state.data = this;
  request_.method = Method::get;
  request_.target.clear();
  request_.host.clear();
  request_.headers.clear();
  request_.id.clear();
  if (request_.body.capacity() > 0) request_.body = std::string();  // an idle connection keeps no body's memory
  forget_stream();
  refusal_ = {};
  field_.clear();
  value_.clear();
  head_bytes_ = 0;
  raw_body_bytes_ = body_bytes_ = body_length_ = 0;
  head_complete_ = message_complete_ = http_1_0_ = keep_alive_ = expects_continue_ = keep_body_ = false;
}

void RequestParser::forget_stream() {
  request_.stream.reset();
  stream_.reset();
}

RequestParser::Step RequestParser::feed(std::string_view bytes) {
  if (refusal_.status != 0) return {0, Progress::refused};
  llhttp_t& parser = llhttp_->state;
  const bool in_head = !head_complete_;
  // Exactly max_header_bytes of a head reach llhttp, however the bytes arrive.
  const auto part = in_head ? bytes.substr(0, options_.max_header_bytes - head_bytes_) : bytes;
  const auto error = llhttp_execute(&parser, part.data(), part.size());
  std::size_t consumed = part.size();
  if (error == HPE_PAUSED) {
    consumed = static_cast<std::size_t>(llhttp_get_error_pos(&parser) - part.data());
    llhttp_resume(&parser);
  }
  if (in_head) {
    head_bytes_ += consumed;
  } else {
    raw_body_bytes_ += consumed;
  }
  if (error != HPE_OK && error != HPE_PAUSED) {
    refuse_malformed(error);
    return {consumed, Progress::refused};
  }
  if (message_complete_) return {consumed, Progress::message};
  if (head_complete_ && in_head) return {consumed, Progress::head};
  if (in_head && part.size() < bytes.size()) {
    (void)refuse(431, "the request line and headers are too large");
    return {consumed, Progress::refused};
  }
  if (!check_chunk_framing()) return {consumed, Progress::refused};
  return {consumed, Progress::more};
}

bool RequestParser::check_chunk_framing() {
  const auto body = stream_ != nullptr ? body_bytes_ : options_.max_body_bytes;
  if (raw_body_bytes_ <= body * kFramingFactor + kFramingAllowance) return true;
  (void)(stream_ != nullptr ? refuse(400, "malformed request: chunk framing") : refuse(413, kBodyTooLarge));
  return false;
}

std::optional<std::uint64_t> RequestParser::body_length() const {
  if ((llhttp_->state.flags & F_CHUNKED) != 0) return std::nullopt;
  return body_length_;
}

bool RequestParser::check_length() {
  if (body_length_ <= options_.max_body_bytes) return true;
  (void)refuse(413, kBodyTooLarge);
  return false;
}

bool RequestParser::keep_body() {
  keep_body_ = true;
  return check_length();
}

int RequestParser::refuse(int status, std::string_view reason) {
  if (refusal_.status == 0) refusal_ = {status, reason};
  return HPE_USER;
}

void RequestParser::refuse_malformed(int llhttp_error) {
  switch (llhttp_error) {
    case HPE_PAUSED_H2_UPGRADE: (void)refuse(505, "this server speaks HTTP/1.1 only"); break;
    case HPE_INVALID_VERSION: (void)refuse(505, "this server speaks HTTP/1.0 and HTTP/1.1 only"); break;
    case HPE_INVALID_METHOD: (void)refuse(400, "malformed request: not an HTTP method"); break;
    case HPE_UNEXPECTED_CONTENT_LENGTH:
      (void)refuse(400, "malformed request: conflicting Content-Length or Transfer-Encoding");
      break;
    case HPE_INVALID_CONTENT_LENGTH: (void)refuse(400, "malformed request: Content-Length is not a size"); break;
    case HPE_INVALID_TRANSFER_ENCODING: (void)refuse(400, "malformed request: Transfer-Encoding"); break;
    case HPE_INVALID_CHUNK_SIZE: (void)refuse(400, "malformed request: chunk size"); break;
    case HPE_INVALID_URL: (void)refuse(400, "malformed request: target"); break;
    case HPE_INVALID_HEADER_TOKEN: (void)refuse(400, "malformed request: header"); break;
    default: (void)refuse(400, "malformed request"); break;
  }
}

int RequestParser::on_url(std::string_view part) {
  if (request_.target.size() + part.size() > options_.max_uri_bytes)
    return refuse(414, "the request target is too long");
  request_.target.append(part);
  return 0;
}

int RequestParser::on_field(std::string_view part) {
  if (!head_complete_) field_.append(part);  // trailers are dropped
  return 0;
}

int RequestParser::on_value(std::string_view part) {
  if (!head_complete_) value_.append(part);
  return 0;
}

int RequestParser::on_value_complete() {
  if (head_complete_) return 0;
  if (request_.headers.all().size() >= options_.max_headers) return refuse(431, "too many header fields");
  request_.headers.add(field_, trim(value_));
  field_.clear();
  value_.clear();
  return 0;
}

bool RequestParser::check_framing() {
  const llhttp_t& parser = llhttp_->state;
  if (parser.http_major != 1 || parser.http_minor > 1) {
    (void)refuse(505, "this server speaks HTTP/1.0 and HTTP/1.1 only");
    return false;
  }
  const auto codings = request_.headers.count("Transfer-Encoding");
  if (codings > 0 && http_1_0()) {
    (void)refuse(400, "malformed request: Transfer-Encoding in HTTP/1.0");
    return false;
  }
  if (codings > 1 || (codings == 1 && !same_token(request_.headers.get("Transfer-Encoding"), "chunked"))) {
    (void)refuse(501, "only the chunked transfer coding is understood");
    return false;
  }
  if (codings > 0 && request_.headers.has("Content-Length")) {
    (void)refuse(400, "malformed request: conflicting Content-Length or Transfer-Encoding");
    return false;
  }
  body_length_ = (parser.flags & F_CONTENT_LENGTH) != 0 ? parser.content_length : 0;  // llhttp counts its own down
  if (const auto expect = request_.headers.get("Expect"); !expect.empty() && !http_1_0()) {
    if (!same_token(expect, "100-continue")) {
      (void)refuse(417, "the only expectation understood is 100-continue");
      return false;
    }
    expects_continue_ = true;
  }
  return true;
}

bool RequestParser::check_host_and_target() {
  const auto hosts = request_.headers.count("Host");
  if (hosts > 1 || (hosts == 0 && !http_1_0())) {
    (void)refuse(400, hosts > 1 ? "malformed request: more than one Host header" : "malformed request: no Host header");
    return false;
  }
  request_.host = request_.headers.get("Host");
  if (!valid_host(request_.host)) {
    (void)refuse(400, "malformed request: Host header");
    return false;
  }
  const auto parts = split_target(request_.target);
  if (!parts) {
    (void)refuse(400, "malformed request: target");
    return false;
  }
  if (!parts->authority.empty()) {
    request_.host = parts->authority;
    std::string target = parts->needs_slash ? "/" : "";
    target.append(parts->target);
    request_.target = std::move(target);
  }
  return true;
}

int RequestParser::on_headers_complete() {
  llhttp_t& parser = llhttp_->state;
  head_complete_ = true;
  http_1_0_ = parser.http_major == 1 && parser.http_minor == 0;
  request_.method = to_method(parser.method);
  if (!check_framing() || !check_host_and_target()) return HPE_USER;
  keep_alive_ = http_1_0() ? (parser.flags & F_CONNECTION_KEEP_ALIVE) != 0 : (parser.flags & F_CONNECTION_CLOSE) == 0;
  parser.upgrade = 0;  // offers to change the protocol are not taken up: what follows is HTTP still
  const bool has_body = (parser.flags & F_CHUNKED) != 0 || parser.content_length > 0;
  if (!has_body) expects_continue_ = false;
  return has_body ? HPE_PAUSED : 0;
}

int RequestParser::on_body(std::string_view part) {
  body_bytes_ += part.size();
  if (stream_ != nullptr) {
    const auto limit = options_.max_stream_bytes;
    const auto over = limit > 0 && body_bytes_ > limit ? body_bytes_ - limit : 0;
    if (over < part.size()) stream_->append(part.substr(0, part.size() - over));
    return over > 0 ? refuse(413, kBodyTooLarge) : 0;
  }
  if (body_bytes_ > options_.max_body_bytes) return refuse(413, kBodyTooLarge);
  if (keep_body_) request_.body.append(part);
  return 0;
}

int RequestParser::on_message_complete() {
  message_complete_ = true;
  return HPE_PAUSED;
}

}  // namespace shoal::http
