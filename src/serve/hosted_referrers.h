// The referrers of a hosted repository, page by page: what names the subject, and what its clients list under the
// fallback tag. Reads the store: on the pool. OCI distribution-spec "Listing Referrers", "Enabling the Referrers API".
#pragma once

#include <optional>
#include <string>

#include "hosted_lists.h"

namespace shoal::serve {

// An error when the index cannot be read.
[[nodiscard]] base::Result<ListPage> hosted_referrers_page(store::Store& store, const std::string& repository,
                                                           const base::Digest& subject,
                                                           std::optional<base::Digest> last,
                                                           const std::optional<std::string>& artifact_type);

}  // namespace shoal::serve
