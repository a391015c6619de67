// What a fill writes to its file, and where proven pieces of it come in: FillRoom counts and makes room for both,
// LocalPieces takes the pieces. Any thread; both outlive the fill as long as somebody holds them.
#pragma once

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <string>
#include <vector>

#include "shoal/store/store.h"

namespace shoal::store {

struct Core;

// Bytes one fill has taken of the storage limits. A piece over what was appended already is counted twice, until
// settle() tells what the file holds.
class FillRoom {
 public:
  explicit FillRoom(Core& core) : core_(core) {}

  // Takes room, evicting if it must, and writes; after an error nothing is taken for it. Blocks.
  [[nodiscard]] base::Result<void> write(const base::File& file, std::string_view bytes, std::uint64_t offset);

  // No write may be under way:
  void found(std::uint64_t bytes) { taken_ = bytes; }  // a kept file; it is counted since the start
  void settle(std::uint64_t bytes);                    // so much is on disk; 0: the file went
  void became_blob(std::uint64_t size);

 private:
  Core& core_;
  std::atomic<std::uint64_t> taken_{0};
};

// One file's; a fill that begins a new file has a new one. What the fill has hashed from the beginning on is not
// written any more: a piece that is something else there is an error (ErrorKind::corrupt), for the hash would not tell.
class LocalPieces final : public PieceWriter {
 public:
  LocalPieces(std::shared_ptr<Core> core, std::shared_ptr<FillRoom> room, std::shared_ptr<const base::File> file,
              const base::Digest& digest);

  [[nodiscard]] const std::shared_ptr<const base::File>& file() const override { return file_; }
  [[nodiscard]] base::Result<void> write(std::uint64_t offset, std::string_view bytes) override;

  // The fill's side, on the disk strand. append: the bytes that come next, hashed already.
  [[nodiscard]] base::Result<void> append(std::uint64_t offset, std::string_view bytes);
  void hashed_to(std::uint64_t end);  // from now on; waits for pieces that are just being written

  void stop() { stopped_ = true; }  // writes to come answer cancelled; does not wait
  [[nodiscard]] bool stopped() const { return stopped_; }
  void close();  // and waits for those under way; not on a loop

 private:
  [[nodiscard]] base::Result<void> place(std::uint64_t offset, std::string_view bytes);
  void wait_for_pieces(std::unique_lock<std::mutex>& lock, std::uint64_t end);
  void start_writeback(std::uint64_t offset, std::uint64_t size);
  [[nodiscard]] bool holds(std::uint64_t offset, std::string_view bytes) const;

  const std::shared_ptr<Core> core_;
  const std::shared_ptr<FillRoom> room_;
  const std::shared_ptr<const base::File> file_;
  const base::Digest digest_;
  std::atomic<bool> stopped_{false};  // before the lock is asked for: else writers that overlap keep close() out
  std::shared_mutex writing_;         // shared by the writes under way

  std::mutex front_mutex_;
  std::condition_variable front_moved_;
  std::uint64_t hashed_ = 0;                // and behind it, while an append is under way,
  std::uint64_t appending_to_ = 0;          // ... what that writes
  std::vector<std::uint64_t> under_way_{};  // where pieces are just being written

  std::mutex dirty_mutex_;
  std::uint64_t dirty_ = 0, dirty_from_ = UINT64_MAX, dirty_to_ = 0;  // placed since write-back was started last
};

}  // namespace shoal::store
