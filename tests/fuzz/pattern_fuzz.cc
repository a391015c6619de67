// "<pattern>\n<text>": no crash, no slow pattern, and a pattern that is malformed matches nothing.
// Sources: src/registry/pattern.cc
#include <algorithm>
#include <cstdint>
#include <cstdlib>

#include "shoal/base/result.h"
#include "shoal/registry/pattern.h"

using namespace shoal;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), std::min<std::size_t>(size, 4096));
  const std::size_t line = std::min(input.find('\n'), input.size());
  const std::string_view pattern = input.substr(0, line);
  const std::string_view text = input.substr(std::min(line + 1, input.size()));
  const bool match = registry::matches(pattern, text);
  if (!registry::check_pattern(pattern).ok() && match) std::abort();
  // What has no special byte matches itself and nothing else.
  if (pattern.find_first_of("*?[]{}\\") == std::string_view::npos && !pattern.empty() && pattern.size() <= 1024 &&
      match != (pattern == text)) {
    std::abort();
  }
  return 0;
}
