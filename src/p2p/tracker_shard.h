// TrackerShard: the records of some digests, with their lock. Records that nobody wants are in the order of their last
// use, so that the longest unused can go; those that somebody wants are in a ring, so that a sweep can go round.
#pragma once

#include <array>
#include <atomic>
#include <mutex>
#include <unordered_map>

#include "tracker_record.h"

namespace shoal::p2p {

// The first 32 bytes of a digest: enough of a sha512 too.
using BlobKey = std::array<std::uint8_t, 32>;
[[nodiscard]] BlobKey key_of(const base::Digest& digest);

struct BlobKeyHash {
  [[nodiscard]] std::size_t operator()(const BlobKey& key) const noexcept;
};

// Of all shards together.
struct Room {
  explicit Room(std::size_t limit) : max_blobs(limit) {}
  const std::size_t max_blobs;
  std::atomic<std::size_t> blobs{0};
  std::atomic<std::uint64_t> forgotten{0};
};

class TrackerShard {
 public:
  // `use` works on the record, which is made if there is none, under the lock. False: no room for another record.
  template <class Use>
  [[nodiscard]] bool with(const BlobKey& key, Room& room, Use use) {
    const std::lock_guard lock(mutex_);
    Entry* entry = find_or_make(key, room);
    if (entry == nullptr) return false;
    use(entry->second.blob);
    settle(entry, room);
    return true;
  }
  // The same if there is one.
  template <class Use>
  void with_known(const BlobKey& key, Room& room, Use use) {
    const std::lock_guard lock(mutex_);
    const auto it = records_.find(key);
    if (it == records_.end()) return;
    unlink(&*it);
    use(it->second.blob);
    settle(&*it, room);
  }

  // Tidies the record at the end of the ring, which moves to its beginning. False: nobody wants anything.
  bool sweep_wanted(const MemberTable& members, base::SteadyTime now, RecordCounts& counts, Room& room);
  [[nodiscard]] std::size_t wanted() const;
  // Tidies a few records from where it left off. True: it came round.
  bool sweep_some(const MemberTable& members, base::SteadyTime now, RecordCounts& counts, Room& room);

 private:
  struct Linked;
  using Entry = std::pair<const BlobKey, Linked>;
  struct Linked {
    BlobRecord blob;
    Entry* newer = nullptr;
    Entry* older = nullptr;
    bool in_ring = false;  // which list it is in: the work on it may change where it belongs
  };
  struct List {
    Entry* newest = nullptr;
    Entry* oldest = nullptr;
    std::size_t size = 0;
  };

  Entry* find_or_make(const BlobKey& key, Room& room);
  [[nodiscard]] bool make_room(Room& room);
  void unlink(Entry* entry);
  void settle(Entry* entry, Room& room);  // into the list where it belongs, or out
  void erase(Entry* entry, Room& room);   // one that is in no list
  [[nodiscard]] List& list_of(Entry* entry) { return entry->second.in_ring ? wanted_ : idle_; }

  mutable std::mutex mutex_;
  std::unordered_map<BlobKey, Linked, BlobKeyHash> records_;
  List idle_;
  List wanted_;
  std::size_t next_bucket_ = 0;
};

}  // namespace shoal::p2p
