// Reads of hosted repositories, from the store alone. Never wait; any loop.
#pragma once

#include <string>

#include "shoal/mirror/mirror.h"
#include "shoal/serve/handler.h"

namespace shoal::serve {

enum class Purpose { look, pull };  // a pull counts as a use, for retention

[[nodiscard]] mirror::Outcome<std::unique_ptr<mirror::Blob>> open_hosted_blob(const DistributionHandler::Parts& parts,
                                                                              const std::string& repository,
                                                                              const base::Digest& digest,
                                                                              Purpose purpose);
[[nodiscard]] mirror::Outcome<mirror::ManifestAnswer> find_hosted_manifest(const DistributionHandler::Parts& parts,
                                                                           const std::string& repository,
                                                                           const registry::Reference& reference,
                                                                           Purpose purpose);

}  // namespace shoal::serve
