// What a JSON text can grow into, before it is parsed: a small hostile body must not become a large tree. RFC 8259
// section 9 lets a parser set such limits.
#pragma once

#include <cstddef>
#include <string_view>

namespace shoal::base {

struct JsonBounds {
  int depth;           // objects and arrays inside each other
  std::size_t values;  // at least as many as the tree gets
};

// One pass, no memory. Of text that is not JSON it says nothing of use: the parser refuses that.
[[nodiscard]] bool json_within(std::string_view text, JsonBounds bounds);

}  // namespace shoal::base
