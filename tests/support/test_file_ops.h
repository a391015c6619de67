// FileOps for tests: FailingFileOps fails chosen operations, ForgettingFileOps loses what was not synced.
#pragma once

#include <fcntl.h>
#include <unistd.h>
#include <atomic>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <map>
#include <mutex>
#include <random>
#include <vector>

#include "../../src/store/file_ops.h"  // a private seam of the store

namespace shoal::test {

enum class Op {
  create,
  open,
  write,
  sync,
  sync_dir,
  sync_filesystem,
  truncate,
  set_mode,
  make_dir,
  rename,
  remove,
  stat,
  commit
};

// The real operations, except those a test makes fail. Any thread.
class FailingFileOps : public store::FileOps {
 public:
  // From the `after`-th operation of that kind on (0: the next), `times` of them fail.
  void fail(Op op, int error, int after = 0, int times = 1'000'000) {
    const std::lock_guard lock(mutex_);
    plans_[op] = {error, after, times};
  }
  void heal() {
    const std::lock_guard lock(mutex_);
    plans_.clear();
  }
  [[nodiscard]] int count(Op op) {
    const std::lock_guard lock(mutex_);
    return counts_[op];
  }
  std::atomic<std::int64_t> clock_offset_seconds{0};

  base::Result<std::shared_ptr<const base::File>> create(const std::string& path) override {
    if (const int e = hit(Op::create)) return base::from_errno(e, "create", path);
    return real_->create(path);
  }
  base::Result<std::shared_ptr<const base::File>> open(const std::string& path) override {
    if (const int e = hit(Op::open)) return base::from_errno(e, "open", path);
    return real_->open(path);
  }
  base::Result<void> write(const base::File& file, std::string_view bytes, std::uint64_t offset) override {
    if (const int e = hit(Op::write)) {
      (void)real_->write(file, bytes.substr(0, bytes.size() / 2), offset);  // as a full disk does: some of it
      return base::from_errno(e, "write");
    }
    return real_->write(file, bytes, offset);
  }
  void start_writeback(const base::File& file, std::uint64_t offset, std::uint64_t size) override {
    real_->start_writeback(file, offset, size);
  }
  void forget_pages(const base::File& file) override { real_->forget_pages(file); }
  base::Result<void> sync(const base::File& file) override {
    if (const int e = hit(Op::sync)) return base::from_errno(e, "sync");
    return real_->sync(file);
  }
  base::Result<void> sync_dir(const std::string& path) override {
    if (const int e = hit(Op::sync_dir)) return base::from_errno(e, "sync", path);
    return real_->sync_dir(path);
  }
  void watch_filesystem(const std::string& path) override { real_->watch_filesystem(path); }
  base::Result<void> sync_filesystem(const std::string& path) override {
    if (const int e = hit(Op::sync_filesystem)) return base::from_errno(e, "sync", path);
    return real_->sync_filesystem(path);
  }
  base::Result<void> truncate(const base::File& file, std::uint64_t size) override {
    if (const int e = hit(Op::truncate)) return base::from_errno(e, "cut");
    return real_->truncate(file, size);
  }
  base::Result<void> set_mode(const std::string& path, unsigned mode) override {
    if (const int e = hit(Op::set_mode)) return base::from_errno(e, "set mode of", path);
    return real_->set_mode(path, mode);
  }
  base::Result<void> make_dir(const std::string& path) override {
    if (const int e = hit(Op::make_dir)) return base::from_errno(e, "create", path);
    return real_->make_dir(path);
  }
  base::Result<void> rename(const std::string& from, const std::string& to) override {
    if (const int e = hit(Op::rename)) return base::from_errno(e, "move", from);
    return real_->rename(from, to);
  }
  base::Result<void> remove(const std::string& path) override {
    if (const int e = hit(Op::remove)) return base::from_errno(e, "remove", path);
    return real_->remove(path);
  }
  base::Result<struct ::stat> stat(const std::string& path) override {
    if (const int e = hit(Op::stat)) return base::from_errno(e, "look at", path);
    return real_->stat(path);
  }
  base::Result<std::uint64_t> free_bytes(const std::string& path) override {
    return free ? base::Result<std::uint64_t>(free.load()) : real_->free_bytes(path);
  }
  bool stops_itself(const std::string&) override { return stops; }
  base::Result<void> before_index_commit() override {
    if (const int e = hit(Op::commit)) return base::from_errno(e, "sync");
    return {};
  }
  base::WallTime now() override { return real_->now() + std::chrono::seconds(clock_offset_seconds); }

  std::atomic<bool> stops{true};       // what stops_itself() says
  std::atomic<std::uint64_t> free{0};  // what the filesystem says is free; 0: the truth

 protected:
  // 0, or the errno to fail with.
  virtual int hit(Op op) {
    const std::lock_guard lock(mutex_);
    ++counts_[op];
    const auto plan = plans_.find(op);
    if (plan == plans_.end()) return 0;
    if (plan->second.after > 0) {
      --plan->second.after;
      return 0;
    }
    if (plan->second.times == 0) return 0;
    --plan->second.times;
    return plan->second.error;
  }
  const std::shared_ptr<store::FileOps> real_ = store::real_file_ops();

 private:
  struct Plan {
    int error = 0, after = 0, times = 0;
  };
  std::mutex mutex_;
  std::map<Op, Plan> plans_;
  std::map<Op, int> counts_;
};

// Stops at a chosen operation as a power cut does: everything from then on fails, and lose_unsynced() then takes back
// what was not synced: bytes become zeros, moves and removals may or may not have happened (by `seed`). One thread.
class ForgettingFileOps final : public FailingFileOps {
 public:
  explicit ForgettingFileOps(unsigned seed) : random_(seed) {}
  void cut_power_at(int operation) { cut_at_ = operation; }
  [[nodiscard]] bool dark() const { return dark_; }
  [[nodiscard]] int operations() const { return operations_; }

  base::Result<void> write(const base::File& file, std::string_view bytes, std::uint64_t offset) override {
    auto result = FailingFileOps::write(file, bytes, offset);
    if (result.ok()) unsynced_[inode(file)].push_back({path_of(file), offset, bytes.size()});
    return result;
  }
  base::Result<void> sync(const base::File& file) override {
    auto result = FailingFileOps::sync(file);
    if (result.ok()) unsynced_.erase(inode(file));
    return result;
  }
  base::Result<void> sync_dir(const std::string& path) override {
    auto result = FailingFileOps::sync_dir(path);
    if (result.ok()) std::erase_if(changes_, [&path](const Change& c) { return c.directory == path; });
    return result;
  }
  base::Result<void> sync_filesystem(const std::string& path) override {
    auto result = FailingFileOps::sync_filesystem(path);
    if (result.ok()) {
      unsynced_.clear();
      changes_.clear();
    }
    return result;
  }
  base::Result<void> rename(const std::string& from, const std::string& to) override {
    auto result = FailingFileOps::rename(from, to);
    if (result.ok()) changes_.push_back({std::filesystem::path(to).parent_path(), from, to});
    return result;
  }
  base::Result<void> remove(const std::string& path) override {
    if (const int e = hit(Op::remove)) return base::from_errno(e, "remove", path);
    const std::string saved = path + ".unlinked";  // it may come back
    if (::rename(path.c_str(), saved.c_str()) != 0) return base::from_errno(errno, "remove", path);
    changes_.push_back({std::filesystem::path(path).parent_path(), path, saved});
    return {};
  }

  void lose_unsynced() {
    for (const auto& [ino, ranges] : unsynced_) {
      for (const auto& range : ranges) zero(ino, range);
    }
    std::shuffle(changes_.begin(), changes_.end(), random_);
    for (const auto& change : changes_) {
      if (random_() % 2 == 0 && ::access(change.from.c_str(), F_OK) != 0) {
        (void)::rename(change.to.c_str(), change.from.c_str());
      }
      if (change.to.ends_with(".unlinked")) (void)::unlink(change.to.c_str());
    }
  }

 protected:
  int hit(Op op) override {
    if (!dark_ && ++operations_ == cut_at_) dark_ = true;
    return dark_ ? EIO : FailingFileOps::hit(op);
  }

 private:
  struct Range {
    std::string path;
    std::uint64_t offset, size;
  };
  struct Change {
    std::string directory, from, to;
  };
  static std::uint64_t inode(const base::File& file) {
    struct ::stat st {};
    (void)::fstat(file.fd(), &st);
    return st.st_ino;
  }
  static std::string path_of(const base::File& file) {
    return std::filesystem::read_symlink("/proc/self/fd/" + std::to_string(file.fd()));
  }
  // The file may have moved since; its directory tree is small.
  void zero(std::uint64_t ino, const Range& range) {
    const auto root = std::filesystem::path(range.path).parent_path().parent_path();
    for (const auto& entry : std::filesystem::recursive_directory_iterator(root)) {
      struct ::stat st {};
      if (::stat(entry.path().c_str(), &st) != 0 || st.st_ino != ino) continue;
      const base::File file(::open(entry.path().c_str(), O_WRONLY | O_CLOEXEC));
      const std::string zeros(range.size, '\0');
      struct timespec times[2] = {st.st_atim, st.st_mtim};
      (void)::pwrite(file.fd(), zeros.data(), zeros.size(), static_cast<off_t>(range.offset));
      (void)::futimens(file.fd(), times);
      return;
    }
  }
  std::mt19937 random_;
  std::atomic<int> cut_at_ = -1;
  std::atomic<int> operations_ = 0;
  std::atomic<bool> dark_ = false;
  std::map<std::uint64_t, std::vector<Range>> unsynced_;
  std::vector<Change> changes_;
};

}  // namespace shoal::test
