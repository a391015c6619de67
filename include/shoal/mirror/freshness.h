// freshness(): may a remembered tag be served? A pure function; the mirror performs what it says. DESIGN section 5.
#pragma once

#include <optional>

#include "shoal/base/clock.h"
#include "shoal/store/records.h"
#include "shoal/upstream/upstream.h"

namespace shoal::mirror {

enum class Freshness {
  fresh,               // serve it, ask nobody
  refresh_behind,      // serve it, ask upstream afterwards (stale-while-revalidate)
  stale_upstream_ill,  // serve it, ask behind: upstream is known to fail, or its budget is low
  revalidate,          // ask upstream first; if that fails or is slow, serve it (stale-if-error)
  revalidate_strict,   // ask upstream first; too old to serve otherwise
  absent,              // upstream said 404 a moment ago
  miss,                // nothing known
};

[[nodiscard]] Freshness freshness(const std::optional<store::TagRecord>& record,
                                  const std::optional<base::WallTime>& absent_until, const upstream::TagPolicy& policy,
                                  const upstream::Health& health, int rate_limit_reserve, base::WallTime now);

}  // namespace shoal::mirror
