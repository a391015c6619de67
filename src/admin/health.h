// Liveness and readiness.
#pragma once

#include "shoal/admin/admin.h"

namespace shoal::admin {

[[nodiscard]] std::vector<std::string> reasons_not_ready(const store::Store& store, const NodeView& node);
[[nodiscard]] http::Response health_reply(const NodeView& node);
[[nodiscard]] http::Response readiness_reply(const store::Store& store, const NodeView& node);

// The path part of a request's target.
[[nodiscard]] std::string_view path_of(const http::Request& request);
[[nodiscard]] std::string_view query_of(const http::Request& request);

}  // namespace shoal::admin
