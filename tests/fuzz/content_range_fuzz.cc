// parse_content_range: what it accepts makes sense.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "../../src/upstream/judge.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto range = shoal::upstream::parse_content_range({reinterpret_cast<const char*>(data), size});
  if (range && (range->first > range->last || (range->total && *range->total <= range->last))) std::abort();
  return 0;
}
