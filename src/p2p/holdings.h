// Holdings: everything a node can serve to neighbours, page by page, from the index: blobs, then manifests. For a
// tracker that has forgotten us, or that we join. Reads the index: on the pool, a bounded part in each turn.
#pragma once

#include <optional>
#include <vector>

#include "shoal/store/store.h"

namespace shoal::p2p {

class Holdings {
 public:
  // At most `most` digests. May be empty though more is to come.
  [[nodiscard]] std::vector<base::Digest> next(const store::Store& store, std::size_t most);
  [[nodiscard]] bool done() const { return done_; }

 private:
  bool blobs_ = true;
  bool done_ = false;
  std::optional<base::Digest> last_;
};

}  // namespace shoal::p2p
