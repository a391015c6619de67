// An htpasswd file: no crash; what is refused names no hash; who is in it is found.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "shoal/auth/auth.h"

using namespace shoal;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto users = auth::Htpasswd::parse(text);
  if (!users) {
    if (users.error().message().find("$2y$1") != std::string::npos) std::abort();
    return 0;
  }
  if (users->has("") || users->has("*") || users->has("anonymous")) std::abort();
  const auto colon = text.find(':');
  const bool first_line = colon != std::string_view::npos && text.find_first_of("\n#") > colon;
  if (first_line && (users->size() == 0 || !users->has(text.substr(0, colon)))) std::abort();
  return 0;
}
