#include "contract/hosted_contract.h"

namespace shoal::test {
namespace {

INSTANTIATE_TEST_SUITE_P(LocalStore, HostedContract, ::testing::Values(OpenStore(store::Store::open)),
                         [](const auto&) { return std::string("OnDisk"); });

}  // namespace
}  // namespace shoal::test
