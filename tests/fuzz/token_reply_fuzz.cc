// The JSON bodies other than manifests: token reply, tag list, error.
#include <cstdlib>

#include "shoal/registry/name.h"
#include "shoal/registry/wire.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace shoal::registry;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto reply = parse_token_reply(text);
  if (reply.ok() && (reply->token.empty() || reply->expires_in.count() < 1)) std::abort();
  if (first_error(text).size() > 256) std::abort();
  if (const auto list = parse_tag_list(text); list.ok()) {
    for (const auto& tag : list->tags) {
      if (!valid_tag(tag)) std::abort();
    }
    if (!parse_tag_list(tag_list_body(*list)).ok()) std::abort();
  }
  if (first_error(error_body("X", text)).substr(0, 1) != "X") std::abort();
  return 0;
}
