#include "quarantine.h"

#include <algorithm>

#include "shoal/obs/log.h"

namespace shoal::store {
namespace {

constexpr std::size_t kMaxFiles = 1000;

}  // namespace

base::Result<void> Quarantine::take(const std::string& path, const base::Digest& digest, std::string_view reason) {
  const std::lock_guard lock(mutex_);
  ++taken_;
  const auto st = files_.stat(path);
  if (!st.ok()) return st.error();
  if (static_cast<std::uint64_t>(st->st_size) > max_bytes_ || st->st_size == 0) return files_.remove(path);
  auto moved = files_.rename(path, layout_.quarantine(digest, reason));
  if (!moved.ok()) return files_.remove(path);
  drop_oldest();
  return {};
}

void Quarantine::drop_oldest() {
  auto files = list_files(layout_.quarantine_dir(), 4 * kMaxFiles);
  std::sort(files.begin(), files.end(), [](const DirEntry& a, const DirEntry& b) { return a.changed > b.changed; });
  std::uint64_t bytes = 0;
  for (std::size_t i = 0; i < files.size(); ++i) {
    bytes += files[i].size;
    if (bytes <= max_bytes_ && i < kMaxFiles) continue;
    const auto removed = files_.remove(layout_.quarantine_dir() + "/" + files[i].name);
    if (!removed.ok()) obs::warn(obs::Category::store, "quarantine: {}", removed.error().message());
  }
}

}  // namespace shoal::store
