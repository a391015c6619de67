#include "piece_writer.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "core.h"

namespace shoal::store {

base::Result<void> FillRoom::write(const base::File& file, std::string_view bytes, std::uint64_t offset) {
  auto& space = core_.space;
  if (!space.take(bytes.size())) {
    core_.evictor.make_room(bytes.size());
    if (!space.take(bytes.size())) return base::Error(base::ErrorKind::full, "no room within the storage limits");
  }
  auto written = core_.files->write(file, bytes, offset);
  if (!written.ok() && written.error().kind() == base::ErrorKind::full) {
    core_.evictor.make_room(bytes.size());
    written = core_.files->write(file, bytes, offset);
  }
  if (written.ok()) {
    taken_ += bytes.size();
  } else {
    space.give_back(bytes.size());
    core_.health.write_failed(written.error());
  }
  return written;
}

void FillRoom::settle(std::uint64_t bytes) {
  const auto taken = taken_.exchange(bytes);
  if (taken > bytes) core_.space.give_back(taken - bytes);
  if (taken < bytes) core_.space.add_fill(bytes - taken);  // a write that failed has left some
}

void FillRoom::became_blob(std::uint64_t size) {
  settle(size);
  taken_ = 0;
  core_.space.fill_to_blob(size);
}

LocalPieces::LocalPieces(std::shared_ptr<Core> core, std::shared_ptr<FillRoom> room,
                         std::shared_ptr<const base::File> file, const base::Digest& digest)
    : core_(std::move(core)), room_(std::move(room)), file_(std::move(file)), digest_(digest) {}

base::Result<void> LocalPieces::write(std::uint64_t offset, std::string_view bytes) {
  const std::shared_lock lock(writing_);
  const Gate::Pass pass(core_->gate);
  const auto cancelled = [this] {
    return base::Error(base::ErrorKind::cancelled, "the file is not written any more").at("keep", digest_.to_string());
  };
  if (stopped_ || !pass) return cancelled();
  std::unique_lock front(front_mutex_);
  front_moved_.wait(front, [&] { return appending_to_ <= hashed_ || offset >= appending_to_; });
  if (stopped_) return cancelled();  // the append found no room: nothing is known of what lies there
  const auto known = bytes.substr(0, offset < hashed_ ? std::min<std::uint64_t>(bytes.size(), hashed_ - offset) : 0);
  const auto from = offset + known.size();
  under_way_.push_back(from);
  front.unlock();
  auto result = holds(offset, known) ? place(from, bytes.substr(known.size()))
                                     : base::Error(base::ErrorKind::corrupt, "a piece is not what is there already");
  front.lock();
  under_way_.erase(std::find(under_way_.begin(), under_way_.end(), from));
  front.unlock();
  front_moved_.notify_all();
  if (!result.ok()) return result.error().at("keep", digest_.to_string());
  return result;
}

base::Result<void> LocalPieces::place(std::uint64_t offset, std::string_view bytes) {
  if (bytes.empty()) return {};
  if (auto written = room_->write(*file_, bytes, offset); !written.ok()) {
    return base::Error(base::ErrorKind::full, written.error().message());
  }
  start_writeback(offset, bytes.size());
  return {};
}

void LocalPieces::wait_for_pieces(std::unique_lock<std::mutex>& lock, std::uint64_t end) {
  front_moved_.wait(lock, [&] {
    return std::none_of(under_way_.begin(), under_way_.end(), [end](std::uint64_t from) { return from < end; });
  });
}

base::Result<void> LocalPieces::append(std::uint64_t offset, std::string_view bytes) {
  std::unique_lock front(front_mutex_);
  appending_to_ = offset + bytes.size();
  wait_for_pieces(front, appending_to_);
  front.unlock();
  auto written = room_->write(*file_, bytes, offset);
  front.lock();
  if (written.ok()) {
    hashed_ = appending_to_;
  } else {
    appending_to_ = hashed_;
    stop();
  }
  front.unlock();
  front_moved_.notify_all();
  return written;
}

void LocalPieces::hashed_to(std::uint64_t end) {
  std::unique_lock front(front_mutex_);
  hashed_ = end;
  wait_for_pieces(front, end);
}

bool LocalPieces::holds(std::uint64_t offset, std::string_view bytes) const {
  std::string there(bytes.size(), '\0');
  std::size_t have = 0;
  while (have < there.size()) {
    const auto n = ::pread(file_->fd(), there.data() + have, there.size() - have, static_cast<off_t>(offset + have));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    have += static_cast<std::size_t>(n);
  }
  return there == bytes;
}

void LocalPieces::close() {
  stop();
  const std::unique_lock wait_for_writes(writing_);
}

// One call for many pieces, over all they span: the kernel looks at the dirty pages of a range only.
void LocalPieces::start_writeback(std::uint64_t offset, std::uint64_t size) {
  std::uint64_t from = 0, to = 0;
  {
    const std::lock_guard lock(dirty_mutex_);
    dirty_ += size;
    dirty_from_ = std::min(dirty_from_, offset);
    dirty_to_ = std::max(dirty_to_, offset + size);
    if (dirty_ < kWriteBackStep) return;
    dirty_ = 0;
    from = std::exchange(dirty_from_, UINT64_MAX);
    to = std::exchange(dirty_to_, 0);
  }
  core_->files->start_writeback(*file_, from, to - from);
}

}  // namespace shoal::store
