#include "response_head.h"

#include <charconv>
#include <ctime>

namespace shoal::http {

namespace {

void append_number(std::string& out, std::uint64_t value) {
  char digits[20];
  const auto end = std::to_chars(digits, digits + sizeof digits, value).ptr;
  out.append(digits, end);
}

// A value made from foreign bytes must not end the line it is on.
void append_value(std::string& out, std::string_view value) {
  const auto start = out.size();
  out.append(value);
  for (std::size_t i = start; i < out.size(); ++i) {
    if (out[i] == '\r' || out[i] == '\n' || out[i] == '\0') out[i] = ' ';
  }
}

void append_header(std::string& out, std::string_view name, std::string_view value) {
  append_value(out, name);
  out.append(": ");
  append_value(out, value);
  out.append("\r\n");
}

}  // namespace

std::string_view reason_phrase(int status) {
  switch (status) {
    case 100: return "Continue";
    case 200: return "OK";
    case 201: return "Created";
    case 202: return "Accepted";
    case 204: return "No Content";
    case 206: return "Partial Content";
    case 301: return "Moved Permanently";
    case 302: return "Found";
    case 303: return "See Other";
    case 304: return "Not Modified";
    case 307: return "Temporary Redirect";
    case 308: return "Permanent Redirect";
    case 400: return "Bad Request";
    case 401: return "Unauthorized";
    case 403: return "Forbidden";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 406: return "Not Acceptable";
    case 408: return "Request Timeout";
    case 409: return "Conflict";
    case 411: return "Length Required";
    case 412: return "Precondition Failed";
    case 413: return "Content Too Large";
    case 414: return "URI Too Long";
    case 415: return "Unsupported Media Type";
    case 416: return "Range Not Satisfiable";
    case 417: return "Expectation Failed";
    case 422: return "Unprocessable Content";
    case 429: return "Too Many Requests";
    case 431: return "Request Header Fields Too Large";
    case 500: return "Internal Server Error";
    case 501: return "Not Implemented";
    case 502: return "Bad Gateway";
    case 503: return "Service Unavailable";
    case 504: return "Gateway Timeout";
    case 505: return "HTTP Version Not Supported";
    case 507: return "Insufficient Storage";
    default: return "";
  }
}

void append_head(std::string& out, int status, const Headers& headers, const HeadFacts& facts) {
  out.append("HTTP/1.1 ");
  append_number(out, static_cast<std::uint64_t>(status));
  out.push_back(' ');
  out.append(reason_phrase(status));
  out.append("\r\n");
  if (!facts.server.empty()) append_header(out, "Server", facts.server);
  append_header(out, "Date", facts.date);
  for (const auto& header : headers.all()) append_header(out, header.name, header.value);
  if (facts.framing == Framing::length) {
    out.append("Content-Length: ");
    append_number(out, facts.length);
    out.append("\r\n");
  }
  if (facts.framing == Framing::chunked) out.append("Transfer-Encoding: chunked\r\n");
  if (facts.connection == ConnectionHeader::close) out.append("Connection: close\r\n");
  if (facts.connection == ConnectionHeader::keep_alive) out.append("Connection: keep-alive\r\n");
  if (!facts.request_id.empty()) append_header(out, "X-Request-Id", facts.request_id);
  out.append("\r\n");
}

std::string_view DateText::at(base::SteadyTime now) {
  if (now < valid_until_ && !text_.empty()) return text_;
  const std::time_t seconds = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  std::tm parts{};
  (void)::gmtime_r(&seconds, &parts);
  char buffer[64];
  text_.assign(buffer, std::strftime(buffer, sizeof buffer, "%a, %d %b %Y %H:%M:%S GMT", &parts));
  valid_until_ = now + std::chrono::seconds(1);
  return text_;
}

}  // namespace shoal::http
