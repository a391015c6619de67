// FileOps: every change the store makes to files, as a seam. The real one is a thin layer over the system calls;
// tests/support/test_file_ops.h has one that fails and one that forgets what was not synced. Any thread; may block.
// Reading an open file and opening a complete blob (the warm path) do not go through it.
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "shoal/base/byte_source.h"
#include "shoal/base/clock.h"
#include "shoal/base/result.h"

namespace shoal::store {

struct DirEntry {
  std::string name;
  std::uint64_t size = 0;
  base::WallTime changed{};  // the later of mtime and ctime
};

class FileOps {
 public:
  virtual ~FileOps() = default;
  // Both for reading and writing. create(): a new, empty file (a new inode), in place of an old one of that name.
  virtual base::Result<std::shared_ptr<const base::File>> create(const std::string& path) = 0;
  virtual base::Result<std::shared_ptr<const base::File>> open(const std::string& path) = 0;
  virtual base::Result<void> write(const base::File& file, std::string_view bytes, std::uint64_t offset) = 0;
  virtual void start_writeback(const base::File& file, std::uint64_t offset, std::uint64_t size) = 0;  // a hint
  // What follows reads the disk, as far as the kernel goes along: its pages may be of a write that failed.
  virtual void forget_pages(const base::File& file) = 0;
  virtual base::Result<void> sync(const base::File& file) = 0;
  virtual base::Result<void> sync_dir(const std::string& path) = 0;
  // Everything written and moved on the filesystem that holds `path`, which is always the same directory. Tells of what
  // failed since watch_filesystem(), once.
  virtual void watch_filesystem(const std::string& path) = 0;
  virtual base::Result<void> sync_filesystem(const std::string& path) = 0;
  virtual base::Result<void> truncate(const base::File& file, std::uint64_t size) = 0;
  virtual base::Result<void> set_mode(const std::string& path, unsigned mode) = 0;
  virtual base::Result<void> make_dir(const std::string& path) = 0;  // there already: fine
  virtual base::Result<void> rename(const std::string& from, const std::string& to) = 0;
  virtual base::Result<void> remove(const std::string& path) = 0;
  virtual base::Result<struct ::stat> stat(const std::string& path) = 0;
  virtual base::Result<std::uint64_t> free_bytes(const std::string& path) = 0;
  // Whether the filesystem there stops by itself once it could not write its own structures: with a journal, or as copy
  // on write. Of another one nobody knows what a failed write has cost: where files lie, perhaps, or which blocks are
  // free.
  virtual bool stops_itself(const std::string& path) = 0;
  // Asked before every commit of the index: an error makes the commit fail as a failed sync would.
  virtual base::Result<void> before_index_commit() = 0;
  // The clock that stamps files: their ages are taken from it.
  virtual base::WallTime now() = 0;
};

[[nodiscard]] std::shared_ptr<FileOps> real_file_ops();

// start_writeback() after so much, so that the last sync is short.
inline constexpr std::uint64_t kWriteBackStep = 8ULL << 20;

// Regular files of a directory; at most `limit`. Missing directory: none.
[[nodiscard]] std::vector<DirEntry> list_files(const std::string& directory, std::size_t limit);

// How far a file of `size` bytes is without holes, as far as its filesystem tells; zeros at the edge of a hole count as
// part of it, because holes begin at blocks.
[[nodiscard]] std::uint64_t size_before_hole(const base::File& file, std::uint64_t size);

[[nodiscard]] base::WallTime changed_at(const struct ::stat& st);

}  // namespace shoal::store
