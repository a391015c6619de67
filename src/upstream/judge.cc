#include "judge.h"

#include <charconv>

#include "shoal/base/format.h"
#include "shoal/fetch/url.h"
#include "shoal/registry/wire.h"
#include "text.h"

namespace shoal::upstream {

using base::format;
using Kind = Failure::Kind;

Failure make_failure(Kind kind, int status, std::string message) {
  Failure failure;
  failure.kind = kind;
  failure.status = status;
  failure.message = std::move(message);
  return failure;
}

std::string subject(std::string_view name, std::string_view url) {
  return format("{} ({})", name, fetch::printable_url(url));
}

Failure from_transport(const base::Error& error, std::string_view about) {
  Kind kind = Kind::unavailable;
  if (error.kind() == base::ErrorKind::timeout) kind = Kind::timeout;
  if (error.kind() == base::ErrorKind::corrupt || error.kind() == base::ErrorKind::full) kind = Kind::bad_answer;
  auto failure = make_failure(kind, 0, format("{}: {}", about, error.message()));
  failure.lasting = error.kind() == base::ErrorKind::invalid;
  return failure;
}

namespace {

Kind kind_of(int status) {
  switch (status) {
    case 404: return Kind::not_found;
    case 401:
    case 403:
    case 407:
    case 412:  // Harbor: blocked by policy
    case 451: return Kind::denied;
    case 408: return Kind::timeout;
    case 429: return Kind::rate_limited;
    default: return status >= 500 || status < 400 ? Kind::unavailable : Kind::bad_answer;
  }
}

// "MANIFEST_UNKNOWN: ..." and its like
bool unknown_to_a_registry(std::string_view error) { return error.substr(0, error.find(':')).ends_with("_UNKNOWN"); }

}  // namespace

Failure judge_status(const fetch::ResponseHead& head, std::string_view body, std::string_view about,
                     base::WallTime now) {
  const std::string said = registry::first_error(body);
  Kind kind = kind_of(head.status);
  std::string message = format("{}: answered {}", about, head.status);
  if (head.redirects > 0 && (kind == Kind::denied || kind == Kind::not_found || kind == Kind::bad_answer)) {
    if (head.status != 404 || !unknown_to_a_registry(said)) kind = Kind::unavailable;
    const auto origin = fetch::origin_of(head.effective_url);
    message = format("{}: redirected to {}, which answered {}", about,
                     origin ? origin->host : std::string("another host"), head.status);
  }
  if (head.status >= 300 && head.status < 400) message += " without a usable Location";
  if (!said.empty()) message += format(": {}", said);
  Failure failure = make_failure(kind, head.status, std::move(message));
  failure.retry_after = registry::parse_retry_after(head.header("retry-after"), now);
  return failure;
}

bool says_token_expired(const fetch::ResponseHead& head, std::string_view body) {
  if (head.status != 403 || head.redirects > 0) return false;
  return body.find("expired") != std::string_view::npos &&
         (body.find("token") != std::string_view::npos || body.find("authoriz") != std::string_view::npos);
}

bool head_refused(int status, int redirects) {
  if (status == 400 || status == 403 || status == 405 || status == 501) return true;
  return redirects > 0 && status >= 400 && status < 500 && status != 429;
}

bool get_may_do_better(const Failure& failure) {
  if (head_refused(failure.status, 0)) return true;
  return failure.kind == Kind::unavailable && failure.status >= 400 && failure.status < 500;  // behind a redirect
}

bool is_encoded(const fetch::ResponseHead& head) {
  const std::string_view encoding = head.header("content-encoding");
  return !encoding.empty() && !same_ignoring_case(encoding, "identity");
}

std::optional<ContentRange> parse_content_range(std::string_view value) {
  if (value.size() < 6 || !same_ignoring_case(value.substr(0, 6), "bytes ")) return std::nullopt;
  value.remove_prefix(6);
  const auto number = [&value](char until) -> std::optional<std::uint64_t> {
    std::uint64_t n = 0;
    const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), n);
    if (error != std::errc{} || end == value.data()) return std::nullopt;
    value.remove_prefix(static_cast<std::size_t>(end - value.data()));
    if (until == '\0') return value.empty() ? std::optional(n) : std::nullopt;
    if (value.empty() || value.front() != until) return std::nullopt;
    value.remove_prefix(1);
    return n;
  };
  ContentRange range;
  const auto first = number('-');
  if (!first) return std::nullopt;
  const auto last = number('/');
  if (!last || *last < *first) return std::nullopt;
  range.first = *first;
  range.last = *last;
  if (value == "*") return range;
  range.total = number('\0');
  if (!range.total || *range.total <= range.last) return std::nullopt;
  return range;
}

std::variant<BlobStart, Failure> judge_blob(const fetch::ResponseHead& head, std::uint64_t offset,
                                            std::optional<std::uint64_t> expected_size, std::string_view about) {
  const auto bad = [&](std::string text) {
    return make_failure(Kind::bad_answer, head.status, format("{}: {}", about, text));
  };
  if (is_encoded(head)) return bad(format("Content-Encoding {} on a blob", head.header("content-encoding")));
  const auto length = head.content_length();
  BlobStart start;
  if (head.status == 206) {
    const auto range = parse_content_range(head.header("content-range"));
    if (!range) return bad("206 without a readable Content-Range");
    if (range->first != offset) return bad(format("range starts at {} instead of {}", range->first, offset));
    if (length && *length != range->last - range->first + 1) return bad("Content-Length and Content-Range disagree");
    start = {range->first, range->total, range->last + 1};
  } else if (head.status == 200) {
    start = {0, length, length};
  } else {
    return bad(format("answered {} to a blob request", head.status));
  }
  if (expected_size && start.total && *start.total != *expected_size) {
    return bad(format("has {} bytes where the manifest says {}", *start.total, *expected_size));
  }
  if (expected_size && start.end && *start.end > *expected_size) {
    return bad(format("a range beyond the blob's {} bytes", *expected_size));
  }
  if (expected_size && !start.total && same_ignoring_case(bare_type(head.header("content-type")), "text/html")) {
    return bad("an HTML page instead of a blob");
  }
  if (!start.end) start.end = expected_size;
  return start;
}

}  // namespace shoal::upstream
