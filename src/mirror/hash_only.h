// HashOnlyFill: a store::FillFile that keeps nothing: for blobs that are too large for the cache, or when another fill
// of the same digest has the file. Every append answers "full", and the hash goes on.
#pragma once

#include <memory>

#include "shoal/base/loop.h"
#include "shoal/store/store.h"

namespace shoal::mirror {

[[nodiscard]] std::unique_ptr<store::FillFile> make_hash_only_fill(const base::Digest& digest, base::Loop& loop,
                                                                   base::Executor& disk);

}  // namespace shoal::mirror
