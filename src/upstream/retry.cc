#include <algorithm>

#include "shoal/upstream/upstream.h"

namespace shoal::upstream {
namespace {

// 0.80 ... 1.19, the same for the same failure and attempt: retries of different blobs spread without a random source.
std::uint64_t jitter_percent(std::string_view text, unsigned attempt) {
  std::uint64_t hash = 14695981039346656037ULL + attempt;  // FNV-1a
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211ULL;
  return 80 + (hash >> 32) % 40;
}

}  // namespace

std::optional<std::chrono::milliseconds> next_delay(const RetryPolicy& policy, const Failure& failure,
                                                    unsigned attempt) {
  if (attempt == 0 || attempt >= policy.max_attempts) return std::nullopt;
  if (failure.kind == Failure::Kind::not_found || failure.kind == Failure::Kind::denied) return std::nullopt;
  std::chrono::milliseconds delay = std::min(policy.base_delay * (1L << std::min(attempt - 1, 20U)), policy.max_delay);
  delay = delay * static_cast<std::int64_t>(jitter_percent(failure.message, attempt)) / 100;
  if (!failure.retry_after) return delay;
  const std::chrono::milliseconds wish = *failure.retry_after;
  // A rate limit is a promise to refuse until then; any other Retry-After is a guess.
  if (failure.kind == Failure::Kind::rate_limited && wish > policy.retry_after_cap) return std::nullopt;
  return std::max(delay, std::min(wish, policy.retry_after_cap));
}

RetryPolicy policy_for(RetryPolicy policy, const Registry& upstream, const Failure& failure, bool began) {
  policy.max_attempts = upstream.options().retries + 1;
  if (!began && (failure.lasting || upstream.health().lasting)) {
    policy.max_attempts = std::min(policy.max_attempts, 2U);
  }
  return policy;
}

}  // namespace shoal::upstream
