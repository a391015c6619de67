#include "file_ops.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <mutex>

#include "shoal/base/format.h"

namespace shoal::store {
namespace {

class RealFileOps final : public FileOps {
 public:
  base::Result<std::shared_ptr<const base::File>> create(const std::string& path) override {
    if (::unlink(path.c_str()) != 0 && errno != ENOENT) return base::from_errno(errno, "replace", path);
    return open_with(path, O_RDWR | O_CREAT | O_EXCL);
  }

  base::Result<std::shared_ptr<const base::File>> open(const std::string& path) override {
    return open_with(path, O_RDWR);
  }

  base::Result<void> write(const base::File& file, std::string_view bytes, std::uint64_t offset) override {
    while (!bytes.empty()) {
      const ssize_t n = ::pwrite(file.fd(), bytes.data(), bytes.size(), static_cast<off_t>(offset));
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) return base::from_errno(n == 0 ? ENOSPC : errno, "write");
      bytes.remove_prefix(static_cast<std::size_t>(n));
      offset += static_cast<std::uint64_t>(n);
    }
    return {};
  }

  void start_writeback(const base::File& file, std::uint64_t offset, std::uint64_t size) override {
    // A hint: what it does not start, sync() does.
    (void)::sync_file_range(file.fd(), static_cast<off_t>(offset), static_cast<off_t>(size), SYNC_FILE_RANGE_WRITE);
  }

  void forget_pages(const base::File& file) override {
    (void)::posix_fadvise(file.fd(), 0, 0, POSIX_FADV_DONTNEED);  // a hint, too
  }

  base::Result<void> sync(const base::File& file) override {
    if (::fdatasync(file.fd()) != 0) return base::from_errno(errno, "sync");
    return {};
  }

  base::Result<void> sync_dir(const std::string& path) override {
    const base::File dir(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (dir.fd() < 0 || ::fsync(dir.fd()) != 0) return base::from_errno(errno, "sync", path);
    return {};
  }

  // One descriptor for good: it tells of write-back errors since it was opened, a new one only of those to come. The
  // kernel reports them here since 5.8.
  void watch_filesystem(const std::string& path) override { (void)root_of(path); }  // else at the first sync

  base::Result<void> sync_filesystem(const std::string& path) override {
    const auto root = root_of(path);
    if (!root.ok()) return root.error();
    if (::syncfs((*root)->fd()) != 0) return base::from_errno(errno, "sync the filesystem of", path);
    return {};
  }

  base::Result<void> truncate(const base::File& file, std::uint64_t size) override {
    if (::ftruncate(file.fd(), static_cast<off_t>(size)) != 0) return base::from_errno(errno, "cut");
    return {};
  }

  base::Result<void> set_mode(const std::string& path, unsigned mode) override {
    if (::chmod(path.c_str(), mode) != 0) return base::from_errno(errno, "set mode of", path);
    return {};
  }

  base::Result<void> make_dir(const std::string& path) override {
    if (::mkdir(path.c_str(), 0750) != 0 && errno != EEXIST) return base::from_errno(errno, "create", path);
    return {};
  }

  base::Result<void> rename(const std::string& from, const std::string& to) override {
    if (::rename(from.c_str(), to.c_str()) != 0) return base::from_errno(errno, "move", from);
    return {};
  }

  base::Result<void> remove(const std::string& path) override {
    if (::unlink(path.c_str()) != 0) return base::from_errno(errno, "remove", path);
    return {};
  }

  base::Result<struct ::stat> stat(const std::string& path) override {
    struct ::stat st {};
    if (::lstat(path.c_str(), &st) != 0) return base::from_errno(errno, "look at", path);
    return st;
  }

  base::Result<std::uint64_t> free_bytes(const std::string& path) override {
    struct ::statvfs fs {};
    if (::statvfs(path.c_str(), &fs) != 0) return base::from_errno(errno, "look at", path);
    return static_cast<std::uint64_t>(fs.f_bavail) * fs.f_frsize;
  }

  bool stops_itself(const std::string& path) override {
    struct ::statfs fs {};
    if (::statfs(path.c_str(), &fs) != 0) return false;
    switch (static_cast<unsigned long>(fs.f_type)) {
      case EXT4_SUPER_MAGIC: return has_journal(path);  // of ext2 and ext3, too
      case XFS_SUPER_MAGIC:
      case BTRFS_SUPER_MAGIC:
      case F2FS_SUPER_MAGIC:
      case kZfsMagic:
      case TMPFS_MAGIC: return true;
      default: return false;
    }
  }

  base::Result<void> before_index_commit() override { return {}; }
  base::WallTime now() override { return std::chrono::system_clock::now(); }

 private:
  static constexpr unsigned long kZfsMagic = 0x2fc12fc1;  // in no header of the kernel's

  static bool has_journal(const std::string& path) {
    struct ::stat st {};
    if (::stat(path.c_str(), &st) != 0) return false;
    const auto device = base::format("/sys/dev/block/{}:{}", major(st.st_dev), minor(st.st_dev));
    std::error_code error;
    const auto link = std::filesystem::read_symlink(device, error);
    std::ifstream task("/sys/fs/ext4/" + link.filename().string() + "/journal_task");  // its thread, or "<none>"
    std::string word;
    return !error && task >> word && word != "<none>";
  }

  base::Result<std::shared_ptr<const base::File>> root_of(const std::string& path) {
    const std::lock_guard lock(mutex_);
    if (root_ == nullptr) {
      const int fd = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
      if (fd < 0) return base::from_errno(errno, "open", path);
      root_ = std::make_shared<const base::File>(fd);
    }
    return root_;
  }

  std::mutex mutex_;
  std::shared_ptr<const base::File> root_;

  static base::Result<std::shared_ptr<const base::File>> open_with(const std::string& path, int flags) {
    const int fd = ::open(path.c_str(), flags | O_CLOEXEC | O_NOFOLLOW, 0640);
    if (fd < 0) return base::from_errno(errno, "open", path);
    return std::make_shared<const base::File>(fd);
  }
};

}  // namespace

std::shared_ptr<FileOps> real_file_ops() { return std::make_shared<RealFileOps>(); }

std::uint64_t size_before_hole(const base::File& file, std::uint64_t size) {
  const off_t hole = ::lseek(file.fd(), 0, SEEK_HOLE);
  if (hole < 0 || static_cast<std::uint64_t>(hole) >= size) return size;  // cannot tell, or none
  auto end = static_cast<std::uint64_t>(hole);
  constexpr std::uint64_t kMaxBlock = 64ULL << 10;
  std::string block(static_cast<std::size_t>(std::min(end, kMaxBlock)), '\0');
  const ssize_t n = ::pread(file.fd(), block.data(), block.size(),
                            static_cast<off_t>(end - static_cast<std::uint64_t>(block.size())));
  if (n != static_cast<ssize_t>(block.size())) return end - block.size();
  while (!block.empty() && block.back() == '\0') block.pop_back();
  return end - static_cast<std::uint64_t>(n) + block.size();
}

base::WallTime changed_at(const struct ::stat& st) {
  const auto time = [](const timespec& t) {
    return base::WallTime(std::chrono::seconds(t.tv_sec) + std::chrono::nanoseconds(t.tv_nsec));
  };
  return std::max(time(st.st_mtim), time(st.st_ctim));
}

std::vector<DirEntry> list_files(const std::string& directory, std::size_t limit) {
  std::vector<DirEntry> files;
  DIR* dir = ::opendir(directory.c_str());
  if (dir == nullptr) return files;
  while (files.size() < limit) {
    const dirent* entry = ::readdir(dir);
    if (entry == nullptr) break;
    struct ::stat st {};
    if (::fstatat(::dirfd(dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(st.st_mode)) continue;
    files.push_back({entry->d_name, static_cast<std::uint64_t>(st.st_size), changed_at(st)});
  }
  (void)::closedir(dir);  // read side
  return files;
}

}  // namespace shoal::store
