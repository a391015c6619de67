// Platforms of an index, as clients choose among them. Pure but for own_platform().
#pragma once

#include <string>
#include <vector>

#include "shoal/base/result.h"
#include "shoal/registry/manifest.h"

namespace shoal::registry {

// Which children of an index `platform` ("linux/arm64", or with a variant; "all") means. An error: none; it names those
// that there are.
[[nodiscard]] base::Result<std::vector<Descriptor>> choose_children(const ManifestView& index,
                                                                    const std::string& platform);
[[nodiscard]] std::string own_platform();  // of this machine: "linux/amd64"

}  // namespace shoal::registry
