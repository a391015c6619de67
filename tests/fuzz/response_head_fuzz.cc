// HeadReader fed line by line, as libcurl does: no crash, the limit holds, `complete` comes once.
// Sources: src/fetch/head_reader.cc
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "../../src/fetch/head_reader.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using shoal::fetch::HeadReader;
  std::string_view text(reinterpret_cast<const char*>(data), size);
  HeadReader reader(4096);
  int completed = 0;
  while (!text.empty()) {
    const auto end = text.find('\n');
    const std::string_view line = text.substr(0, end == std::string_view::npos ? text.size() : end + 1);
    text.remove_prefix(line.size());
    const auto state = reader.line(line);
    if (state == HeadReader::State::complete) ++completed;
    if (state == HeadReader::State::too_large || state == HeadReader::State::malformed) break;
  }
  if (completed > 1 || (completed == 1) != reader.complete()) std::abort();
  if (completed == 1 && reader.head().status < 200) std::abort();
  (void)reader.head().content_length();
  (void)reader.head().header("content-length");
  return 0;
}
