#include "doubtful.h"

namespace shoal::store {

bool Doubtful::remove(const std::string& path, Kind kind, const std::optional<base::Digest>& digest) {
  const auto st = files_.stat(path);
  if (!st.ok() && st.error().kind() == base::ErrorKind::not_found) return true;
  if (files_.remove(path).ok()) return true;
  const std::lock_guard lock(mutex_);
  if (left_.size() < kMost) {
    left_.insert_or_assign(
        path, Left{kind, st.ok() ? st->st_ino : 0, st.ok() ? static_cast<std::uint64_t>(st->st_size) : 0, digest});
  } else {
    too_many_ = true;
  }
  return false;
}

bool Doubtful::is(const std::string& path, std::uint64_t inode) const {
  const std::lock_guard lock(mutex_);
  const auto it = left_.find(path);
  return it != left_.end() && (it->second.inode == 0 || it->second.inode == inode);
}

void Doubtful::forget(const std::string& path) {
  const std::lock_guard lock(mutex_);
  const auto it = left_.find(path);
  if (it == left_.end()) return;
  if (it->second.kind == Kind::blob) give_back(it->second);
  left_.erase(it);
}

void Doubtful::give_back(const Left& left) {
  if (left.kind == Kind::blob) {
    space_.remove_blob(left.size);
  } else {
    space_.give_back(left.size);
  }
}

base::Result<void> Doubtful::remove_rest() {
  std::map<std::string, Left> left;
  {
    const std::lock_guard lock(mutex_);
    if (too_many_) return base::Error(base::ErrorKind::gone, "too many files could not be removed: restart");
    left = left_;
  }
  for (const auto& [path, file] : left) {
    if (auto removed = remove_left(path, file); !removed.ok()) return removed;
    const std::lock_guard lock(mutex_);
    left_.erase(path);
  }
  return {};
}

// Not from under somebody who has put another file there.
base::Result<void> Doubtful::remove_left(const std::string& path, const Left& left) {
  if (left.digest && !guard_.begin_removal(*left.digest)) {
    return base::Error(base::ErrorKind::busy, "it is in use").at("remove", path);
  }
  base::Result<void> done;
  if (const auto st = files_.stat(path); !st.ok()) {
    if (st.error().kind() != base::ErrorKind::not_found) {
      done = st.error();
    } else if (left.kind == Kind::blob) {  // the sweep of orphans took it, which counts nothing
      give_back(left);
    }
  } else if (left.inode == 0 || left.inode == st->st_ino) {
    done = files_.remove(path);
    if (done.ok()) give_back(left);
  }
  if (left.digest) guard_.end_removal(*left.digest);
  return done;
}

}  // namespace shoal::store
