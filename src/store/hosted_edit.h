// The transactions of hosted repositories. Each runs on the index writer's thread with others in one LMDB transaction:
// it looks first and writes then, so that one that is refused leaves no trace and its neighbours alone.
#pragma once

#include <string>
#include <vector>

#include "collect_shield.h"
#include "index_edit.h"
#include "shoal/base/result.h"
#include "shoal/store/hosted.h"

namespace shoal::store {

// Are the names and values within what the index can hold?
[[nodiscard]] base::Result<void> check_push(const ManifestPush& push);

[[nodiscard]] base::Result<void> apply_push(IndexEdit& edit, CollectShield& shield, const ManifestPush& push);
[[nodiscard]] base::Result<void> apply_mount(IndexEdit& edit, CollectShield& shield, const std::string& repository,
                                             const base::Digest& digest, const std::string& from);

// What nothing shows any more: a blob's file may go behind the commit.
struct Unlinked {
  base::Digest digest;
  BlobRecord record;
};
// Takes the content from the repository, with its entry among referrers; tags are the caller's business.
void unlink_content(IndexEdit& edit, const std::string& repository, const base::Digest& digest,
                    std::vector<Unlinked>& unlinked);

// How often something was pushed to the repository.
[[nodiscard]] std::uint64_t changes_of(const IndexView& view, std::string_view repository);

}  // namespace shoal::store
