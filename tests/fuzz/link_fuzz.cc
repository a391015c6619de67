// Link, and the small numeric headers.
#include <cstdlib>

#include "shoal/registry/wire.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace shoal;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  for (const char c : registry::next_query(text)) {
    if (c <= 0x20 || c >= 0x7f) std::abort();
  }
  if (const auto limit = registry::parse_rate_limit(text); limit && *limit < 0) std::abort();
  const base::WallTime now{std::chrono::seconds(1'800'000'000)};
  if (const auto wait = registry::parse_retry_after(text, now); wait && wait->count() < 0) std::abort();
  return 0;
}
