#include "shoal/base/random.h"

#include <openssl/rand.h>

#include <cstdlib>
#include <vector>

#include "shoal/base/digest.h"

namespace shoal::base {

void fill_random(std::span<std::uint8_t> bytes) {
  // It fails only where the system has no entropy at all. To go on with bytes that can be guessed would be worse.
  if (RAND_bytes(bytes.data(), static_cast<int>(bytes.size())) != 1) std::abort();
}

std::string random_hex(std::size_t bytes) {
  std::vector<std::uint8_t> raw(bytes);
  fill_random(raw);
  return to_hex(raw);
}

}  // namespace shoal::base
