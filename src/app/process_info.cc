#include "process_info.h"

#include <dirent.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstdio>

namespace shoal::app {
namespace {

std::uint64_t resident_bytes() {
  std::FILE* file = std::fopen("/proc/self/statm", "re");
  if (file == nullptr) return 0;
  unsigned long long total = 0, resident = 0;
  const int got = std::fscanf(file, "%llu %llu", &total, &resident);
  (void)std::fclose(file);  // read only
  return got == 2 ? resident * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE)) : 0;
}

std::uint64_t open_files() {
  DIR* directory = ::opendir("/proc/self/fd");
  if (directory == nullptr) return 0;
  std::uint64_t entries = 0;
  while (::readdir(directory) != nullptr) ++entries;
  (void)::closedir(directory);
  return entries < 3 ? 0 : entries - 3;  // ".", ".." and the directory itself
}

}  // namespace

ProcessInfo process_info() {
  ProcessInfo info;
  info.resident_bytes = resident_bytes();
  info.open_files = open_files();
  rlimit files{};
  if (::getrlimit(RLIMIT_NOFILE, &files) == 0) info.max_files = files.rlim_cur;
  rusage usage{};
  if (::getrusage(RUSAGE_SELF, &usage) == 0) {
    const auto seconds = [](const timeval& t) {
      return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
    };
    info.cpu_seconds = seconds(usage.ru_utime) + seconds(usage.ru_stime);
  }
  return info;
}

std::uint64_t raise_file_limit() {
  rlimit files{};
  if (::getrlimit(RLIMIT_NOFILE, &files) != 0) return 0;
  if (files.rlim_cur < files.rlim_max) {
    const rlimit wanted{files.rlim_max, files.rlim_max};
    if (::setrlimit(RLIMIT_NOFILE, &wanted) == 0) files = wanted;
  }
  return files.rlim_cur;
}

}  // namespace shoal::app
