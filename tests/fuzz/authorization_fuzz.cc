// An Authorization header: no crash; the user never holds the colon that ends it.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "../../src/auth/basic.h"

using namespace shoal;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto credentials = auth::parse_basic(text);
  if (!credentials) {
    if (credentials.error().kind() != base::ErrorKind::invalid) std::abort();
    return 0;
  }
  if (credentials->user.find(':') != std::string::npos) std::abort();
  if (credentials->user.size() + credentials->password.size() > size) std::abort();
  return 0;
}
