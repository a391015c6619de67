// What is read of a manifest that is pushed: no crash, and what is kept of it can be served and listed again. The first
// line is its Content-Type. Also the ranges of uploads.
#include <cstdlib>
#include <set>
#include <string>

#include "shoal/registry/manifest.h"
#include "shoal/registry/push.h"

namespace {

void require(bool holds) {
  if (!holds) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace shoal::registry;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto end = text.find('\n');
  const auto type = text.substr(0, end);
  const auto body = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
  if (const auto range = parse_chunk_range(type)) require(range->first <= range->last && range->size() > 0);
  for (const auto children : {IndexChildren::needed, IndexChildren::optional}) {
    const auto push = read_push(type, body, children);
    if (!push.ok()) {
      require(push.error().kind() == shoal::base::ErrorKind::invalid && !push.error().message().empty());
      continue;
    }
    require(!push->media_type.empty() && push->media_type.find_first_of("\r\n") == std::string::npos);
    require(std::set(push->needed.begin(), push->needed.end()).size() == push->needed.size());
    require(parse_manifest(body).ok());
    const auto descriptor = referrer_descriptor(body, shoal::base::digest_of(body), push->media_type);
    (void)descriptor_artifact_type(descriptor);
    require(parse_manifest(referrers_body({descriptor, descriptor})).ok());
  }
  return 0;
}
