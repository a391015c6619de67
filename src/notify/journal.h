// Journal: a queue of records on disk, in segments of about 1 MiB. What append() took outlives a kill of the process;
// what sync() covered, a power cut. Records leave in order and stay until ack(). A damaged or half-written record ends
// its segment: what is behind it there is lost and counted, everything else goes on.
//
// One thread at a time (a strand on the pool). Blocks.
#pragma once

#include <deque>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "files.h"

namespace shoal::notify {

class Journal {
 public:
  explicit Journal(std::string directory, std::uint64_t segment_bytes = 1 << 20)
      : directory_(std::move(directory)), segment_bytes_(segment_bytes) {}

  // Makes the directory; takes up what is there. What is damaged is cut: cut_bytes().
  [[nodiscard]] base::Result<void> open();
  // As many of them, from the first on, as keep the queue below `max_bytes`: how many. An error: none.
  [[nodiscard]] base::Result<std::size_t> append(std::span<const std::string> payloads, std::uint64_t max_bytes);
  // The oldest records, without taking them: at least one if there is any.
  [[nodiscard]] base::Result<std::vector<std::string>> peek(std::size_t records, std::size_t bytes);
  // The first `n` of the last peek() are done with.
  [[nodiscard]] base::Result<void> ack(std::size_t n);
  [[nodiscard]] base::Result<void> sync();

  [[nodiscard]] std::uint64_t records() const { return records_; }
  [[nodiscard]] std::uint64_t bytes() const { return bytes_; }  // of the records that wait, as they are on disk
  [[nodiscard]] std::uint64_t cut_bytes() const { return cut_bytes_; }
  [[nodiscard]] bool dirty() const { return dirty_ || directory_dirty_; }

 private:
  struct Segment {
    std::uint64_t first = 0;
    std::uint64_t size = 0;                // of the file
    std::uint64_t records = 0, bytes = 0;  // that wait
  };
  struct Position {
    std::uint64_t sequence = 0;
    std::size_t size = 0;
  };
  [[nodiscard]] std::string path(const Segment& segment) const {
    return directory_ + "/" + segment_name(segment.first);
  }
  [[nodiscard]] base::Result<void> take_up(std::uint64_t first);
  [[nodiscard]] base::Result<void> roll();
  void drop_front();
  [[nodiscard]] base::Result<void> save_cursor();

  std::string directory_;
  std::uint64_t segment_bytes_;
  std::deque<Segment> segments_;
  std::uint64_t front_offset_ = 0;  // in the front segment: where the first waiting record begins
  std::uint64_t cursor_ = 0;        // its sequence number, or the next one if none waits
  std::uint64_t next_ = 1;          // sequence number of the next record
  std::uint64_t records_ = 0, bytes_ = 0, cut_bytes_ = 0;
  std::vector<Position> peeked_;
  std::unique_ptr<base::File> last_;  // of the last segment; null: there is none
  std::unique_ptr<base::File> cursor_file_;
  bool dirty_ = false, directory_dirty_ = false;
};

}  // namespace shoal::notify
