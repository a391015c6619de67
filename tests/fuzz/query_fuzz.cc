// A query string; the first line names the parameter to look for.
#include <cstdlib>

#include "shoal/registry/name.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const std::size_t line = text.find('\n');
  const std::string_view name = line == std::string_view::npos ? "ns" : text.substr(0, line);
  const auto value = shoal::registry::query_value(line == std::string_view::npos ? text : text.substr(line + 1), name);
  if (value && value->find_first_of(std::string_view("\0\r\n", 3)) != std::string::npos) std::abort();
  return 0;
}
