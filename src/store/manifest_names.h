// What a stored manifest names: for who may go and who must stay. Pure.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "shoal/base/digest.h"

namespace shoal::store {

// Its children (config, layers, manifests), without its subject.
[[nodiscard]] std::vector<base::Digest> named_by(std::string_view manifest);
[[nodiscard]] bool names(std::string_view manifest, const base::Digest& digest);
[[nodiscard]] std::optional<base::Digest> subject_of(std::string_view manifest);

}  // namespace shoal::store
