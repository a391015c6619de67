// Opening a store, with its file operations given: the seam for tests that fail or forget.
#pragma once

#include <memory>

#include "core.h"
#include "file_ops.h"
#include "shoal/store/store.h"

namespace shoal::store {

[[nodiscard]] base::Result<std::unique_ptr<Store>> open_store(StoreOptions options, base::Executor& disk,
                                                              base::Clock& clock, std::shared_ptr<FileOps> files,
                                                              obs::EventSink& events = obs::no_events());

// What the store is made of; the caller closes it.
[[nodiscard]] base::Result<std::shared_ptr<Core>> open_core(StoreOptions options, base::Executor& disk,
                                                            base::Clock& clock, std::shared_ptr<FileOps> files,
                                                            obs::EventSink& events = obs::no_events());

}  // namespace shoal::store
