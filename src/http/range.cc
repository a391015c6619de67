#include "shoal/http/range.h"

#include <algorithm>
#include <charconv>

#include "shoal/base/format.h"
#include "text.h"

namespace shoal::http {

namespace {

// Digits only. A number beyond 64 bits is as good as the largest: it lies past every end.
std::optional<std::uint64_t> parse_number(std::string_view text) {
  if (text.empty() || text.find_first_not_of("0123456789") != std::string_view::npos) return std::nullopt;
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  (void)end;  // digits only: all of it was read
  if (error == std::errc::result_out_of_range) return UINT64_MAX;
  return value;
}

std::optional<RequestRange> parse_one(std::string_view text) {
  const auto dash = text.find('-');
  if (dash == std::string_view::npos) return std::nullopt;
  const auto first = trim(text.substr(0, dash));
  const auto last = trim(text.substr(dash + 1));
  RequestRange range;
  if (!first.empty() && !(range.first = parse_number(first))) return std::nullopt;
  if (!last.empty() && !(range.last = parse_number(last))) return std::nullopt;
  if (!range.first && !range.last) return std::nullopt;
  if (range.first && range.last && *range.first > *range.last) return std::nullopt;
  return range;
}

// Calls `each` with the elements of a comma list, trimmed, empty ones left out; stops when it returns false.
template <class Each>
void split_list(std::string_view list, Each each) {
  while (!list.empty()) {
    const auto comma = std::min(list.find(','), list.size());
    const auto item = trim(list.substr(0, comma));
    list.remove_prefix(std::min(comma + 1, list.size()));
    if (!item.empty() && !each(item)) return;
  }
}

base::ByteRange resolve(const RequestRange& range, std::uint64_t size) {
  if (!range.first) {
    const auto length = std::min(*range.last, size);
    return {size - length, size};
  }
  const auto end = range.last && *range.last < size ? *range.last + 1 : size;
  return {std::min(*range.first, end), end};
}

std::string_view without_weak(std::string_view tag) {
  if (tag.starts_with("W/")) tag.remove_prefix(2);
  return tag;
}

}  // namespace

ParsedRange parse_range(std::string_view header, std::size_t max_ranges) {
  ParsedRange out;
  header = trim(header);
  if (header.empty()) return out;
  const auto equals = header.find('=');
  if (equals == std::string_view::npos || trim(header.substr(0, equals)).empty()) {
    out.kind = ParsedRange::Kind::malformed;
    return out;
  }
  if (!same_token(trim(header.substr(0, equals)), "bytes")) {
    out.kind = ParsedRange::Kind::unknown_unit;
    return out;
  }
  bool sound = true;
  split_list(header.substr(equals + 1), [&](std::string_view item) {
    const auto range = parse_one(item);
    sound = range.has_value() && out.ranges.size() < max_ranges;
    if (sound) out.ranges.push_back(*range);
    return sound;
  });
  sound = sound && !out.ranges.empty();
  if (!sound) out.ranges.clear();
  out.kind = sound ? ParsedRange::Kind::ranges : ParsedRange::Kind::malformed;
  return out;
}

RangePlan plan_range(std::string_view range, std::string_view if_range, std::string_view etag, std::uint64_t size) {
  RangePlan plan;
  const auto parsed = parse_range(range);
  if (parsed.kind == ParsedRange::Kind::absent || parsed.kind == ParsedRange::Kind::unknown_unit) return plan;
  // Strong comparison: a weak tag or a date never matches (RFC 9110 13.1.5).
  if (const auto condition = trim(if_range); !condition.empty() && (condition != etag || etag.starts_with("W/"))) {
    return plan;
  }
  plan.kind = RangePlan::Kind::not_satisfiable;
  if (parsed.kind == ParsedRange::Kind::malformed) return plan;
  std::uint64_t total = 0;
  for (const auto& wanted : parsed.ranges) {
    const auto resolved = resolve(wanted, size);
    if (resolved.empty()) continue;
    plan.ranges.push_back(resolved);
    total += resolved.size();
    if (total > size) {  // overlapping, or many that add up to more than the whole
      return RangePlan{};
    }
  }
  if (plan.ranges.empty()) return plan;
  plan.kind = plan.ranges.size() == 1 ? RangePlan::Kind::single : RangePlan::Kind::multi;
  return plan;
}

bool not_modified(std::string_view if_none_match, std::string_view etag) {
  bool match = false;
  split_list(if_none_match, [&](std::string_view item) {
    match = item == "*" || (!etag.empty() && without_weak(item) == without_weak(etag));
    return !match;
  });
  return match;
}

std::string content_range(base::ByteRange range, std::uint64_t total) {
  return base::format("bytes {}-{}/{}", range.begin, range.end - 1, total);
}

}  // namespace shoal::http
