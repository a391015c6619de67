// What registries answer to the measuring client: heads, chunked bodies, Cache-Status.
#include <cstdlib>
#include <string>

#include "src/bench/answer_head.h"
#include "src/bench/cache_status.h"

// A chunked body comes apart the same way wherever it is cut.
static void check_chunks(std::string_view body, std::size_t cut) {
  using shoal::bench::ChunkReader;
  std::string whole, parts;
  ChunkReader one, two;
  const bool good = one.feed(body, [&whole](std::string_view bytes) { whole += bytes; });
  const bool first = two.feed(body.substr(0, cut), [&parts](std::string_view bytes) { parts += bytes; });
  const bool both = first && two.feed(body.substr(cut), [&parts](std::string_view bytes) { parts += bytes; });
  if (good != both || (good && (whole != parts || one.over() != two.over()))) std::abort();
  if (whole.size() > body.size()) std::abort();
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace shoal::bench;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto head = head_size(text);
  if (head > size) std::abort();
  if (head > 0) {
    const auto parsed = parse_head(text.substr(0, head));
    if (parsed.ok()) (void)source_of(parsed->cache_status);
    if (parsed.ok() && (parsed->status < 100 || parsed->status > 999)) std::abort();
  }
  (void)source_of(text);
  const auto body = text.substr(head);
  check_chunks(body, body.empty() ? 0 : data[0] % body.size());
  return 0;
}
