// How an answer explains itself: Cache-Status (RFC 9211), Warning, and refusals as status and OCI error code.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "serve_probe.h"
#include "shoal/mirror/mirror.h"

namespace shoal::serve {

[[nodiscard]] std::string cache_status(const mirror::Provenance& provenance);

// Of upstream's Warning headers those of the form that the distribution-spec allows, 299 - "text"; together with ours
// not more than the 4096 bytes that it allows.
[[nodiscard]] std::vector<std::string> passable_warnings(const std::vector<std::string>& theirs);

struct RefusalAnswer {
  int status;
  std::string_view code;
};
[[nodiscard]] RefusalAnswer answer_to(const mirror::Refusal& refusal, Subject subject);

}  // namespace shoal::serve
