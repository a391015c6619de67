// ResidentPages: remembers which parts of which files were found in the page cache a moment ago, so that a hot file is
// not asked about (mincore costs as much as a twentieth of sending) by every connection again. Fixed size; one loop.
#pragma once

#include <array>
#include <cstdint>

#include "shoal/base/byte_source.h"
#include "shoal/base/clock.h"

namespace shoal::http {

class ResidentPages {
 public:
  static constexpr std::uint64_t kWindow = 4ULL << 20;
  static constexpr std::chrono::milliseconds kTrusted{1000};

  // Identity of the file for the calls below (device and inode); 0 if it cannot be told.
  [[nodiscard]] static std::uint64_t identify(const base::File& file);

  // How many bytes from `offset`, of at most `size`, are resident and may be sent without waiting for a disk. 0: load
  // them first. `ahead` (>= size) bounds how far it pays to look: to the end of what this answer will send of the file.
  [[nodiscard]] std::uint64_t resident(const base::File& file, std::uint64_t identity, std::uint64_t offset,
                                       std::uint64_t size, std::uint64_t ahead, base::SteadyTime now);

 private:
  struct Entry {
    std::uint64_t identity = 0;
    std::uint64_t window = 0;  // index, in units of kWindow
    std::uint64_t begin = 0;
    std::uint64_t end = 0;  // [begin, end) was resident
    base::SteadyTime until{};
  };
  std::array<Entry, 512> entries_{};
};

}  // namespace shoal::http
