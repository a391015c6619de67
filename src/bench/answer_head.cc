#include "answer_head.h"

#include <charconv>

#include "shoal/base/format.h"

namespace shoal::bench {
namespace {

using base::Error;
using base::ErrorKind;

bool same(std::string_view a, std::string_view lower) {
  if (a.size() != lower.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const char c = a[i] >= 'A' && a[i] <= 'Z' ? static_cast<char>(a[i] - 'A' + 'a') : a[i];
    if (c != lower[i]) return false;
  }
  return true;
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

bool take_length(AnswerHead& head, std::string_view value) {
  std::uint64_t length = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), length);
  if (value.empty() || error != std::errc{} || end != value.data() + value.size()) return false;
  if (head.length && *head.length != length) return false;
  head.length = length;
  return true;
}

void join(std::string& to, std::string_view value) {
  if (!to.empty()) to += ", ";
  to += value;
}

bool take_header(AnswerHead& head, std::string_view name, std::string_view value) {
  if (same(name, "content-length")) return take_length(head, value);
  if (same(name, "transfer-encoding")) {
    head.chunked = same(value, "chunked");
    return head.chunked;
  }
  if (same(name, "connection") && same(value, "close")) head.keep = false;
  if (same(name, "location")) head.location = value;
  if (same(name, "cache-status")) join(head.cache_status, value);
  if (same(name, "content-type")) head.content_type = value;
  if (same(name, "docker-content-digest")) head.digest = value;
  if (same(name, "www-authenticate")) join(head.challenge, value);
  if (same(name, "content-range")) head.content_range = value;
  return true;
}

}  // namespace

std::size_t head_size(std::string_view bytes) {
  const auto end = bytes.find("\r\n\r\n");
  return end == std::string_view::npos ? 0 : end + 4;
}

base::Result<AnswerHead> parse_head(std::string_view bytes) {
  AnswerHead head;
  const auto line_end = bytes.find("\r\n");
  const auto line = bytes.substr(0, line_end);
  if (!line.starts_with("HTTP/1.") || line.size() < 12 || line[8] != ' ') {
    return Error(ErrorKind::corrupt, "the answer is not HTTP/1.1");
  }
  head.keep = line[7] != '0';
  const auto code = line.substr(9, 3);
  const auto [end, error] = std::from_chars(code.data(), code.data() + 3, head.status);
  if (error != std::errc{} || end != code.data() + 3 || head.status < 100) {
    return Error(ErrorKind::corrupt, "the answer has no status");
  }
  bytes.remove_prefix(line_end + 2);
  while (!bytes.starts_with("\r\n")) {
    const auto next = bytes.substr(0, bytes.find("\r\n"));
    const auto colon = next.find(':');
    if (colon == std::string_view::npos || colon == 0 ||
        !take_header(head, next.substr(0, colon), trimmed(next.substr(colon + 1)))) {
      return Error(ErrorKind::corrupt, base::format("the answer has a bad header '{}'", next.substr(0, 80)));
    }
    bytes.remove_prefix(next.size() + 2);
  }
  return head;
}

bool ChunkReader::frame(char c) {
  switch (state_) {
    case State::size: {
      const int digit = c >= '0' && c <= '9'   ? c - '0'
                        : c >= 'a' && c <= 'f' ? c - 'a' + 10
                        : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                               : -1;
      if (digit >= 0) {
        left_ = left_ * 16 + static_cast<unsigned>(digit);
        return ++digits_ <= 15;
      }
      if (digits_ == 0) return false;
      state_ = State::extension;
      if (c != '\n') return c == '\r' || c == ';' || c == ' ';
      [[fallthrough]];
    }
    case State::extension:
      if (c != '\n') return ++trailer_bytes_ <= kMaxHead;
      digits_ = 0;
      trailer_bytes_ = 0;
      state_ = left_ == 0 ? State::trailer : State::content;
      return true;
    case State::content_end:
      if (c == '\n') state_ = State::size;
      return c == '\r' || c == '\n';
    case State::trailer:
      if (c == '\n') state_ = State::over;
      if (c != '\r' && c != '\n') state_ = State::trailer_line;
      return true;
    case State::trailer_line:
      if (c == '\n') state_ = State::trailer;
      return ++trailer_bytes_ <= kMaxHead;
    case State::content:
    case State::over: break;
  }
  return false;
}

}  // namespace shoal::bench
