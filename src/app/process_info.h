// What the kernel knows about this process.
#pragma once

#include <cstdint>

namespace shoal::app {

struct ProcessInfo {
  std::uint64_t resident_bytes = 0;
  std::uint64_t open_files = 0;
  std::uint64_t max_files = 0;
  double cpu_seconds = 0;
};
[[nodiscard]] ProcessInfo process_info();  // reads /proc: off the loops

// Raises the soft limit of open files to the hard one; answers what it is now.
std::uint64_t raise_file_limit();

}  // namespace shoal::app
