// An index whose disk fails while nobody looks.
#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>

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

// Overwrites the kind of each page that holds `bytes`, which no other page may: LMDB calls it damaged when it comes by.
// How many; none of them is in LMDB's memory for dirty pages, which only a running transaction has.
inline int damage_pages(const std::string& store, std::string_view bytes) {
  constexpr std::size_t kPage = 4096;
  constexpr std::size_t kFlags = 10;  // MDB_page: number, padding, flags
  const auto data = store + "/index/data.mdb";
  std::ifstream in(data, std::ios::binary);
  const std::string all{std::istreambuf_iterator<char>(in), {}};
  const int fd = ::open(data.c_str(), O_WRONLY | O_CLOEXEC);
  int damaged = 0;
  for (std::size_t at = all.find(bytes); at != std::string::npos; at = all.find(bytes, (at / kPage + 1) * kPage)) {
    if (::pwrite(fd, "\0\0", 2, static_cast<off_t>(at / kPage * kPage + kFlags)) == 2) ++damaged;
  }
  (void)::close(fd);
  return damaged;
}

}  // namespace shoal::test
