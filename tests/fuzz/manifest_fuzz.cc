// A manifest body; what is read of it must fit a header line.
#include <cstdlib>

#include "shoal/registry/manifest.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto view = shoal::registry::parse_manifest(text);
  if (!view.ok()) return 0;
  const auto type = shoal::registry::manifest_media_type(text.substr(0, 40), *view);
  if (type.empty() || type.find_first_of("\r\n") != std::string::npos) std::abort();
  return 0;
}
