// An index whose disk fails while nobody looks.
#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <filesystem>
#include <string>

namespace shoal::test {

// From now on this process cannot write the meta pages of the index in that store: LMDB fails the next commit, and
// gives up its environment, so that nothing can be read either. How many descriptors that took; 0: it is not open.
inline int break_index(const std::string& store) {
  const auto data = std::filesystem::canonical(store + "/index/data.mdb");
  int broken = 0;
  for (int fd = 3; fd < 1024; ++fd) {
    const int flags = ::fcntl(fd, F_GETFL);
    if (flags < 0 || (flags & O_DSYNC) == 0) continue;  // the meta pages' own is the one that writes through
    std::error_code error;
    if (std::filesystem::read_symlink("/proc/self/fd/" + std::to_string(fd), error) != data) continue;
    const int unwritable = ::open(data.c_str(), O_RDONLY | O_CLOEXEC);
    if (unwritable >= 0 && ::dup3(unwritable, fd, O_CLOEXEC) == fd) ++broken;
    (void)::close(unwritable);
  }
  return broken;
}

}  // namespace shoal::test
