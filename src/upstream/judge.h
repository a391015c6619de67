// What an answer means: pure functions from heads and bodies to Failures. Registries differ; the rules are here.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "shoal/base/clock.h"
#include "shoal/upstream/upstream.h"

namespace shoal::upstream {

[[nodiscard]] Failure make_failure(Failure::Kind kind, int status, std::string message);
// "docker.io (https://registry-1.docker.io)", the subject of every message.
[[nodiscard]] std::string subject(std::string_view name, std::string_view url);

// The transport failed: no whole answer.
[[nodiscard]] Failure from_transport(const base::Error& error, std::string_view about);

// An answer that is not 2xx. `body`: its beginning. A storage we were redirected to speaks for itself only: its 401,
// 403 and 404 (an expired URL) say nothing about the registry's content, unless they carry a registry's error body.
[[nodiscard]] Failure judge_status(const fetch::ResponseHead& head, std::string_view body, std::string_view about,
                                   base::WallTime now);

// ECR answers an expired token with 403 and plain text.
[[nodiscard]] bool says_token_expired(const fetch::ResponseHead& head, std::string_view body);

// Some registries, and storages they redirect to, refuse HEAD where they answer GET.
[[nodiscard]] bool head_refused(int status, int redirects);
// ... seen from the Failure that came of it. A GET's body also tells more than a bare status.
[[nodiscard]] bool get_may_do_better(const Failure& failure);

struct BlobStart {
  std::uint64_t offset = 0;
  std::optional<std::uint64_t> total;
  std::optional<std::uint64_t> end;  // where the bytes of this answer must end, if anybody told
};
[[nodiscard]] std::variant<BlobStart, Failure> judge_blob(const fetch::ResponseHead& head, std::uint64_t offset,
                                                          std::optional<std::uint64_t> expected_size,
                                                          std::string_view about);

struct ContentRange {
  std::uint64_t first = 0, last = 0;
  std::optional<std::uint64_t> total;
};
// "bytes 0-9/10", "bytes 0-9/*". RFC 9110 14.4
[[nodiscard]] std::optional<ContentRange> parse_content_range(std::string_view value);

// Never asked for, so never right: the digest is over the plain bytes.
[[nodiscard]] bool is_encoded(const fetch::ResponseHead& head);

}  // namespace shoal::upstream
