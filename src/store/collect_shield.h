// CollectShield: what was linked to the repository that the garbage collector is at, since it began to look. The
// collector treats it as roots, so that a push beside it loses nothing. On the index writer's thread only: it fills
// within the transactions, and so is in step with what they did.
#pragma once

#include <optional>
#include <string>
#include <unordered_set>

#include "shoal/base/digest.h"

namespace shoal::store {

class CollectShield {
 public:
  void begin(const std::string& repository) {
    repository_ = repository;
    noted_.clear();
  }
  void end() {
    repository_.reset();
    noted_.clear();
  }
  void note(const std::string& repository, const base::Digest& digest) {
    if (repository_ && *repository_ == repository) noted_.insert(digest);
  }
  [[nodiscard]] const std::unordered_set<base::Digest>& noted() const { return noted_; }
  [[nodiscard]] std::unordered_set<base::Digest> take() { return std::exchange(noted_, {}); }

 private:
  std::optional<std::string> repository_;
  std::unordered_set<base::Digest> noted_;
};

}  // namespace shoal::store
