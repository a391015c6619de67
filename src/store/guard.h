// Guard: who holds a digest right now: readers (leases), one fill, one publication, or a removal. Keeps eviction away
// from what is in use, two fills from one digest, and two files from one place under blobs/. Sharded mutexes, held for
// a map operation only; any thread.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "shoal/base/digest.h"
#include "shoal/base/unique_function.h"

namespace shoal::store {

class Guard : public std::enable_shared_from_this<Guard> {
 public:
  // Null while the blob is being removed. The lease ends with the last copy, also after the Store.
  [[nodiscard]] std::shared_ptr<void> lease(const base::Digest& digest);

  [[nodiscard]] bool begin_fill(const base::Digest& digest);  // false: there is one
  void end_fill(const base::Digest& digest);

  // The right to move a file to or from blobs/<digest>, until the record of it is committed. False: another one has it,
  // or a removal is at the file; then `when_free` runs once, on the thread that frees the place, and asks again
  // (somebody may be faster). It must only post.
  using Waiter = base::UniqueFunction<void()>;
  [[nodiscard]] bool begin_publication(const base::Digest& digest, Waiter when_free = nullptr);
  void end_publication(const base::Digest& digest);

  // Fails when there is a lease, a fill, a publication or another removal.
  [[nodiscard]] bool begin_removal(const base::Digest& digest);
  void file_removed(const base::Digest& digest);  // a fill may publish now
  void end_removal(const base::Digest& digest);   // the record is gone too
  [[nodiscard]] bool removing_file(const base::Digest& digest) const;
  [[nodiscard]] bool removing(const base::Digest& digest) const;  // its record at least

  [[nodiscard]] bool in_use(const base::Digest& digest) const;  // any of the above
  void forget_waiters();                                        // the store closes

 private:
  struct Holders {
    std::uint32_t leases = 0;
    bool fill = false;
    bool publication = false;
    bool removal = false;
    bool removing_file = false;
    std::vector<Waiter> waiters = {};  // for the place under blobs/
    [[nodiscard]] bool none() const { return leases == 0 && !fill && !publication && !removal; }
  };
  struct Shard {
    mutable std::mutex mutex;
    std::unordered_map<base::Digest, Holders> holders;
  };
  template <class F>
  void change(const base::Digest& digest, F apply);
  Shard& shard(const base::Digest& digest) { return shards_[digest.bytes()[31] % kShards]; }
  const Shard& shard(const base::Digest& digest) const { return shards_[digest.bytes()[31] % kShards]; }
  void end_lease(const base::Digest& digest);

  static constexpr std::size_t kShards = 32;
  std::array<Shard, kShards> shards_;
};

}  // namespace shoal::store
