// Images that nobody has: layers of noise (no archives: no client can unpack them), made again from a number whenever
// their bytes are needed, and pushed.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "session.h"

namespace shoal::bench {

// A stream of pseudo-random bytes (xoshiro256++), the same for the same seed; does not compress. Not for secrets.
class Noise {
 public:
  explicit Noise(std::uint64_t seed);
  void fill(std::span<char> bytes);  // all but the last call: a multiple of 8

 private:
  std::uint64_t next();
  std::array<std::uint64_t, 4> state_;
};

struct GeneratedImage {
  Image image;  // repository and reference are set by push()
  std::string manifest, config;
  std::vector<std::uint64_t> seeds;  // of the layers, in order
};
// Hashes every byte: a second or so for each GiB.
[[nodiscard]] GeneratedImage generate(const std::vector<std::uint64_t>& sizes, std::uint64_t seed);

// Under `tag` in the session's repository.
[[nodiscard]] base::Result<void> push(Session& session, const GeneratedImage& generated, const std::string& tag);

}  // namespace shoal::bench
