#include "tracker_shard.h"

#include <algorithm>
#include <cstring>

namespace shoal::p2p {
namespace {

constexpr std::size_t kBucketsAtOnce = 8;

}  // namespace

BlobKey key_of(const base::Digest& digest) {
  BlobKey key;
  const auto bytes = digest.bytes().first(key.size());
  std::copy(bytes.begin(), bytes.end(), key.begin());
  return key;
}

std::size_t BlobKeyHash::operator()(const BlobKey& key) const noexcept {
  std::size_t value = 0;
  std::memcpy(&value, key.data(), sizeof value);
  return value;
}

TrackerShard::Entry* TrackerShard::find_or_make(const BlobKey& key, Room& room) {
  const auto it = records_.find(key);
  if (it != records_.end()) {
    unlink(&*it);
    return &*it;
  }
  if (!make_room(room)) {
    ++room.forgotten;
    return nullptr;
  }
  return &*records_.try_emplace(key).first;
}

// Counts a record that is about to be made. The longest unused of this shard goes, not of all: digests are spread
// evenly.
bool TrackerShard::make_room(Room& room) {
  if (room.blobs.fetch_add(1) < room.max_blobs) return true;
  Entry* oldest = idle_.oldest;
  if (oldest == nullptr) {
    --room.blobs;
    return false;
  }
  ++room.forgotten;
  unlink(oldest);
  erase(oldest, room);
  return true;
}

void TrackerShard::unlink(Entry* entry) {
  Linked& record = entry->second;
  List& list = list_of(entry);
  (record.newer != nullptr ? record.newer->second.older : list.newest) = record.older;
  (record.older != nullptr ? record.older->second.newer : list.oldest) = record.newer;
  record.newer = record.older = nullptr;
  --list.size;
}

void TrackerShard::settle(Entry* entry, Room& room) {
  Linked& record = entry->second;
  if (record.blob.empty()) return erase(entry, room);
  record.in_ring = record.blob.wanted();
  List& list = list_of(entry);
  record.older = list.newest;
  (list.newest != nullptr ? list.newest->second.newer : list.oldest) = entry;
  list.newest = entry;
  ++list.size;
}

void TrackerShard::erase(Entry* entry, Room& room) {
  records_.erase(records_.find(entry->first));
  --room.blobs;
}

std::size_t TrackerShard::wanted() const {
  const std::lock_guard lock(mutex_);
  return wanted_.size;
}

bool TrackerShard::sweep_wanted(const MemberTable& members, base::SteadyTime now, RecordCounts& counts, Room& room) {
  const std::lock_guard lock(mutex_);
  Entry* entry = wanted_.oldest;
  if (entry == nullptr) return false;
  unlink(entry);
  entry->second.blob.tidy(MemberTable::View(members, now), counts);
  settle(entry, room);
  return true;
}

bool TrackerShard::sweep_some(const MemberTable& members, base::SteadyTime now, RecordCounts& counts, Room& room) {
  const std::lock_guard lock(mutex_);
  const MemberTable::View view(members, now);
  const std::size_t end = std::min(next_bucket_ + kBucketsAtOnce, records_.bucket_count());
  std::vector<Entry*> empty;
  for (; next_bucket_ < end; ++next_bucket_) {
    for (auto it = records_.begin(next_bucket_); it != records_.end(next_bucket_); ++it) {
      if (it->second.in_ring) continue;  // sweep_wanted sees to those
      it->second.blob.tidy(view, counts);
      if (it->second.blob.empty()) empty.push_back(&*it);
    }
  }
  for (Entry* entry : empty) {
    unlink(entry);
    erase(entry, room);
  }
  if (next_bucket_ < records_.bucket_count()) return false;
  next_bucket_ = 0;
  return true;
}

}  // namespace shoal::p2p
