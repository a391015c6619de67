// Repositories, tags and manifests of the store as JSON, and their removal. Blocks on the index: pool only.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "pool_jobs.h"
#include "shoal/base/loop.h"
#include "shoal/http/server.h"
#include "shoal/store/store.h"

namespace shoal::admin {

struct Page {
  std::string last;         // strictly after this name
  std::size_t limit = 100;  // 1 ... 1000
};

[[nodiscard]] bool repository_exists(const store::Store& store, const std::string& name);  // hosted or mirrored
[[nodiscard]] http::Response unknown_repository(const std::string& repository);            // 404
[[nodiscard]] http::Response list_repositories(store::Store& store, const Page& page);
[[nodiscard]] http::Response list_tags(const store::Store& store, const std::string& repository, const Page& page);

// A manifest by tag or digest, what it names, and how much of that is held here.
[[nodiscard]] http::Response show_manifest(const store::Store& store, const std::string& repository,
                                           const std::string& tag, const std::string& digest);

// The answer comes when it is durable. `tag` "": the whole repository.
void remove_image(store::Store& store, obs::EventSink& events, base::Executor& on, const std::string& repository,
                  const std::string& tag, PoolJobs::Answer answer);
[[nodiscard]] http::Response show_blob(const store::Store& store, std::string_view digest);
[[nodiscard]] http::Response remove_blob(store::Store& store, obs::EventSink& events, std::string_view digest);

}  // namespace shoal::admin
