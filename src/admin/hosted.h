// Repositories of our own: listing, removal, garbage. What blocks on the index runs on the pool.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "images.h"
#include "pool_jobs.h"
#include "shoal/admin/admin.h"

namespace shoal::admin {

[[nodiscard]] http::Response list_hosted(store::Store& store, const Page& page);  // each is walked

// `tag` "": all tags with their manifests, those of their platforms too. What no tag led to stays for the garbage
// collector. The operator's word: immutable tags go, too.
void remove_hosted(store::Store& store, obs::EventSink& events, base::Executor& on, const std::string& repository,
                   const std::string& tag, PoolJobs::Answer answer);

[[nodiscard]] http::Response gc_reply(const base::Result<GcOutcome>& result, const GcRequest& request);
// What a dry run of a collection would take if nothing were younger than the grace.
[[nodiscard]] nlohmann::json kept_by_grace(const store::GcReport& now, const store::GcReport& in_time);

}  // namespace shoal::admin
