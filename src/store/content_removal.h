// ContentRemoval: one manifest or blob leaves a hosted repository. First it looks, in slices on the disk executor, for
// the tags that lead to the manifest, with tags that are fixed also through an index, or for a manifest that needs the
// blob; then one transaction takes it away, unless a manifest was pushed there meanwhile (nothing else sets a tag):
// then it looks again. So what it saw is true in the transaction.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <unordered_set>
#include <vector>

#include "core.h"

namespace shoal::store {

class ContentRemoval : public std::enable_shared_from_this<ContentRemoval> {
 public:
  using Answer = base::UniqueFunction<void(base::Result<void>)>;  // on a disk thread
  static void start(Core& core, const std::string& repository, const base::Digest& digest, Removal removal,
                    Answer answer);

  ContentRemoval(std::string repository, const base::Digest& digest, Removal removal, Answer answer)
      : repository_(std::move(repository)), digest_(digest), removal_(std::move(removal)), answer_(std::move(answer)) {}

 private:
  enum class Stage { tags, parents, tags_of_parents, users };
  enum class Look { more, done, needed, fixed };
  void begin(Core& core);
  void enter(Stage stage);
  void step(Core& core);
  void looked(Core& core);  // a stage is done
  [[nodiscard]] Look look(const Txn& txn);
  [[nodiscard]] Look look_for_tags(const Txn& txn);
  [[nodiscard]] Look look_for_parents(const Txn& txn);
  [[nodiscard]] Look look_for_users(const Txn& txn);
  // At each manifest of the repository, from from_ on, as long as that says `done`.
  [[nodiscard]] Look look_at_manifests(
      const Txn& txn, const std::function<Look(const base::Digest& holder, const std::string& bytes)>& look);
  void remove(Core& core);

  const std::string repository_;
  const base::Digest digest_;
  const Removal removal_;
  Answer answer_;
  int attempts_ = 0;
  std::uint64_t changes_ = 0;  // of the repository when the look began
  Stage stage_ = Stage::tags;
  std::string from_;                          // where the stage goes on
  std::vector<std::string> tags_;             // that lead to it
  bool any_fixed_ = false;                    // some tag of the repository is
  std::string fixed_tag_;                     // that leads to it
  std::unordered_set<base::Digest> parents_;  // the manifest, what names it, what names that
  bool more_parents_ = false;                 // found in this walk: another one
};

}  // namespace shoal::store
