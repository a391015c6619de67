// Small texts of the protocol: error bodies, WWW-Authenticate challenges, Link headers, rate-limit headers, tag lists.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "shoal/base/clock.h"
#include "shoal/base/result.h"

namespace shoal::registry {

// {"errors":[{"code":..., "message":...}]}; the message is cut at 1,024 bytes and made valid UTF-8.
[[nodiscard]] std::string error_body(std::string_view code, std::string_view message);
// The first error's "CODE: message" in such a body, at most 256 printable bytes; "" if there is none. For explanations.
[[nodiscard]] std::string first_error(std::string_view body);

struct Challenge {     // RFC 9110 11.6.1; keys lower-case
  std::string scheme;  // lower-case: "basic", "bearer"
  std::map<std::string, std::string> parameters;
};
[[nodiscard]] std::vector<Challenge> parse_challenges(std::string_view www_authenticate);

struct TokenReply {
  std::string token;
  std::chrono::seconds expires_in{60};  // 60 if absent; at least 1
};
[[nodiscard]] base::Result<TokenReply> parse_token_reply(std::string_view body);

// Query of the target of rel="next" ("n=2&last=b"), "" if there is none. RFC 8288.
[[nodiscard]] std::string next_query(std::string_view link_header);

// "100;w=21600" -> 100
[[nodiscard]] std::optional<std::int64_t> parse_rate_limit(std::string_view value);
// Seconds or an HTTP date; never negative.
[[nodiscard]] std::optional<std::chrono::seconds> parse_retry_after(std::string_view value, base::WallTime now);

struct TagList {
  std::string name;
  std::vector<std::string> tags;
};
[[nodiscard]] base::Result<TagList> parse_tag_list(std::string_view body);
[[nodiscard]] std::string tag_list_body(const TagList& list);

}  // namespace shoal::registry
