// Range and conditional requests, as pure values. RFC 9110 sections 13 and 14.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "shoal/base/byte_range.h"

namespace shoal::http {

// As the client wrote it: first-last inclusive; `last` absent = open end; `first` absent = suffix of `last` bytes.
struct RequestRange {
  std::optional<std::uint64_t> first;
  std::optional<std::uint64_t> last;
  friend bool operator==(const RequestRange&, const RequestRange&) = default;
};

struct ParsedRange {
  enum class Kind { absent, unknown_unit, malformed, ranges } kind = Kind::absent;
  std::vector<RequestRange> ranges;
};
// At most `max_ranges` ranges; more is malformed.
[[nodiscard]] ParsedRange parse_range(std::string_view header, std::size_t max_ranges = 64);

// What to answer a GET of a representation of `size` bytes with that strong ETag.
struct RangePlan {
  enum class Kind { full, single, multi, not_satisfiable } kind = Kind::full;
  std::vector<base::ByteRange> ranges;  // one for single; resolved, clamped, never empty
};
// Unknown unit: full. Malformed or first > last (`500-0`): not_satisfiable. If-Range that is not the ETag: full.
// Overlapping or many tiny ranges that add up to more than the whole: full.
[[nodiscard]] RangePlan plan_range(std::string_view range, std::string_view if_range, std::string_view etag,
                                   std::uint64_t size);

// True if If-None-Match names the ETag (weak comparison, `*`, lists): answer 304 to GET and HEAD.
[[nodiscard]] bool not_modified(std::string_view if_none_match, std::string_view etag);

// "bytes a-b/total"
[[nodiscard]] std::string content_range(base::ByteRange range, std::uint64_t total);

}  // namespace shoal::http
