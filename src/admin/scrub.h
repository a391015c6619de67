// Scrubbing when somebody asks for it. On the pool.
#pragma once

#include <string_view>

#include "shoal/admin/admin.h"

namespace shoal::admin {

struct ScrubRequest {
  std::uint64_t bytes = 0;  // of the step
  ScrubFrom from = ScrubFrom::where_it_was;
  bool dry_run = false;
  std::uint64_t rate = 0;  // of a dry run: how long a pass takes at that
};
// An error says what is wrong with the query.
[[nodiscard]] base::Result<ScrubRequest> parse_scrub(std::string_view query);
[[nodiscard]] http::Response scrub(const store::Store& store, NodeView& node, const ScrubRequest& request);

}  // namespace shoal::admin
