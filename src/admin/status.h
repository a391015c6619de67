// The node and its upstreams as JSON.
#pragma once

#include "shoal/admin/admin.h"

namespace shoal::admin {

[[nodiscard]] http::Response status_reply(const Parts& parts, base::WallTime now);
[[nodiscard]] http::Response peers_reply(const NodeView& node);
[[nodiscard]] http::Response no_site_reply();
[[nodiscard]] http::Response swarms_reply(const std::vector<p2p::SwarmStatus>& swarms);
[[nodiscard]] http::Response upstreams_reply(const NodeView& node);
[[nodiscard]] http::Response reload_reply(const ReloadReport& report);  // 422 when the new configuration was refused

}  // namespace shoal::admin
