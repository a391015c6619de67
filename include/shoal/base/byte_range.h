// ByteRange: a resolved, half-open range of bytes [begin, end) of something whose size is known. A value.
// What a client asks for (inclusive, may be a suffix) is http::RequestRange; the two do not convert silently.
#pragma once

#include <algorithm>
#include <cstdint>

namespace shoal::base {

struct ByteRange {
  std::uint64_t begin = 0;
  std::uint64_t end = 0;

  [[nodiscard]] std::uint64_t size() const { return end > begin ? end - begin : 0; }
  [[nodiscard]] bool empty() const { return size() == 0; }
  friend bool operator==(const ByteRange&, const ByteRange&) = default;
};

}  // namespace shoal::base
