// A real store in a test's own directory, with whatever room the disk has.
#pragma once

#include <memory>
#include <stdexcept>

#include "shoal/store/store.h"
#include "support/temp_dir.h"

namespace shoal::test {

inline std::unique_ptr<store::Store> open_store(const TempDir& dir, base::Executor& disk, base::Clock& clock) {
  store::StoreOptions options;
  options.path = dir.file("store");
  options.min_free = 0;
  auto opened = store::Store::open(options, disk, clock);
  if (!opened.ok()) throw std::runtime_error(opened.error().message());
  return std::move(*opened);
}

}  // namespace shoal::test
