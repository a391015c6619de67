// Space: how many bytes the blobs and fills take, and what the filesystem has left. A blob counts from the moment its
// file is there until its file is removed by us; one whose file somebody else took away counts until its record goes.
// (The index counts what is recorded; the two meet when all is quiet.) Any thread; a mutex for a few instructions.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>

namespace shoal::store {

struct SpaceLimits {
  std::uint64_t max_size = 0;  // 0: none
  std::uint64_t min_free = 0;
  double high_watermark = 0.95;
  double low_watermark = 0.90;
};

struct SpaceUse {
  std::uint64_t blob_bytes = 0;
  std::uint64_t fill_bytes = 0;
  std::uint64_t free_bytes = 0;  // of the filesystem; 0: not known yet
};

class Space {
 public:
  explicit Space(SpaceLimits limits) : limits_(limits) {}
  void set_limits(SpaceLimits limits);
  [[nodiscard]] SpaceLimits limits() const;

  // Takes room for bytes of a fill; false: max_size or min_free would not hold.
  [[nodiscard]] bool take(std::uint64_t bytes);
  void give_back(std::uint64_t bytes);  // a fill shrank or went

  void add_fill(std::uint64_t bytes);     // found on disk
  void fill_to_blob(std::uint64_t size);  // published
  void blob_to_fill(std::uint64_t size);  // adopted
  void add_blob(std::uint64_t size);
  void remove_blob(std::uint64_t size);

  void sample_free(std::uint64_t bytes);  // as statvfs told
  [[nodiscard]] SpaceUse use() const;     // one moment's numbers

  // Bytes to evict, so that `extra` more fit: 0 below the high watermark, else down to the low one.
  [[nodiscard]] std::uint64_t to_evict(std::uint64_t extra) const;
  // The same once eviction runs: down to the low watermark, whatever the high one says.
  [[nodiscard]] std::uint64_t above_low(std::uint64_t extra) const;
  // Could a blob of that size be kept if everything that is not pinned went?
  [[nodiscard]] bool can_ever_fit(std::uint64_t size, std::uint64_t pinned) const;
  // How large may one be then? UINT64_MAX: nothing is known yet.
  [[nodiscard]] std::uint64_t room(std::uint64_t pinned) const;

 private:
  [[nodiscard]] std::uint64_t above(double watermark, unsigned slack_shares, std::uint64_t extra) const;  // locked
  [[nodiscard]] std::uint64_t free_slack() const;

  mutable std::mutex mutex_;
  SpaceLimits limits_;
  std::uint64_t blobs_ = 0;
  std::uint64_t fills_ = 0;
  std::uint64_t free_ = UINT64_MAX;  // moves with take() and remove_blob() between samples
};

}  // namespace shoal::store
