// The calls of Registry, one class each: what to ask, and what to make of the answer. Made and dropped on one loop.
#pragma once

#include <memory>

#include "shared_state.h"

namespace shoal::upstream {

struct CallContext {
  std::shared_ptr<SharedState> state;  // shared with the other loops
  base::Loop& loop;
  fetch::Client& client;
};

// "/v2/<repository>/<kind>/<reference>"
[[nodiscard]] std::string api_path(std::string_view repository, std::string_view kind, std::string_view reference,
                                   std::string_view query = {});

[[nodiscard]] Call start_manifest_head(CallContext context, std::string_view repository, std::string_view reference,
                                       Registry::Done<ManifestHead> done);
[[nodiscard]] Call start_manifest_get(CallContext context, std::string_view repository, std::string_view reference,
                                      Registry::Done<Manifest> done);
[[nodiscard]] Call start_blob_head(CallContext context, std::string_view repository, const base::Digest& digest,
                                   Registry::Done<BlobHead> done);
// `served` is told the URL that serves the blob.
[[nodiscard]] Call start_blob_get(CallContext context, std::string_view repository, const base::Digest& digest,
                                  std::uint64_t offset, std::optional<std::uint64_t> expected_size, unsigned source,
                                  BlobSink& sink, base::UniqueFunction<void(const std::string& url)> served);
[[nodiscard]] Call start_page_get(CallContext context, std::string_view repository, std::string path,
                                  Registry::Done<TagPage> done);

}  // namespace shoal::upstream
