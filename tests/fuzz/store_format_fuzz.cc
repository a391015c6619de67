// The index's bytes, as a damaged disk might give them: decoding never crashes, and what decodes encodes to the same.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "../../src/store/format.h"
#include "../../src/store/layout.h"

namespace {

using namespace shoal::store;  // the fuzz target is one file

template <class Decode>
void check(std::string_view bytes, Decode decode) {
  const auto value = decode(bytes);
  if (!value) return;
  // Unknown flag bits may go, so compare the second round with the first.
  const std::string once = format::encode(*value);
  const auto again = decode(once);
  if (!again || format::encode(*again) != once || once.size() != bytes.size()) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0] % 12) {
    case 0: check(bytes, format::decode_blob); break;
    case 1: check(bytes, format::decode_manifest); break;
    case 2: check(bytes, format::decode_tag); break;
    case 3: check(bytes, format::decode_link); break;
    case 4: check(bytes, format::decode_use); break;
    case 5: check(bytes, format::decode_totals); break;
    case 6: {
      const auto digest = format::parse_digest_key(bytes);
      if (digest && format::digest_key(*digest) != bytes) std::abort();
      const auto holder = format::parse_holder_key(bytes);
      if (holder && format::holder_key(holder->first, holder->second) != bytes) std::abort();
      break;
    }
    case 7: {
      const auto parts = format::split_repository_key(bytes);
      if (parts && format::name_key(parts->first, parts->second) != bytes) std::abort();
      (void)format::decode_time(bytes);
      break;
    }
    case 9: check(bytes, format::decode_upload); break;
    case 10: check(bytes, format::decode_hosted); break;
    case 11: {
      const auto descriptor = format::decode_descriptor(bytes);
      if (descriptor && format::encode_descriptor(*descriptor) != bytes) std::abort();
      break;
    }
    default: {
      if (is_upload_name(bytes) && bytes.find('/') != std::string_view::npos) std::abort();
      const auto digest = parse_content_name(bytes);
      if (digest && digest->hex() != bytes) std::abort();
      const auto slug = reason_slug(bytes);
      if (slug.empty() || slug.find('/') != std::string::npos) std::abort();
    }
  }
  return 0;
}
