// RequestParser: llhttp, our limits and RFC 9112's rules, one request at a time. Feed it bytes in any portions: what
// comes out does not depend on where they were split. It stops after each message, so that a pipelined request is not
// touched before its turn.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "shoal/http/server.h"
#include "streamed_body.h"

namespace shoal::http {

class RequestParser {
 public:
  enum class Progress {
    more,     // feed on
    head,     // the head is complete and a body follows: choose what becomes of it, feed on
    message,  // the request is complete
    refused,  // see refusal(); nothing more can be parsed
  };
  struct Step {
    std::size_t consumed;
    Progress progress;
  };
  struct Refusal {
    int status = 0;
    std::string_view reason;
  };

  RequestParser(const ServerOptions& options, net::Address peer, bool secure);
  ~RequestParser();
  RequestParser(const RequestParser&) = delete;
  RequestParser& operator=(const RequestParser&) = delete;

  void reset();  // for the next request
  [[nodiscard]] Step feed(std::string_view bytes);

  [[nodiscard]] Request& request() { return request_; }
  [[nodiscard]] const Refusal& refusal() const { return refusal_; }
  [[nodiscard]] bool keep_alive() const { return keep_alive_; }  // as the client wants it
  [[nodiscard]] bool http_1_0() const { return http_1_0_; }
  [[nodiscard]] bool expects_continue() const { return expects_continue_; }
  [[nodiscard]] bool head_complete() const { return head_complete_; }
  // Content-Length; nullopt: chunked. With Progress::head.
  [[nodiscard]] std::optional<std::uint64_t> body_length() const;
  // After Progress::head, one of three. drop and keep refuse a body that says to be longer than max_body_bytes.
  [[nodiscard]] bool drop_body() { return check_length(); }
  [[nodiscard]] bool keep_body();
  void stream_body(std::shared_ptr<StreamedBody> to) { stream_ = std::move(to); }
  void forget_stream();

 private:
  struct Llhttp;  // llhttp_t, whose header stays in request_parser.cc
  int on_url(std::string_view part);
  int on_field(std::string_view part);
  int on_value(std::string_view part);
  int on_value_complete();
  int on_headers_complete();
  int on_body(std::string_view part);
  int on_message_complete();
  int refuse(int status, std::string_view reason);
  [[nodiscard]] bool check_framing();
  [[nodiscard]] bool check_length();
  [[nodiscard]] bool check_chunk_framing();
  [[nodiscard]] bool check_host_and_target();
  void refuse_malformed(int llhttp_error);

  const ServerOptions& options_;
  std::unique_ptr<Llhttp> llhttp_;
  Request request_;
  Refusal refusal_;
  std::string field_;
  std::string value_;
  std::size_t head_bytes_ = 0;
  std::uint64_t raw_body_bytes_ = 0;  // with chunk framing and trailers
  std::uint64_t body_bytes_ = 0;
  std::uint64_t body_length_ = 0;         // as declared
  std::shared_ptr<StreamedBody> stream_;  // shared with the connection and the request
  bool head_complete_ = false;
  bool message_complete_ = false;
  bool http_1_0_ = false;
  bool keep_alive_ = false;
  bool expects_continue_ = false;
  bool keep_body_ = false;
};

}  // namespace shoal::http
