#include "fill_state.h"

#include <algorithm>

namespace shoal::mirror {
namespace {

constexpr std::uint64_t kJustWritten = 32 << 20;  // of a file's end: sure to be in the page cache still
constexpr std::uint64_t kFileChunk = 1 << 20;

}  // namespace

void FillState::set_file(std::shared_ptr<const base::File> file) {
  std::unique_lock lock(mutex_);
  file_ = std::move(file);
}

void FillState::set_size(std::uint64_t size) {
  std::unique_lock lock(mutex_);
  if (size_ == size) return;
  size_ = size;
  changed(lock);
}

void FillState::came(std::uint64_t end, Origin from) {
  const std::lock_guard lock(mutex_);
  origins_.extend(end, from);
}

BytesFrom FillState::bytes_from() const {
  const std::lock_guard lock(mutex_);
  return origins_.count();
}

void FillState::advance(std::uint64_t on_disk) {
  std::unique_lock lock(mutex_);
  if (on_disk <= on_disk_) return;
  on_disk_ = on_disk;
  changed(lock);
}

void FillState::begin_window() {
  if (std::exchange(spilling_, true)) return;
  window_begin_ = window_end_ = on_disk_;
}

void FillState::spill(Bytes bytes) {
  std::unique_lock lock(mutex_);
  begin_window();
  const auto size = bytes->size();
  window_.push_back({window_end_, size, std::move(bytes)});
  window_memory_ += size;
  window_end_ += size;
  (void)drop_passed_chunks();  // nobody may be waiting for it
  changed(lock);
}

void FillState::spill_from_file(std::uint64_t end) {
  std::unique_lock lock(mutex_);
  begin_window();
  while (window_end_ < end) {  // in chunks, so that the window moves as readers do
    const auto size = std::min(kFileChunk, end - window_end_);
    window_.push_back({window_end_, size, nullptr});
    window_end_ += size;
  }
  (void)drop_passed_chunks();
  changed(lock);
}

void FillState::restart(std::optional<std::uint64_t> size) {
  std::unique_lock lock(mutex_);
  ++generation_;
  size_ = size;
  file_.reset();
  origins_.clear();
  on_disk_ = 0;
  spilling_ = false;
  window_.clear();
  window_memory_ = 0;
  window_begin_ = window_end_ = 0;
  changed(lock);
}

void FillState::verified(std::uint64_t size) {
  std::unique_lock lock(mutex_);
  size_ = size;
  verified_ = true;
  changed(lock);
}

void FillState::not_on_disk() {
  const std::lock_guard lock(mutex_);
  not_on_disk_ = true;
}

void FillState::failed(Refusal refusal) {
  std::unique_lock lock(mutex_);
  if (verified_) return;
  failure_ = std::move(refusal);
  changed(lock);
}

void FillState::stop_keeping() {
  const std::lock_guard lock(mutex_);
  kept_ = false;
}

void FillState::set_origin(std::string origin) {
  const std::lock_guard lock(mutex_);
  origin_ = std::move(origin);
}

std::string FillState::origin() const {
  const std::lock_guard lock(mutex_);
  return origin_;
}

void FillState::set_troubled(bool troubled) {
  const std::lock_guard lock(mutex_);
  troubled_ = troubled;
}

void FillState::proved() {
  std::unique_lock lock(mutex_);
  if (right_ != Right::pending) return;
  right_ = Right::given;
  changed(lock);
}

void FillState::refuse_unproven(Refusal refusal) {
  std::unique_lock lock(mutex_);
  if (right_ != Right::pending) return;
  right_ = Right::refused;
  unproven_refusal_ = std::move(refusal);
  changed(lock);
}

void FillState::on_readers_moved(base::UniqueFunction<void()> poke) {
  const std::lock_guard lock(mutex_);
  poke_ = std::move(poke);
}

std::uint64_t FillState::backlog() const {
  const std::lock_guard lock(mutex_);
  if (!spilling_) return 0;
  const auto held_back = verified_ ? 0 : kHeldBack;
  const auto readable = window_end_ > held_back ? window_end_ - held_back : 0;
  const auto from = slowest();
  return readable > from ? std::min(readable - from, window_memory_) : 0;
}

bool FillState::spilling() const {
  const std::lock_guard lock(mutex_);
  return spilling_;
}

bool FillState::cut_laggards() {
  std::unique_lock lock(mutex_);
  const bool starving = std::any_of(positions_.begin(), positions_.end(), [this](const auto& reader) {
    return reader.second != UINT64_MAX && reader.second + kHeldBack >= window_end_;
  });
  if (!starving || window_memory_ == 0) return false;
  const auto front_end = window_.front().end();
  for (auto& [id, position] : positions_) {
    if (position >= front_end) continue;
    position = UINT64_MAX;
    cut_.insert(id);
  }
  (void)drop_passed_chunks();
  changed(lock);
  return true;
}

std::uint64_t FillState::window_begin() const {
  const std::lock_guard lock(mutex_);
  return window_begin_;
}

std::size_t FillState::readers() const {
  const std::lock_guard lock(mutex_);
  return positions_.size();
}

std::optional<std::uint64_t> FillState::size() const {
  const std::lock_guard lock(mutex_);
  return size_;
}

bool FillState::is_verified() const {
  const std::lock_guard lock(mutex_);
  return verified_;
}

bool FillState::covers(std::uint64_t begin) const {
  const std::lock_guard lock(mutex_);
  return !spilling_ || window_begin_ == on_disk_ || begin >= window_begin_;
}

std::optional<Refusal> FillState::failure() const {
  const std::lock_guard lock(mutex_);
  return failure_;
}

bool FillState::kept() const {
  const std::lock_guard lock(mutex_);
  return kept_;
}

bool FillState::troubled() const {
  const std::lock_guard lock(mutex_);
  return troubled_;
}

bool FillState::is_proved() const {
  const std::lock_guard lock(mutex_);
  return right_ == Right::given;
}

std::optional<Refusal> FillState::unproven_refusal() const {
  const std::lock_guard lock(mutex_);
  return unproven_refusal_;
}

std::uint64_t FillState::attach(std::uint64_t position) {
  const std::lock_guard lock(mutex_);
  const auto id = next_id_++;
  positions_.emplace(id, position);
  return id;
}

void FillState::detach(std::uint64_t id) {
  const std::lock_guard lock(mutex_);
  positions_.erase(id);
  cut_.erase(id);
  std::erase_if(waiters_, [id](const Waiter& waiter) { return waiter.id == id; });
  (void)drop_passed_chunks();
  if (poke_) poke_();  // posts only
}

std::uint64_t FillState::available() const { return spilling_ ? window_end_ : on_disk_; }

std::uint64_t FillState::slowest() const {
  auto slowest = window_end_;
  for (const auto& [id, position] : positions_) slowest = std::min(slowest, position);
  return slowest;
}

bool FillState::drop_passed_chunks() {
  if (window_.empty()) return false;
  const auto passed = slowest();
  bool dropped = false;
  while (!window_.empty() && window_.front().end() <= passed) {
    window_begin_ = window_.front().end();
    if (window_.front().bytes) window_memory_ -= window_.front().size;
    window_.pop_front();
    dropped = true;
  }
  return dropped;
}

base::Pulled FillState::pull(Cursor& cursor, std::uint64_t max) {
  const std::lock_guard lock(mutex_);
  cursor.seen = version_;
  if (cursor.generation != generation_) {
    if (cursor.position != cursor.begin) {
      return base::Error(base::ErrorKind::corrupt, "what had come does not match the digest; it is fetched again");
    }
    cursor.generation = generation_;
  }
  if (failure_) return base::Error(base::ErrorKind::gone, failure_->message);
  if (cut_.contains(cursor.id)) return base::Error(base::ErrorKind::full, "too slow for a blob that cannot be kept");
  if (cursor.gated && right_ == Right::refused) return base::Error(base::ErrorKind::gone, unproven_refusal_->message);
  if (cursor.told && size_ && *size_ != *cursor.told) {
    return base::Error(base::ErrorKind::corrupt, "the blob is not as large as upstream said");
  }
  if (cursor.gated && right_ == Right::pending) return base::SourcePending{};
  auto end = cursor.end;
  if (!end) end = size_ ? size_ : cursor.told;
  if (end) end = std::max(*end, cursor.begin);
  if (end && cursor.position >= *end && (verified_ || *end > cursor.begin)) return base::SourceEnd{};

  // A body that ends before the blob does waits for the verdict on the whole. Bytes that are not kept cannot wait, and
  // those on disk need not hold the others up.
  const bool ends_early = end && size_ && *end < *size_;
  if (spilling_ && !verified_ && ends_early && *end > on_disk_) {
    return base::Error(base::ErrorKind::full, "this blob cannot be kept; ask for it whole");
  }
  const bool needs_window = !(ends_early && *end <= on_disk_);
  positions_[cursor.id] = needs_window ? cursor.position : UINT64_MAX;

  std::uint64_t limit = available();
  if (verified_) {
    limit = std::min(limit, *end);
  } else if (end) {
    const auto held_from = *end > kHeldBack ? *end - kHeldBack : 0;
    limit = std::min(limit, std::max(held_from, cursor.begin));
  } else {
    limit = limit > kHeldBack ? limit - kHeldBack : 0;
  }
  if (cursor.position >= limit) return base::SourcePending{};

  const auto begin = cursor.position;
  const auto size = std::min(max, limit - begin);
  base::Pulled piece = base::SourcePending{};
  if (cursor.position < on_disk_ && file_) {
    base::FileSlice slice{file_, cursor.position, std::min(size, on_disk_ - cursor.position)};
    slice.resident = !not_on_disk_ && on_disk_ - cursor.position <= kJustWritten;
    slice.only_cached = not_on_disk_;
    cursor.position += slice.size;
    piece = std::move(slice);
  } else {
    const auto chunk = std::find_if(window_.begin(), window_.end(), [&](const Chunk& c) {
      return cursor.position >= c.offset && cursor.position < c.end();
    });
    if (chunk == window_.end()) {
      return base::Error(base::ErrorKind::gone, "these bytes were passed on already and could not be kept");
    }
    if (chunk->bytes) {
      const auto view = std::string_view(*chunk->bytes).substr(cursor.position - chunk->offset, size);
      piece = base::MemorySlice{chunk->bytes, view};
      cursor.position += view.size();
    } else {
      const base::FileSlice slice{file_, cursor.position, std::min(size, chunk->end() - cursor.position)};
      piece = slice;
      cursor.position += slice.size;
    }
  }
  if (cursor.origins) cursor.origins->append(origins_, {begin, cursor.position});
  if (needs_window) positions_[cursor.id] = cursor.position;
  if (spilling_) {
    (void)drop_passed_chunks();  // the poke is due either way: there is less for the slowest to read
    if (poke_) poke_();
  }
  return piece;
}

void FillState::wait(const Cursor& cursor, base::Loop& loop, base::UniqueFunction<void()> wake) {
  std::unique_lock lock(mutex_);
  if (version_ != cursor.seen) {
    lock.unlock();
    loop.post(std::move(wake));
    return;
  }
  waiters_.push_back({cursor.id, &loop, std::move(wake)});
}

void FillState::changed(std::unique_lock<std::mutex>& lock) {
  ++version_;
  auto waiters = std::exchange(waiters_, {});
  lock.unlock();
  // One post per loop, not per reader: a popular fill has thousands of them.
  while (!waiters.empty()) {
    base::Loop* loop = waiters.front().loop;
    const auto rest =
        std::partition(waiters.begin(), waiters.end(), [loop](const Waiter& w) { return w.loop != loop; });
    std::vector<base::UniqueFunction<void()>> wakes;
    for (auto it = rest; it != waiters.end(); ++it) wakes.push_back(std::move(it->wake));
    waiters.erase(rest, waiters.end());
    loop->post([wakes = std::move(wakes)]() mutable {
      for (auto& wake : wakes) wake();
    });
  }
}

FillReader::FillReader(std::shared_ptr<FillState> state, base::Loop& loop, const FillState::Cursor& cursor,
                       Window window)
    : state_(std::move(state)), loop_(loop), cursor_(cursor) {
  cursor_.position = cursor_.begin;
  cursor_.id = state_->attach(window == Window::hold ? cursor_.begin : UINT64_MAX);
}

FillReader::~FillReader() { state_->detach(cursor_.id); }

base::Pulled FillReader::pull(std::uint64_t max) { return state_->pull(cursor_, max); }

void FillReader::on_ready(base::UniqueFunction<void()> ready) {
  ready_ = std::move(ready);
  state_->wait(cursor_, loop_, [watch = life_.watch(), this] {
    if (watch.gone() || !ready_) return;
    auto run = std::exchange(ready_, nullptr);
    run();
  });
}

}  // namespace shoal::mirror
