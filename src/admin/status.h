// The node and its upstreams as JSON.
#pragma once

#include "shoal/admin/admin.h"

namespace shoal::admin {

[[nodiscard]] http::Response status_reply(const store::Store& store, const NodeView& node, base::WallTime now);
[[nodiscard]] http::Response upstreams_reply(const NodeView& node);
[[nodiscard]] http::Response reload_reply(const ReloadReport& report);  // 422 when the new configuration was refused

}  // namespace shoal::admin
