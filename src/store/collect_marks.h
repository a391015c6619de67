// CollectMarks: which digests of one repository stay, and which of them were not looked into yet. 16 bytes of each are
// kept: that two should share them is as good as impossible, and would only keep something.
#pragma once

#include <cstdint>
#include <cstring>
#include <optional>
#include <set>
#include <string>
#include <unordered_set>
#include <vector>

#include "index_view.h"

namespace shoal::store {

class CollectMarks {
 public:
  // `gone`: manifests that are not looked into, because a dry run takes them for removed; outlives the marks.
  explicit CollectMarks(std::string repository, const std::set<base::Digest>* gone = nullptr)
      : repository_(std::move(repository)), gone_(gone) {}

  void add(const base::Digest& digest) {
    if (marked_.insert(mark_of(digest)).second) open_.push_back(digest);
  }
  [[nodiscard]] bool has(const base::Digest& digest) const { return marked_.contains(mark_of(digest)); }
  [[nodiscard]] bool settled() const { return open_.empty() && !subject_; }
  [[nodiscard]] bool empty() const { return marked_.empty(); }

  // Looks into what is open: adds what its manifests name, and their referrers. Bounded work; again until settled().
  void settle_some(const IndexView& view, const Txn& txn);

 private:
  struct Mark {
    std::uint64_t a = 0, b = 0;
    friend bool operator==(const Mark&, const Mark&) = default;
  };
  struct Hash {
    std::size_t operator()(const Mark& mark) const { return mark.a ^ (mark.b << 1); }
  };
  static Mark mark_of(const base::Digest& digest) {
    Mark mark;
    std::memcpy(&mark, digest.bytes().data(), sizeof mark);
    return mark;
  }

  void open_next(const IndexView& view, std::size_t& bytes);
  [[nodiscard]] bool add_referrers(const Txn& txn, std::size_t& rows);  // false: there are more

  const std::string repository_;
  const std::set<base::Digest>* const gone_;
  std::unordered_set<Mark, Hash> marked_;
  std::vector<base::Digest> open_;
  std::optional<base::Digest> subject_;  // whose referrers are being added
  std::string referrers_from_;           // ... from there on
};

}  // namespace shoal::store
