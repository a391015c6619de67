#include "holdings.h"

#include <utility>

namespace shoal::p2p {

std::vector<base::Digest> Holdings::next(const store::Store& store, std::size_t most) {
  std::vector<base::Digest> page;
  if (blobs_) {
    for (const auto& [digest, record] : store.list_blobs(last_, most)) page.push_back(digest);
  } else if (!done_) {
    page = store.list_manifests(last_, most);
  }
  if (!page.empty()) {
    last_ = page.back();
  } else if (std::exchange(blobs_, false)) {
    last_.reset();
  } else {
    done_ = true;
  }
  return page;
}

}  // namespace shoal::p2p
