#include "files.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <filesystem>

#include "shoal/base/format.h"

namespace shoal::notify {

std::string segment_name(std::uint64_t first) { return base::format("q-{:016x}.log", first); }

std::optional<std::uint64_t> parse_segment_name(std::string_view name) {
  if (name.size() != 22 || !name.starts_with("q-") || !name.ends_with(".log")) return std::nullopt;
  const auto digits = name.substr(2, 16);
  if (digits.find_first_not_of("0123456789abcdef") != std::string_view::npos) return std::nullopt;
  std::uint64_t first = 0;
  (void)std::from_chars(digits.data(), digits.data() + digits.size(), first, 16);  // 16 hex digits always fit
  return first;
}

base::Result<void> make_directories(const std::string& path) {
  std::error_code failed;
  std::filesystem::create_directories(path, failed);
  if (failed) return base::from_errno(failed.value(), "create", path);
  return {};
}

std::vector<std::uint64_t> list_segments(const std::string& directory) {
  std::vector<std::uint64_t> found;
  DIR* dir = ::opendir(directory.c_str());
  if (dir == nullptr) return found;
  while (const dirent* entry = ::readdir(dir)) {
    if (const auto first = parse_segment_name(entry->d_name)) found.push_back(*first);
  }
  (void)::closedir(dir);  // read side
  std::sort(found.begin(), found.end());
  return found;
}

base::Result<std::unique_ptr<base::File>> open_file(const std::string& path, int flags) {
  auto file = std::make_unique<base::File>(::open(path.c_str(), flags | O_CLOEXEC, 0640));
  if (file->fd() < 0) return base::from_errno(errno, "open", path);
  return file;
}

base::Result<std::string> read_at(const base::File& file, std::uint64_t offset, std::size_t most) {
  std::string bytes(most, '\0');
  std::size_t got = 0;
  while (got < most) {
    const auto n = ::pread(file.fd(), bytes.data() + got, most - got, static_cast<off_t>(offset + got));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return base::from_errno(errno, "read");
    if (n == 0) break;
    got += static_cast<std::size_t>(n);
  }
  bytes.resize(got);
  return bytes;
}

base::Result<void> write_at(const base::File& file, std::string_view bytes, std::uint64_t offset) {
  std::size_t done = 0;
  while (done < bytes.size()) {
    const auto n = ::pwrite(file.fd(), bytes.data() + done, bytes.size() - done, static_cast<off_t>(offset + done));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return base::from_errno(n < 0 ? errno : ENOSPC, "write");
    done += static_cast<std::size_t>(n);
  }
  return {};
}

base::Result<void> cut_at(const base::File& file, std::uint64_t size) {
  if (::ftruncate(file.fd(), static_cast<off_t>(size)) != 0) return base::from_errno(errno, "truncate");
  return {};
}

base::Result<void> sync_file(const base::File& file) {
  if (::fdatasync(file.fd()) != 0) return base::from_errno(errno, "sync");
  return {};
}

base::Result<void> sync_directory(const std::string& path) {
  const auto dir = open_file(path, O_RDONLY | O_DIRECTORY);
  if (!dir) return dir.error();
  if (::fsync((*dir)->fd()) != 0) return base::from_errno(errno, "sync", path);
  return {};
}

base::Result<std::uint64_t> size_of(const base::File& file) {
  struct stat about {};
  if (::fstat(file.fd(), &about) != 0) return base::from_errno(errno, "look at");
  return static_cast<std::uint64_t>(about.st_size);
}

}  // namespace shoal::notify
