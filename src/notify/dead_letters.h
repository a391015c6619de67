// DeadLetters: the events of one endpoint that were given up, in one file, the newest `limit` of them. What add() took
// is durable when it returns. One thread at a time (a strand on the pool). Blocks.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "files.h"

namespace shoal::notify {

class DeadLetters {
 public:
  explicit DeadLetters(std::string directory) : directory_(std::move(directory)) {}

  [[nodiscard]] base::Result<void> open();  // the directory is there; what is damaged at the end is cut
  [[nodiscard]] base::Result<void> add(const std::vector<std::string>& payloads, std::size_t limit);
  [[nodiscard]] base::Result<std::vector<std::string>> read() const;  // oldest first
  // These instead; written beside and renamed.
  [[nodiscard]] base::Result<void> replace(const std::vector<std::string>& payloads);
  [[nodiscard]] std::size_t count() const { return count_; }

 private:
  [[nodiscard]] std::string path() const { return dead_path(directory_); }

  std::string directory_;
  std::unique_ptr<base::File> file_;
  std::uint64_t size_ = 0;
  std::size_t count_ = 0;
};

}  // namespace shoal::notify
