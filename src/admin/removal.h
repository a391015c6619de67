// What a removal would do, without doing it; with the refusals of the real one. On the pool.
#pragma once

#include <string>
#include <string_view>

#include "pool_jobs.h"
#include "shoal/admin/admin.h"

namespace shoal::admin {

// `tag` "": the whole repository.
void foresee_hosted_removal(store::Store& store, NodeView& node, const std::string& repository, const std::string& tag,
                            PoolJobs::Answer answer);
[[nodiscard]] http::Response foresee_mirrored_removal(const store::Store& store, const std::string& repository,
                                                      const std::string& tag);
[[nodiscard]] http::Response foresee_blob_removal(const store::Store& store, std::string_view digest);

}  // namespace shoal::admin
