#include <algorithm>

#include "shoal/notify/notify.h"
#include "shoal/registry/pattern.h"

namespace shoal::notify {

bool valid_name(std::string_view name) {
  const auto plain = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
  return !name.empty() && name.size() <= 64 && plain(name.front()) &&
         std::all_of(name.begin(), name.end(), [&](char c) { return plain(c) || c == '-' || c == '_'; });
}

bool takes(const EndpointOptions& endpoint, const obs::Event& event) {
  if (!endpoint.kinds[static_cast<std::size_t>(event.kind)]) return false;
  const bool of_cache = event.kind == obs::EventKind::fill || event.kind == obs::EventKind::evict;
  if (event.object == obs::EventObject::blob && !of_cache && !endpoint.blobs) return false;
  return event.repository.empty() ||
         std::any_of(endpoint.repositories.begin(), endpoint.repositories.end(),
                     [&event](const std::string& pattern) { return registry::matches(pattern, event.repository); });
}

}  // namespace shoal::notify
