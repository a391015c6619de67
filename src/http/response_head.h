// The head of an answer as bytes. RFC 9112 sections 4 and 6.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "shoal/base/clock.h"
#include "shoal/http/server.h"

namespace shoal::http {

// How the length of the body is told.
enum class Framing : std::uint8_t {
  none,     // no body and no length: 1xx, 204, 304
  length,   // Content-Length
  chunked,  // HTTP/1.1 without a known length
  close,    // HTTP/1.0 without a known length: until the connection ends
};

enum class ConnectionHeader : std::uint8_t { none, close, keep_alive };

struct HeadFacts {
  Framing framing = Framing::none;
  std::uint64_t length = 0;  // with Framing::length
  ConnectionHeader connection = ConnectionHeader::none;
  std::string_view server;
  std::string_view date;
  std::string_view request_id;  // "": none
};

void append_head(std::string& out, int status, const Headers& headers, const HeadFacts& facts);
[[nodiscard]] std::string_view reason_phrase(int status);

// "Sun, 06 Nov 1994 08:49:37 GMT", formatted once a second.
class DateText {
 public:
  [[nodiscard]] std::string_view at(base::SteadyTime now);

 private:
  std::string text_;
  base::SteadyTime valid_until_{};
};

}  // namespace shoal::http
