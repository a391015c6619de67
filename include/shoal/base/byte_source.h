// ByteSource: one body being read, whatever it comes from (a file, a running fill, a string). The server never asks
// which. Pull, do not push: the next piece is asked for after the last one left the socket.
//
// A source belongs to one loop. It dies there, which cancels it. End of stream is three-valued (piece, end, failed), so
// that a cut body can never look like a complete one.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <variant>

#include "shoal/base/result.h"
#include "shoal/base/unique_function.h"

namespace shoal::base {

// An open file descriptor, closed with the last owner. shared_ptr: pieces in flight and the index entry share it.
class File {
 public:
  explicit File(int fd) : fd_(fd) {}
  virtual ~File();
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  [[nodiscard]] int fd() const { return fd_; }

 private:
  int fd_;
};

struct FileSlice {
  std::shared_ptr<const File> file;
  std::uint64_t offset = 0;
  std::uint64_t size = 0;
  bool resident = false;     // written a moment ago: no need to ask whether it is in the page cache
  bool only_cached = false;  // the disk may not have taken it: good while it is in the page cache, no longer
};

struct MemorySlice {
  std::shared_ptr<const std::string> owner;  // keeps `bytes` alive
  std::string_view bytes;
};

struct SourcePending {};  // nothing now; on_ready() tells when to pull again
struct SourceEnd {};      // the body is complete
using Pulled = std::variant<FileSlice, MemorySlice, SourcePending, SourceEnd, Error>;

class ByteSource {
 public:
  virtual ~ByteSource() = default;
  // The next piece, at most `max` bytes of it, never empty. After SourceEnd or an Error, do not pull again.
  [[nodiscard]] virtual Pulled pull(std::uint64_t max) = 0;
  // After SourcePending: `ready` runs once, later, on this loop. One at a time; a new one replaces the old.
  virtual void on_ready(UniqueFunction<void()> ready) = 0;
};

}  // namespace shoal::base
