#include "image_name.h"

#include "shoal/base/digest.h"
#include "shoal/registry/name.h"

namespace shoal::cli {

std::optional<ImageName> parse_image_name(std::string_view text) {
  ImageName name;
  if (const auto at = text.find('@'); at != std::string_view::npos) {
    const auto digest = base::Digest::parse(text.substr(at + 1));
    if (!digest) return std::nullopt;
    name.digest = digest->to_string();
    text = text.substr(0, at);
  }
  const auto slash = text.rfind('/');
  const auto colon = text.find(':', slash == std::string_view::npos ? 0 : slash);
  if (colon != std::string_view::npos) {
    if (name.digest.empty()) name.tag = text.substr(colon + 1);  // with both, the digest says it all
    if (!registry::valid_tag(text.substr(colon + 1))) return std::nullopt;
    text = text.substr(0, colon);
  }
  const auto first = text.find('/');
  const bool mirrored = first != std::string_view::npos && registry::valid_registry_host(text.substr(0, first)) &&
                        registry::valid_repository(text.substr(first + 1));
  if (!mirrored && !registry::valid_repository(text)) return std::nullopt;
  name.repository = text;
  return name;
}

}  // namespace shoal::cli
