// Repositories of our own: listing, removal, pins, garbage; scrubbing. What blocks on the index runs on the pool.
#pragma once

#include <string>
#include <string_view>

#include "images.h"
#include "pool_jobs.h"
#include "shoal/admin/admin.h"

namespace shoal::admin {

[[nodiscard]] http::Response list_hosted(store::Store& store, const Page& page);  // each is walked

// `tag` "": all tags with their manifests, those of their platforms too. What no tag led to stays for the garbage
// collector. The operator's word: immutable tags go, too.
void remove_hosted(store::Store& store, base::Executor& on, const std::string& repository, const std::string& tag,
                   PoolJobs::Answer answer);

enum class Pin { keep, release };
// A blob; or a manifest with all blobs it leads to that are held here.
void set_pin(store::Store& store, base::Executor& on, std::string_view digest, Pin pin, PoolJobs::Answer answer);

// One step of the scrubber, over the whole store.
[[nodiscard]] http::Response scrub_reply(const store::ScrubReport& report);
[[nodiscard]] http::Response gc_reply(const base::Result<GcOutcome>& result, const GcRequest& request);

}  // namespace shoal::admin
