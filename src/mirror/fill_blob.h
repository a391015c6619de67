// A blob that is arriving, as a request sees it. Made on the fill's loop, used and dropped on the asker's.
#pragma once

#include <memory>

#include "fill_state.h"
#include "shoal/mirror/mirror.h"

namespace shoal::mirror {

// `gated`: readers get no byte before the repository's right is proven.
[[nodiscard]] std::unique_ptr<Blob> fill_blob(std::shared_ptr<FillState> state, FillHold hold, base::Loop& asker,
                                              bool gated, Provenance provenance);

}  // namespace shoal::mirror
