#include "shoal/mirror/freshness.h"

namespace shoal::mirror {

Freshness freshness(const std::optional<store::TagRecord>& record, const std::optional<base::WallTime>& absent_until,
                    const upstream::TagPolicy& policy, const upstream::Health& health, int rate_limit_reserve,
                    base::WallTime now) {
  if (!record) {
    // Not longer than one negative_ttl from now, though the clock may have been set back since.
    const bool absent = absent_until && now < *absent_until && *absent_until - now <= policy.negative_ttl;
    return absent ? Freshness::absent : Freshness::miss;
  }
  // A clock that was set back makes `checked` lie in the future: such a record is as good as just checked for one ttl,
  // not for ever.
  const auto age = now - record->checked;
  if (age < -policy.ttl) return Freshness::revalidate;
  if (age < policy.ttl) return Freshness::fresh;
  if (age < policy.ttl + policy.stale_while_revalidate) return Freshness::refresh_behind;
  if (age >= policy.ttl + policy.stale_if_error) return Freshness::revalidate_strict;

  const bool limited = health.rate_limited_until && now < *health.rate_limited_until;
  const bool spent =
      rate_limit_reserve > 0 && health.rate_limit_remaining && *health.rate_limit_remaining <= rate_limit_reserve;
  if (health.open || limited || spent) return Freshness::stale_upstream_ill;
  return Freshness::revalidate;
}

}  // namespace shoal::mirror
