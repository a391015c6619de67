#include "resident_pages.h"

#include <sys/stat.h>

#include <algorithm>

#include "shoal/net/stream.h"

namespace shoal::http {

std::uint64_t ResidentPages::identify(const base::File& file) {
  struct stat facts {};
  if (::fstat(file.fd(), &facts) != 0) return 0;
  const auto mixed = (static_cast<std::uint64_t>(facts.st_dev) << 48) ^ static_cast<std::uint64_t>(facts.st_ino);
  return mixed == 0 ? 1 : mixed;
}

std::uint64_t ResidentPages::resident(const base::File& file, std::uint64_t identity, std::uint64_t offset,
                                      std::uint64_t size, std::uint64_t ahead, base::SteadyTime now) {
  const std::uint64_t window = offset / kWindow;
  const std::uint64_t window_end = (window + 1) * kWindow;
  size = std::min(size, window_end - offset);
  Entry& entry = entries_[(identity * 0x9E3779B97F4A7C15ULL + window * 0xD1B54A32D192ED03ULL) >> 55];
  if (identity != 0 && entry.identity == identity && entry.window == window && entry.begin <= offset &&
      offset < entry.end && now < entry.until) {
    return std::min(size, entry.end - offset);
  }
  const std::uint64_t wide = std::min(ahead, window_end - offset);
  std::uint64_t found = 0;
  if (wide > size && net::pages_resident(file, offset, wide)) {
    found = wide;
  } else if (net::pages_resident(file, offset, size)) {
    found = size;
  }
  if (found > 0 && identity != 0) entry = {identity, window, offset, offset + found, now + kTrusted};
  return std::min(size, found);
}

}  // namespace shoal::http
