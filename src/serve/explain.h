// How an answer explains itself: Cache-Status (RFC 9211), Warning, and refusals as status and OCI error code.
#pragma once

#include <string>
#include <string_view>

#include "serve_probe.h"
#include "shoal/mirror/mirror.h"

namespace shoal::serve {

[[nodiscard]] std::string cache_status(const mirror::Provenance& provenance);

struct RefusalAnswer {
  int status;
  std::string_view code;
};
[[nodiscard]] RefusalAnswer answer_to(const mirror::Refusal& refusal, Subject subject);

}  // namespace shoal::serve
