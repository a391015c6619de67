// Where the bytes of an answer came from, by its Cache-Status (RFC 9211). Pure.
#pragma once

#include <string_view>

namespace shoal::bench {

enum class Source {
  cache,       // the target had it
  upstream,    // it asked the registry behind it
  neighbours,  // another node of its site sent it
  untold,      // no Cache-Status: an origin registry, or a cache that does not tell
};
inline constexpr Source kSources[] = {Source::cache, Source::neighbours, Source::upstream, Source::untold};
[[nodiscard]] std::string_view to_string(Source source);

// Of several caches the last one counts: it is the one that answered us.
[[nodiscard]] Source source_of(std::string_view cache_status);

}  // namespace shoal::bench
