// FillState: what the readers of a running fill see of it: how far it is, where the bytes lie, how it ended.
// Shared by the fill (on its owner loop) and its readers (on any loop). Its mutex guards a few fields and is never held
// over I/O or a callback.
//
// The invariant that makes streaming unverified bytes safe: until verified(), the last 64 KiB of any body are held
// back, so damaged bytes never make a complete body.
#pragma once

#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "shoal/base/byte_range.h"
#include "shoal/base/byte_source.h"
#include "shoal/base/loop.h"
#include "shoal/mirror/mirror.h"

namespace shoal::mirror {

inline constexpr std::uint64_t kHeldBack = 64 * 1024;

class FillState {
 public:
  using Bytes = std::shared_ptr<const std::string>;

  // --- the fill's side ---
  void set_file(std::shared_ptr<const base::File> file);
  void set_size(std::uint64_t size);
  void came(std::uint64_t end, Origin from);  // up to there; before readers may have them
  void advance(std::uint64_t on_disk);        // so many bytes can be read from the file
  // From here on bytes come from memory: the file ends where it is. Keeps a chunk until every reader is past it.
  void spill(Bytes bytes);
  // The same for what comes next and lies in the file, up to `end`.
  void spill_from_file(std::uint64_t end);
  // Everything so far was wrong: readers that sent none of it begin again, the others fail. `size`: what is still sure.
  void restart(std::optional<std::uint64_t> size);
  void verified(std::uint64_t size);
  void not_on_disk();  // what the file has may be in the page cache only
  void failed(Refusal refusal);
  void stop_keeping();
  void set_origin(std::string origin);  // where bytes come from, if not from upstream; for explanations
  void set_troubled(bool troubled);     // attempts have failed, and none has brought anything yet
  // The repository of the first source has, or has not, the right to show this blob.
  void proved();
  void refuse_unproven(Refusal refusal);
  // Tells the fill (any thread; it posts) that readers moved or left, while spilling.
  void on_readers_moved(base::UniqueFunction<void()> poke);

  // Of what is in memory only, what the slowest reader could take right now: while it is 0, no reader helps by reading.
  [[nodiscard]] std::uint64_t backlog() const;
  [[nodiscard]] bool spilling() const;
  // Gives up on the readers that hold the window where it is, if others have nothing left to take: those fail at their
  // next pull. False: nobody is starving.
  bool cut_laggards();
  [[nodiscard]] std::uint64_t window_begin() const;
  [[nodiscard]] std::size_t readers() const;
  [[nodiscard]] std::optional<std::uint64_t> size() const;
  [[nodiscard]] bool is_verified() const;
  [[nodiscard]] bool covers(std::uint64_t begin) const;  // would a reader from `begin` find every byte?
  [[nodiscard]] std::optional<Refusal> failure() const;
  [[nodiscard]] bool kept() const;
  [[nodiscard]] bool troubled() const;
  [[nodiscard]] bool is_proved() const;
  [[nodiscard]] std::string origin() const;
  [[nodiscard]] BytesFrom bytes_from() const;
  [[nodiscard]] std::optional<Refusal> unproven_refusal() const;

  // --- the readers' side ---
  struct Cursor {
    std::uint64_t id = 0;
    std::uint64_t begin = 0;
    std::uint64_t position = 0;
    std::optional<std::uint64_t> end;   // nullopt: of the blob, wherever that turns out to be
    std::optional<std::uint64_t> told;  // the size that the client was told; another one makes its answer wrong
    bool gated = false;                 // no byte before proved()
    std::uint64_t generation = 0;
    std::uint64_t seen = 0;                 // version at the last pull
    std::shared_ptr<Origins> origins = {};  // of what was pulled; shared with the request that counts it
  };
  // Bytes from `position` on stay in memory for the reader; UINT64_MAX: it holds none back until it pulls.
  [[nodiscard]] std::uint64_t attach(std::uint64_t position);
  void detach(std::uint64_t id);
  [[nodiscard]] base::Pulled pull(Cursor& cursor, std::uint64_t max);
  // `wake` is posted to `loop` when something changed since the cursor's last pull.
  void wait(const Cursor& cursor, base::Loop& loop, base::UniqueFunction<void()> wake);

 private:
  struct Chunk {
    std::uint64_t offset;
    std::uint64_t size;
    Bytes bytes;  // null: they are in the file
    [[nodiscard]] std::uint64_t end() const { return offset + size; }
  };
  struct Waiter {
    std::uint64_t id;
    base::Loop* loop;
    base::UniqueFunction<void()> wake;
  };
  void changed(std::unique_lock<std::mutex>& lock);  // unlocks
  [[nodiscard]] std::uint64_t available() const;
  [[nodiscard]] std::uint64_t slowest() const;
  void begin_window();
  bool drop_passed_chunks();

  enum class Right { pending, given, refused };
  mutable std::mutex mutex_;
  std::shared_ptr<const base::File> file_;
  std::optional<std::uint64_t> size_;
  Origins origins_;
  std::uint64_t on_disk_ = 0;
  bool not_on_disk_ = false;
  bool spilling_ = false;
  std::uint64_t window_memory_ = 0;  // bytes of chunks that are not in the file
  std::uint64_t window_begin_ = 0;   // offset of the oldest chunk that some reader has not passed
  std::uint64_t window_end_ = 0;
  std::deque<Chunk> window_;
  bool verified_ = false;
  bool kept_ = true;
  bool troubled_ = false;
  std::string origin_;
  Right right_ = Right::pending;
  std::optional<Refusal> failure_;
  std::optional<Refusal> unproven_refusal_;
  std::uint64_t generation_ = 0;
  std::uint64_t version_ = 1;
  std::uint64_t next_id_ = 1;
  std::unordered_map<std::uint64_t, std::uint64_t> positions_;
  std::unordered_set<std::uint64_t> cut_;  // of those: no longer waited for
  std::vector<Waiter> waiters_;
  base::UniqueFunction<void()> poke_;
};

// A place among the readers, for a request that will read later: the fill has somebody to go on for, and bytes in
// memory stay. Any loop.
class FillHold {
 public:
  explicit FillHold(std::shared_ptr<FillState> state) : state_(std::move(state)), id_(state_->attach(0)) {}
  FillHold(FillHold&& other) noexcept : state_(std::move(other.state_)), id_(std::exchange(other.id_, 0)) {}
  FillHold& operator=(FillHold&&) = delete;
  ~FillHold() { let_go(); }
  [[nodiscard]] bool holds() const { return id_ != 0; }
  void let_go() {
    if (id_ != 0) state_->detach(std::exchange(id_, 0));
  }

 private:
  std::shared_ptr<FillState> state_;  // shared: the fill may end first
  std::uint64_t id_;
};

// One reader of a running fill.
class FillReader final : public base::ByteSource {
 public:
  enum class Window { hold, from_first_pull };  // when bytes in memory begin to wait for it
  FillReader(std::shared_ptr<FillState> state, base::Loop& loop, const FillState::Cursor& cursor, Window window);
  ~FillReader() override;
  [[nodiscard]] base::Pulled pull(std::uint64_t max) override;
  void on_ready(base::UniqueFunction<void()> ready) override;

 private:
  std::shared_ptr<FillState> state_;  // shared: the fill may end first
  base::Loop& loop_;
  FillState::Cursor cursor_;
  base::UniqueFunction<void()> ready_;
  base::Lifetime life_;
};

}  // namespace shoal::mirror
