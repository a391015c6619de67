// A request path, decoded and parsed: whatever comes in, what comes out obeys the grammars.
#include <cstdlib>

#include "shoal/registry/name.h"

using namespace shoal::registry;

namespace {
struct Check {
  void name(const std::string& repository) const {
    if (!valid_repository(repository)) std::abort();
  }
  void operator()(const Ping&) const {}
  void operator()(const Catalog&) const {}
  void operator()(const ManifestPath& p) const {
    name(p.repository);
    const auto* tag = std::get_if<Tag>(&p.reference);
    if (tag != nullptr && !valid_tag(*tag)) std::abort();
  }
  void operator()(const BlobPath& p) const { name(p.repository); }
  void operator()(const TagsPath& p) const { name(p.repository); }
  void operator()(const ReferrersPath& p) const { name(p.repository); }
  void operator()(const UploadPath& p) const { name(p.repository); }
  void operator()(const BadPath& p) const {
    if (p.status < 400 || p.status > 499 || p.code.empty() || p.message.size() > 500) std::abort();
  }
};
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  std::visit(Check(), parse_api_path(text));
  (void)valid_registry_host(text);
  if (const auto path = decode_path(text)) {
    if (path->find("/../") != std::string::npos || path->find("//") != std::string::npos) std::abort();
    std::visit(Check(), parse_api_path(*path));
  }
  return 0;
}
