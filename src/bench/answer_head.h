// The head of an HTTP/1.1 answer, and chunked bodies, as far as a measuring client needs them. Pure; RFC 9112.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "shoal/base/result.h"

namespace shoal::bench {

struct AnswerHead {
  int status = 0;
  bool keep = true;  // the connection stays
  bool chunked = false;
  std::optional<std::uint64_t> length;
  std::string location, cache_status, content_type, digest, challenge, content_range;
};

inline constexpr std::size_t kMaxHead = 64 * 1024;

// Bytes of the head in `bytes`, with the empty line; 0: more have to come. Informational answers (1xx) count as a head
// of their own.
[[nodiscard]] std::size_t head_size(std::string_view bytes);
// `head` is as long as head_size() said. ErrorKind::corrupt.
[[nodiscard]] base::Result<AnswerHead> parse_head(std::string_view head);

// Takes a chunked body apart, in pieces of any size.
class ChunkReader {
 public:
  // Gives each piece of content to `content`. False: this is no chunked body.
  template <class F>
  [[nodiscard]] bool feed(std::string_view bytes, F content) {
    while (!bytes.empty() && state_ != State::over) {
      if (state_ == State::content) {
        const auto now = bytes.substr(0, left_ < bytes.size() ? static_cast<std::size_t>(left_) : bytes.size());
        content(now);
        bytes.remove_prefix(now.size());
        left_ -= now.size();
        if (left_ == 0) state_ = State::content_end;
      } else if (!frame(bytes.front())) {
        return false;
      } else {
        bytes.remove_prefix(1);
      }
    }
    return bytes.empty();  // what follows the end belongs to nobody: we ask for one thing at a time
  }
  [[nodiscard]] bool over() const { return state_ == State::over; }

 private:
  enum class State { size, extension, content, content_end, trailer, trailer_line, over };
  [[nodiscard]] bool frame(char c);
  State state_ = State::size;
  std::uint64_t left_ = 0;
  unsigned digits_ = 0;
  unsigned trailer_bytes_ = 0;
};

}  // namespace shoal::bench
