// Doubtful: files whose sync failed. The kernel keeps the pages that it could not write as if they were written, and
// tells once, so such a file may look right to whoever reads or syncs it again, until it is read from the disk. It is
// removed; where even that fails, it is remembered here: nobody takes it up, and the store does not write again before
// it is gone. Any thread.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <string>

#include "file_ops.h"
#include "guard.h"
#include "shoal/base/digest.h"
#include "space.h"

namespace shoal::store {

class Doubtful {
 public:
  Doubtful(FileOps& files, Guard& guard, Space& space) : files_(files), guard_(guard), space_(space) {}
  enum class Kind { fill, upload, blob };
  // `digest`: of a fill or a blob; none for an upload, whose name nobody else has. False: it is still there, and Space
  // counts it until it goes; else that is the caller's.
  bool remove(const std::string& path, Kind kind, const std::optional<base::Digest>& digest = std::nullopt);
  [[nodiscard]] bool is(const std::string& path, std::uint64_t inode) const;
  void forget(const std::string& path);            // another file is there; what Space counts of a fill is the caller's
  [[nodiscard]] base::Result<void> remove_rest();  // an error: not all could be

 private:
  static constexpr std::size_t kMost = 10'000;
  struct Left {
    Kind kind;
    std::uint64_t inode = 0;  // 0: not known, then it is whatever is there
    std::uint64_t size = 0;
    std::optional<base::Digest> digest;
  };
  [[nodiscard]] base::Result<void> remove_left(const std::string& path, const Left& left);

  void give_back(const Left& left);

  FileOps& files_;
  Guard& guard_;
  Space& space_;
  mutable std::mutex mutex_;
  std::map<std::string, Left> left_;
  bool too_many_ = false;  // to remember: the store stays read-only
};

}  // namespace shoal::store
