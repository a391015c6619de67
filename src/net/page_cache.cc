#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <vector>

#include "shoal/base/disk_error.h"
#include "shoal/net/stream.h"

namespace shoal::net {

namespace {

constexpr std::uint64_t kPage = 4096;
constexpr std::uint64_t kProbe = 4ULL << 20;      // of one mincore call
constexpr std::uint64_t kReadAhead = 4ULL << 20;  // started behind what is loaded now

struct Mapping {
  Mapping(const base::File& file, std::uint64_t offset, std::uint64_t length)
      : size(length), at(::mmap(nullptr, length, PROT_READ, MAP_SHARED, file.fd(), static_cast<off_t>(offset))) {}
  ~Mapping() {
    if (at != MAP_FAILED) (void)::munmap(at, size);
  }
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;
  std::uint64_t size;
  void* at;
};

}  // namespace

base::Error unreadable(int error) {
  auto why = base::from_errno(error, "read");
  return base::is_of_the_disk(error) ? base::Error(base::ErrorKind::corrupt, why.message()) : why;
}

bool pages_resident(const base::File& file, std::uint64_t offset, std::uint64_t size) {
  const std::uint64_t end = offset + size;
  std::array<unsigned char, kProbe / kPage> resident;
  for (std::uint64_t at = offset / kPage * kPage; at < end; at += kProbe) {
    const Mapping window(file, at, std::min(kProbe, end - at));
    if (window.at == MAP_FAILED || ::mincore(window.at, window.size, resident.data()) != 0) return false;
    const auto pages = (window.size + kPage - 1) / kPage;
    if (!std::all_of(resident.begin(), resident.begin() + static_cast<std::ptrdiff_t>(pages),
                     [](unsigned char page) { return (page & 1) != 0; })) {
      return false;
    }
  }
  return true;
}

base::Result<void> load_pages(const base::File& file, std::uint64_t offset, std::uint64_t size) {
  (void)::posix_fadvise(file.fd(), static_cast<off_t>(offset), static_cast<off_t>(size + kReadAhead),
                        POSIX_FADV_WILLNEED);  // a hint
#ifdef MADV_POPULATE_READ
  {
    const std::uint64_t begin = offset / kPage * kPage;
    const Mapping window(file, begin, offset + size - begin);
    if (window.at != MAP_FAILED && ::madvise(window.at, window.size, MADV_POPULATE_READ) == 0) return {};
  }
#endif
  // Before Linux 5.14, or the range passes the end of the file, or the disk fails: this tells why.
  std::vector<char> scratch(256 * 1024);
  for (std::uint64_t at = offset; at < offset + size;) {
    const auto part = std::min<std::uint64_t>(scratch.size(), offset + size - at);
    const ssize_t got = ::pread(file.fd(), scratch.data(), part, static_cast<off_t>(at));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return unreadable(errno);
    if (got == 0) break;  // the send that follows tells that the file is too short
    at += static_cast<std::uint64_t>(got);
  }
  return {};
}

}  // namespace shoal::net
