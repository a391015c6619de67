#include "journal.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>

#include "record.h"

namespace shoal::notify {
namespace {

constexpr std::size_t kUsual = 1024;           // bytes of a record; longer ones come with the next peek
constexpr std::size_t kMaxSegment = 64 << 20;  // nothing we wrote is longer

}  // namespace

base::Result<void> Journal::open() {
  segments_.clear();  // an earlier try may have come half way
  last_.reset();
  records_ = bytes_ = cut_bytes_ = 0;
  if (auto made = make_directories(directory_); !made) return made;
  auto cursor_file = open_file(cursor_path(directory_), O_RDWR | O_CREAT);
  if (!cursor_file) return cursor_file.error();
  cursor_file_ = std::move(*cursor_file);
  const auto saved = read_at(*cursor_file_, 0, 64);
  if (!saved) return saved.error().at("read", cursor_path(directory_));
  // Without a cursor everything waits: delivered twice is better than never.
  cursor_ = decode_cursor(*saved).value_or(0);
  next_ = std::max<std::uint64_t>(1, cursor_);
  for (const auto first : list_segments(directory_)) {
    if (auto taken = take_up(first); !taken) return taken;
  }
  if (!segments_.empty()) {
    auto last = open_file(path(segments_.back()), O_RDWR);
    if (!last) return last.error();
    last_ = std::move(*last);
  }
  return {};
}

base::Result<void> Journal::take_up(std::uint64_t first) {
  Segment segment{first, 0, 0, 0};
  const auto file = open_file(path(segment), O_RDWR);
  if (!file) return file.error();
  const auto whole = size_of(**file);
  if (!whole) return whole.error().at("open", path(segment));
  const auto bytes = read_at(**file, 0, static_cast<std::size_t>(std::min<std::uint64_t>(*whole, kMaxSegment)));
  if (!bytes) return bytes.error().at("read", path(segment));
  std::uint64_t front = 0;
  if (bytes->starts_with(kFileLine)) {
    segment.size = kFileLine.size();
    front = segment.size;
    while (const auto frame = parse_frame(std::string_view(*bytes).substr(segment.size))) {
      if (frame->sequence < next_ && frame->sequence >= cursor_) break;  // numbers only rise
      segment.size += frame->size();
      if (frame->sequence < cursor_) {
        front = segment.size;
      } else {
        ++segment.records;
        segment.bytes += frame->size();
        next_ = frame->sequence + 1;
      }
    }
  }
  if (segment.size < *whole) {
    cut_bytes_ += *whole - segment.size;
    if (auto cut = cut_at(**file, segment.size); !cut) return cut.error().at("open", path(segment));
    dirty_ = true;
  }
  if (segment.records == 0) {               // nothing in it waits
    (void)::unlink(path(segment).c_str());  // if it stays, the next start looks at it again
    directory_dirty_ = true;
    return {};
  }
  if (segments_.empty()) front_offset_ = front;
  records_ += segment.records;
  bytes_ += segment.bytes;
  segments_.push_back(segment);
  return {};
}

base::Result<void> Journal::roll() {
  if (last_) {
    if (auto synced = sync_file(*last_); !synced) return synced;
  }
  const Segment segment{next_, kFileLine.size(), 0, 0};
  auto file = open_file(path(segment), O_RDWR | O_CREAT | O_TRUNC);
  if (!file) return file.error();
  if (auto written = write_at(**file, kFileLine, 0); !written) return written.error().at("append to", path(segment));
  last_ = std::move(*file);
  if (segments_.empty()) front_offset_ = kFileLine.size();
  segments_.push_back(segment);
  directory_dirty_ = true;
  return {};
}

base::Result<std::size_t> Journal::append(std::span<const std::string> payloads, std::uint64_t max_bytes) {
  std::string frames;
  std::size_t taken = 0;
  for (const auto& payload : payloads) {
    if (bytes_ + frames.size() + kFrameHead + payload.size() > max_bytes) break;
    append_frame(frames, next_ + taken, payload);
    ++taken;
  }
  if (taken == 0) return taken;
  if (!last_ || segments_.back().size >= segment_bytes_) {
    if (auto rolled = roll(); !rolled) return rolled.error();
  }
  auto& segment = segments_.back();
  if (auto written = write_at(*last_, frames, segment.size); !written) {
    (void)cut_at(*last_, segment.size);  // what stays of it is written over, or cut at the next start
    return written.error().at("append to", path(segment));
  }
  segment.size += frames.size();
  segment.bytes += frames.size();
  segment.records += taken;
  bytes_ += frames.size();
  records_ += taken;
  next_ += taken;
  dirty_ = true;
  return taken;
}

base::Result<std::vector<std::string>> Journal::peek(std::size_t records, std::size_t bytes) {
  std::vector<std::string> found;
  peeked_.clear();
  while (found.empty() && records_ > 0) {
    auto& segment = segments_.front();
    const auto left = segment.size - front_offset_;
    const auto likely = records < bytes / kUsual ? records * kUsual : bytes;
    const auto wanted = std::min<std::uint64_t>(left, likely + kFrameHead + kMaxPayload);
    std::string chunk;
    if (segment.records > 0) {
      const auto file = open_file(path(segment), O_RDONLY);
      if (!file) return file.error();
      auto read = read_at(**file, front_offset_, static_cast<std::size_t>(wanted));
      if (!read) return read.error().at("read", path(segment));
      chunk = std::move(*read);
    }
    std::string_view rest = chunk;
    std::size_t used = 0;
    while (found.size() < records && (found.empty() || used < bytes)) {
      const auto frame = parse_frame(rest);
      if (!frame) break;
      found.emplace_back(frame->payload);
      peeked_.push_back({frame->sequence, frame->size()});
      rest.remove_prefix(frame->size());
      used += frame->size();
    }
    if (found.empty()) {  // at its end, or damaged since it was written
      cut_bytes_ += segment.bytes;
      drop_front();
    }
  }
  return found;
}

void Journal::drop_front() {
  auto& segment = segments_.front();
  (void)::unlink(path(segment).c_str());  // if it stays, the cursor tells that it is done with
  records_ -= segment.records;
  bytes_ -= segment.bytes;
  segments_.pop_front();
  if (segments_.empty()) last_.reset();
  front_offset_ = kFileLine.size();
  directory_dirty_ = true;
}

base::Result<void> Journal::ack(std::size_t n) {
  n = std::min(n, peeked_.size());
  if (n == 0) return {};
  auto& segment = segments_.front();
  for (std::size_t i = 0; i < n; ++i) {
    front_offset_ += peeked_[i].size;
    segment.bytes -= peeked_[i].size;
    bytes_ -= peeked_[i].size;
  }
  segment.records -= n;
  records_ -= n;
  cursor_ = peeked_[n - 1].sequence + 1;
  peeked_.erase(peeked_.begin(), peeked_.begin() + static_cast<std::ptrdiff_t>(n));
  auto saved = save_cursor();
  if (segment.records == 0 && (segments_.size() > 1 || segment.size >= segment_bytes_)) drop_front();
  return saved;
}

base::Result<void> Journal::save_cursor() {
  dirty_ = true;
  if (auto written = write_at(*cursor_file_, encode_cursor(cursor_), 0); !written) {
    return written.error().at("save", cursor_path(directory_));
  }
  return {};
}

base::Result<void> Journal::sync() {
  if (dirty_) {
    if (last_) {
      if (auto synced = sync_file(*last_); !synced) return synced.error().at("queue", directory_);
    }
    if (auto synced = sync_file(*cursor_file_); !synced) return synced.error().at("queue", directory_);
    dirty_ = false;
  }
  if (directory_dirty_) {
    if (auto synced = sync_directory(directory_); !synced) return synced;
    directory_dirty_ = false;
  }
  return {};
}

}  // namespace shoal::notify
