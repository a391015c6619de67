#include <cstdlib>

#include "shoal/registry/wire.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto challenges = shoal::registry::parse_challenges({reinterpret_cast<const char*>(data), size});
  if (challenges.size() > 16) std::abort();
  for (const auto& challenge : challenges) {
    if (challenge.scheme.empty() || challenge.parameters.size() > 32) std::abort();
  }
  return 0;
}
