// LineFile: a file (or stderr) that whole lines are appended to. One writer thread; reopen() from any thread.
#pragma once

#include <atomic>
#include <string>
#include <string_view>

namespace shoal::obs {

class LineFile {
 public:
  explicit LineFile(std::string path);  // "": stderr
  ~LineFile();
  LineFile(const LineFile&) = delete;
  LineFile& operator=(const LineFile&) = delete;

  [[nodiscard]] bool is_open() const { return fd_ >= 0; }
  [[nodiscard]] bool write(std::string_view lines);  // all of it, or false; blocks
  void reopen() { reopen_wanted_.store(true); }      // before the next write; keeps the old file if that fails

 private:
  void open();
  std::string path_;
  int fd_ = -1;
  std::atomic<bool> reopen_wanted_{false};
};

}  // namespace shoal::obs
