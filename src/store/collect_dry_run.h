// CollectDryRun: the side of a collector's round that only looks: what it takes for done (Supposed), and how it counts
// what would go. One for each dry round; on its executor.
#pragma once

#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "collect_marks.h"
#include "shoal/store/hosted.h"

namespace shoal::store {

struct CollectGarbage {
  base::Digest digest;
  bool manifest = false;
};

class CollectDryRun {
 public:
  explicit CollectDryRun(const GcOptions& options) : options_(options) {}
  CollectDryRun(const CollectDryRun&) = delete;
  CollectDryRun& operator=(const CollectDryRun&) = delete;

  [[nodiscard]] base::Result<void> begin(const std::string& repository);  // asks what is to be taken for done there
  [[nodiscard]] const Supposed& supposed() const { return supposed_; }
  [[nodiscard]] bool is_gone(std::string_view tag, const base::Digest& leads_to) const;
  [[nodiscard]] bool is_gone(const base::Digest& manifest) const { return supposed_.manifests.contains(manifest); }
  // What the supposed lead to, if that alone counts; to be settled before count(). Null: everything counts.
  [[nodiscard]] CollectMarks* led_to() { return led_to_.get(); }

  void count(const IndexView& view, const std::vector<CollectGarbage>& garbage, GcReport& report);
  void link_stays() { any_left_ = true; }
  void end(const Txn& txn, GcReport& report);  // of the repository

 private:
  const GcOptions& options_;
  std::string repository_;
  Supposed supposed_;
  std::unique_ptr<CollectMarks> led_to_;
  bool any_left_ = false;                                   // links of the repository that are no garbage
  std::unordered_map<base::Digest, std::uint32_t> shared_;  // garbage links of blobs that others show too, or pinned
};

}  // namespace shoal::store
