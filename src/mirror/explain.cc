#include "explain.h"

#include "shoal/base/format.h"

namespace shoal::mirror {

std::string_view to_word(upstream::Failure::Kind kind) {
  using Kind = upstream::Failure::Kind;
  switch (kind) {
    case Kind::not_found: return "not_found";
    case Kind::denied: return "denied";
    case Kind::rate_limited: return "rate_limited";
    case Kind::unavailable: return "unavailable";
    case Kind::timeout: return "timeout";
    case Kind::bad_answer: return "bad_answer";
  }
  return "unavailable";
}

std::string_view to_word(Refusal::Kind kind) {
  using Kind = Refusal::Kind;
  switch (kind) {
    case Kind::not_found: return "not_found";
    case Kind::rate_limited: return "rate_limited";
    case Kind::too_large: return "too_large";
    case Kind::overloaded: return "overloaded";
    case Kind::unavailable: break;
  }
  return "unavailable";
}

Refusal explain(const upstream::Failure& failure) {
  using Kind = upstream::Failure::Kind;
  switch (failure.kind) {
    case Kind::not_found: return {Refusal::Kind::not_found, failure.message, {}};
    case Kind::rate_limited:
      return {Refusal::Kind::rate_limited, failure.message, failure.retry_after.value_or(std::chrono::seconds(60))};
    case Kind::denied: return {Refusal::Kind::unavailable, failure.message, std::chrono::seconds(60)};
    case Kind::unavailable:
    case Kind::timeout:
    case Kind::bad_answer: break;
  }
  return {Refusal::Kind::unavailable, failure.message, failure.retry_after.value_or(std::chrono::seconds(5))};
}

std::string not_answered_yet(std::string_view registry, upstream::Registry& upstream) {
  const auto health = upstream.health();
  if (health.consecutive_failures == 0 || health.last_error.empty()) {
    return base::format("{} has not answered yet", registry);
  }
  return base::format("{} has not answered yet; its last error: {}", registry, health.last_error);
}

std::string too_large(std::string_view registry, std::uint64_t limit) {
  return base::format("the blob is larger than max_blob_size of upstream {} ({} bytes)", registry, limit);
}

}  // namespace shoal::mirror
