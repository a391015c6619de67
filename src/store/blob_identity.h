// The identity of a blob's file: what tells, without reading it, that it is still the one that was verified.
#pragma once

#include <sys/stat.h>

#include "shoal/store/records.h"

namespace shoal::store {

inline void set_identity(BlobRecord& record, const struct ::stat& st) {
  constexpr std::int64_t kNano = 1'000'000'000;
  record.inode = st.st_ino;
  record.mtime_ns = st.st_mtim.tv_sec * kNano + st.st_mtim.tv_nsec;
  record.ctime_ns = st.st_ctim.tv_sec * kNano + st.st_ctim.tv_nsec;
}

[[nodiscard]] inline bool is_file_of(const BlobRecord& record, const struct ::stat& st) {
  BlobRecord now;
  set_identity(now, st);
  return S_ISREG(st.st_mode) && static_cast<std::uint64_t>(st.st_size) == record.size && now.inode == record.inode &&
         now.mtime_ns == record.mtime_ns && now.ctime_ns == record.ctime_ns;
}

}  // namespace shoal::store
