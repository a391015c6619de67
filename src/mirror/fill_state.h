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
  void advance(std::uint64_t on_disk);  // so many bytes can be read from the file
  // From here on bytes come from memory: the file ends where it is. Keeps a chunk until every reader is past it.
  void spill(Bytes bytes);
  void restart();  // everything so far was wrong: readers that sent none of it begin again, the others fail
  void verified(std::uint64_t size);
  void failed(Refusal refusal);
  // Tells the fill (any thread; it posts) that readers moved or left, while spilling.
  void on_readers_moved(base::UniqueFunction<void()> poke);

  [[nodiscard]] std::uint64_t spilled_bytes() const;  // in memory now
  [[nodiscard]] bool spilling() const;
  [[nodiscard]] std::size_t readers() const;
  [[nodiscard]] std::optional<std::uint64_t> size() const;
  [[nodiscard]] bool is_verified() const;
  [[nodiscard]] bool covers(std::uint64_t begin) const;  // would a reader from `begin` find every byte?
  [[nodiscard]] std::optional<Refusal> failure() const;

  // --- the readers' side ---
  struct Cursor {
    std::uint64_t id = 0;
    std::uint64_t begin = 0;
    std::uint64_t position = 0;
    std::optional<std::uint64_t> end;
    std::uint64_t generation = 0;
    std::uint64_t seen = 0;  // version at the last pull
  };
  [[nodiscard]] std::uint64_t attach(std::uint64_t position);
  void detach(std::uint64_t id);
  [[nodiscard]] base::Pulled pull(Cursor& cursor, std::uint64_t max);
  // `wake` is posted to `loop` when something changed since the cursor's last pull.
  void wait(const Cursor& cursor, base::Loop& loop, base::UniqueFunction<void()> wake);

 private:
  struct Chunk {
    std::uint64_t offset;
    Bytes bytes;
  };
  struct Waiter {
    std::uint64_t id;
    base::Loop* loop;
    base::UniqueFunction<void()> wake;
  };
  void changed(std::unique_lock<std::mutex>& lock);  // unlocks
  [[nodiscard]] std::uint64_t available() const;
  bool drop_passed_chunks();

  mutable std::mutex mutex_;
  std::shared_ptr<const base::File> file_;
  std::optional<std::uint64_t> size_;
  std::uint64_t on_disk_ = 0;
  bool spilling_ = false;
  std::uint64_t window_begin_ = 0;  // offset of the oldest chunk still in memory
  std::uint64_t window_end_ = 0;
  std::deque<Chunk> window_;
  bool verified_ = false;
  std::optional<Refusal> failure_;
  std::uint64_t generation_ = 0;
  std::uint64_t version_ = 1;
  std::uint64_t next_id_ = 1;
  std::unordered_map<std::uint64_t, std::uint64_t> positions_;
  std::vector<Waiter> waiters_;
  base::UniqueFunction<void()> poke_;
};

// One reader of a running fill.
class FillReader final : public base::ByteSource {
 public:
  // `end`: nullopt reads to the end, wherever that turns out to be.
  FillReader(std::shared_ptr<FillState> state, base::Loop& loop, std::uint64_t begin, std::optional<std::uint64_t> end);
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
