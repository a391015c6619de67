#include "shoal/base/json_bounds.h"

namespace shoal::base {

// Brackets and commas outside of strings bound what a parser can allocate.
bool json_within(std::string_view text, JsonBounds bounds) {
  int depth = 0;
  std::size_t values = 1;
  bool in_string = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\') {
        ++i;
      } else if (c == '"') {
        in_string = false;
      }
    } else if (c == '"') {
      in_string = true;
    } else if (c == '{' || c == '[') {
      ++values;
      if (++depth > bounds.depth) return false;
    } else if (c == '}' || c == ']') {
      --depth;
    } else if (c == ',') {
      ++values;
    }
  }
  return values <= bounds.values;
}

}  // namespace shoal::base
