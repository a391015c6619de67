// HeadReader: a response head from the lines libcurl hands over, one call per line, CRLF included. A value.
// Interim answers (1xx) are skipped; lines behind the head (trailers) are ignored.
#pragma once

#include <string_view>

#include "shoal/fetch/client.h"

namespace shoal::fetch {

class HeadReader {
 public:
  explicit HeadReader(std::size_t max_bytes) : max_bytes_(max_bytes) {}

  enum class State { reading, complete, too_large, malformed };
  // `complete` is returned once, for the empty line that ends the head; take it with head().
  State line(std::string_view text);
  [[nodiscard]] ResponseHead& head() { return head_; }
  [[nodiscard]] bool complete() const { return complete_; }

 private:
  std::size_t max_bytes_;
  std::size_t seen_ = 0;
  bool complete_ = false;
  ResponseHead head_;
};

}  // namespace shoal::fetch
