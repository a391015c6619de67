// The queue of notifications as a damaged disk might give it: decoding never crashes, and what decodes encodes to the
// same.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "../../src/notify/body.h"
#include "../../src/notify/files.h"
#include "../../src/notify/record.h"

namespace {

using namespace shoal::notify;  // the fuzz target is one file

template <class Decode>
void check(std::string_view bytes, Decode decode) {
  const auto value = decode(bytes);
  if (!value) return;
  // Unknown flag bits and impossible times may go, so compare the second round with the first.
  const std::string once = encode(*value);
  const auto again = decode(once);
  if (!again || encode(*again) != once || once.size() != bytes.size()) std::abort();
  if (event_text(value->event, {"a", "b"}).empty()) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0] % 5) {
    case 0: check(bytes, decode_queued); break;
    case 1: check(bytes, decode_dead); break;
    case 2: {  // a segment: frames until the first that is not whole
      while (const auto frame = parse_frame(bytes)) {
        std::string out;
        append_frame(out, frame->sequence, frame->payload);
        if (out != bytes.substr(0, frame->size())) std::abort();
        bytes.remove_prefix(frame->size());
      }
      break;
    }
    case 3: {
      const auto sequence = decode_cursor(bytes);
      if (sequence && encode_cursor(*sequence) != bytes) std::abort();
      break;
    }
    default: {
      const auto first = parse_segment_name(bytes);
      if (first && segment_name(*first) != bytes) std::abort();
    }
  }
  return 0;
}
