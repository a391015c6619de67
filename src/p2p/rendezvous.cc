#include "rendezvous.h"

#include <algorithm>
#include <cstdint>
#include <numeric>

namespace shoal::p2p {
namespace {

// The finaliser of MurmurHash3: every bit of the input moves every bit of the output.
std::uint64_t mix(std::uint64_t x) {
  x ^= x >> 33;
  x *= 0xff51afd7ed558ccdULL;
  x ^= x >> 33;
  x *= 0xc4ceb9fe1a85ec53ULL;
  x ^= x >> 33;
  return x;
}

// FNV-1a, 64 bit.
std::uint64_t hash_of(std::string_view text) {
  std::uint64_t x = 0xcbf29ce484222325ULL;
  for (const char c : text) x = (x ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
  return x;
}

// The first 8 bytes, the highest first, on every machine. A digest is well spread already: more bytes add nothing.
std::uint64_t number_of(const base::Digest& digest) {
  std::uint64_t x = 0;
  for (const auto byte : digest.bytes().first(8)) x = x << 8 | byte;
  return x;
}

}  // namespace

std::uint64_t weight(std::string_view candidate, const base::Digest& digest) {
  return mix(mix(hash_of(candidate)) ^ number_of(digest));
}

std::vector<std::size_t> ranked(const std::vector<std::string>& candidates, const base::Digest& digest,
                                std::size_t limit) {
  std::vector<std::uint64_t> weights;
  weights.reserve(candidates.size());
  for (const auto& candidate : candidates) weights.push_back(weight(candidate, digest));
  std::vector<std::size_t> order(candidates.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  const auto before = [&](std::size_t a, std::size_t b) {
    if (weights[a] != weights[b]) return weights[a] > weights[b];
    const int names = candidates[a].compare(candidates[b]);
    return names != 0 ? names < 0 : a < b;
  };
  limit = std::min(limit, order.size());
  std::partial_sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(limit), order.end(), before);
  order.resize(limit);
  return order;
}

}  // namespace shoal::p2p
