#include "line_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

namespace shoal::obs {

LineFile::LineFile(std::string path) : path_(std::move(path)) { open(); }

LineFile::~LineFile() {
  if (fd_ > STDERR_FILENO) (void)::close(fd_);  // best effort: the lines were written already
}

void LineFile::open() {
  if (path_.empty()) {
    fd_ = STDERR_FILENO;
    return;
  }
  const int fd = ::open(path_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
  if (fd < 0) return;
  if (fd_ >= 0) (void)::close(fd_);  // best effort: the lines were written already
  fd_ = fd;
}

bool LineFile::write(std::string_view lines) {
  if (reopen_wanted_.exchange(false)) open();
  while (!lines.empty()) {
    const auto written = ::write(fd_, lines.data(), lines.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return false;
    lines.remove_prefix(static_cast<std::size_t>(written));
  }
  return true;
}

}  // namespace shoal::obs
