// Notifications as the admin API shows them: endpoints, dead letters.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "pool_jobs.h"
#include "shoal/notify/notify.h"

namespace shoal::admin {

// `hub` null: there are no endpoints.
[[nodiscard]] nlohmann::json notifications_json(const notify::Hub* hub);  // a list
[[nodiscard]] http::Response notifications_reply(const notify::Hub* hub);
void list_dead(notify::Hub* hub, const std::string& name, std::size_t limit, PoolJobs::Answer answer);
void retry_dead(notify::Hub* hub, const std::string& name, PoolJobs::Answer answer);

}  // namespace shoal::admin
