#include "contract/store_contract.h"

namespace shoal::test {
namespace {

base::Result<std::unique_ptr<store::Store>> open_local(store::StoreOptions options, base::Executor& disk,
                                                       base::Clock& clock) {
  return store::Store::open(std::move(options), disk, clock);
}

INSTANTIATE_TEST_SUITE_P(LocalStore, StoreContract, ::testing::Values(OpenStore(open_local)),
                         [](const auto&) { return std::string("OnDisk"); });

}  // namespace
}  // namespace shoal::test
