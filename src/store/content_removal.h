// ContentRemoval: one manifest or blob leaves a hosted repository. First it looks, in slices on the disk executor, for
// the tags that lead to the manifest, or for a manifest that needs the blob; then one transaction takes it away, unless
// a manifest was pushed there meanwhile: then it looks again.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core.h"

namespace shoal::store {

class ContentRemoval : public std::enable_shared_from_this<ContentRemoval> {
 public:
  using Answer = base::UniqueFunction<void(base::Result<void>)>;  // on a disk thread
  static void start(Core& core, const std::string& repository, const base::Digest& digest, Answer answer);

  ContentRemoval(std::string repository, const base::Digest& digest, Answer answer)
      : repository_(std::move(repository)), digest_(digest), answer_(std::move(answer)) {}

 private:
  enum class Look { more, done, needed };
  void begin(Core& core);
  void step(Core& core);
  [[nodiscard]] Look look_for_tags(const Txn& txn);
  [[nodiscard]] Look look_for_users(const Txn& txn);
  void remove(Core& core);

  const std::string repository_;
  const base::Digest digest_;
  Answer answer_;
  int attempts_ = 0;
  bool manifest_ = false;
  std::uint64_t changes_ = 0;      // of the repository when the look began
  std::string from_;               // where the look goes on
  std::vector<std::string> tags_;  // that lead to it
};

}  // namespace shoal::store
