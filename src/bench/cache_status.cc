#include "cache_status.h"

namespace shoal::bench {
namespace {

// The last list member, and its parameters one after the other; quoted strings may hold commas and semicolons.
std::string_view last_member(std::string_view list) {
  std::size_t begin = 0;
  bool quoted = false;
  for (std::size_t i = 0; i < list.size(); ++i) {
    if (quoted && list[i] == '\\') {
      ++i;
    } else if (list[i] == '"') {
      quoted = !quoted;
    } else if (!quoted && list[i] == ',') {
      begin = i + 1;
    }
  }
  return list.substr(begin);
}

std::string_view next_parameter(std::string_view& rest) {
  bool quoted = false;
  std::size_t i = 0;
  for (; i < rest.size(); ++i) {
    if (quoted && rest[i] == '\\') {
      ++i;
    } else if (rest[i] == '"') {
      quoted = !quoted;
    } else if (!quoted && rest[i] == ';') {
      break;
    }
  }
  auto part = rest.substr(0, i < rest.size() ? i : rest.size());
  rest.remove_prefix(i < rest.size() ? i + 1 : rest.size());
  while (part.starts_with(' ')) part.remove_prefix(1);
  while (part.ends_with(' ')) part.remove_suffix(1);
  return part;
}

}  // namespace

std::string_view to_string(Source source) {
  switch (source) {
    case Source::cache: return "cache";
    case Source::upstream: return "upstream";
    case Source::neighbours: return "neighbours";
    case Source::untold: break;
  }
  return "untold";
}

Source source_of(std::string_view cache_status) {
  auto rest = last_member(cache_status);
  (void)next_parameter(rest);  // the cache's name
  bool hit = false, forwarded = false, neighbour = false;
  while (!rest.empty()) {
    const auto part = next_parameter(rest);
    if (part == "hit") hit = true;
    if (part.starts_with("fwd=")) forwarded = true;
    if (part.starts_with("detail=") && part.find("neighbour") != std::string_view::npos) neighbour = true;
  }
  if (hit) return Source::cache;
  if (!forwarded) return Source::untold;
  return neighbour ? Source::neighbours : Source::upstream;
}

}  // namespace shoal::bench
