#include "head_reader.h"

#include <charconv>

namespace shoal::fetch {
namespace {

bool equal_ignoring_case(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; };
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (lower(a[i]) != lower(b[i])) return false;
  }
  return true;
}

std::string_view trim(std::string_view text) {
  const auto blank = [](char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; };
  while (!text.empty() && blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && blank(text.back())) text.remove_suffix(1);
  return text;
}

// "HTTP/1.1 200 OK" -> 200; 0 if it is no status line
int status_of(std::string_view line) {
  if (!line.starts_with("HTTP/")) return 0;
  const auto space = line.find(' ');
  if (space == std::string_view::npos) return 0;
  const std::string_view digits = line.substr(space + 1, 3);
  int status = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), status);
  if (error != std::errc{} || end != digits.data() + 3 || status < 100) return 0;
  return status;
}

std::optional<std::uint64_t> number(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || text.empty()) return std::nullopt;
  return value;
}

}  // namespace

HeadReader::State HeadReader::line(std::string_view text) {
  if (complete_) return State::reading;
  seen_ += text.size();
  if (seen_ > max_bytes_) return State::too_large;
  const std::string_view content = trim(text);
  if (const int status = status_of(content); status != 0 && (head_.status == 0 || head_.status < 200)) {
    head_.status = status;
    head_.headers.clear();
    return State::reading;
  }
  if (head_.status == 0) return State::malformed;
  if (content.empty()) {
    if (head_.status < 200) return State::reading;
    // Two lengths that disagree: nobody can say where the body ends.
    std::string_view length;
    for (const auto& [name, value] : head_.headers) {
      if (!equal_ignoring_case(name, "content-length")) continue;
      if (!number(value) || (!length.empty() && length != value)) return State::malformed;
      length = value;
    }
    complete_ = true;
    return State::complete;
  }
  if ((text.front() == ' ' || text.front() == '\t') && !head_.headers.empty()) {  // obs-fold
    head_.headers.back().second.append(" ").append(content);
    return State::reading;
  }
  const auto colon = content.find(':');
  if (colon == std::string_view::npos || colon == 0) return State::reading;  // as lenient as libcurl
  head_.headers.emplace_back(trim(content.substr(0, colon)), trim(content.substr(colon + 1)));
  return State::reading;
}

std::string_view ResponseHead::header(std::string_view name) const {
  for (const auto& [key, value] : headers) {
    if (equal_ignoring_case(key, name)) return value;
  }
  return {};
}

std::optional<std::uint64_t> ResponseHead::content_length() const {
  if (!header("transfer-encoding").empty()) return std::nullopt;  // RFC 9112 6.3: it overrides the length
  return number(header("content-length"));
}

}  // namespace shoal::fetch
