// What a test does to a MemoryStore, and asks it.
#include "support/memory_store.h"

#include <algorithm>
#include <utility>

namespace shoal::test {

using base::Error;
using base::ErrorKind;

void MemoryStore::hold_commits(bool on) {
  {
    const std::lock_guard lock(mutex_);
    hold_ = on;
  }
  if (!on) release_commits();
}

void MemoryStore::release_commits() {
  std::vector<Waiting> waiting;
  {
    const std::lock_guard lock(mutex_);
    waiting = std::exchange(waiting_, {});
    for (const auto& commit : waiting) {
      for (const auto& write : commit.writes) apply(write);
    }
  }
  for (auto& commit : waiting) {
    if (commit.done) commit.on->post([done = std::move(commit.done)]() mutable { done({}); });
  }
}

void MemoryStore::fail_commits(std::optional<Error> error) {
  const std::lock_guard lock(mutex_);
  commit_error_ = std::move(error);
}
void MemoryStore::turn_read_only(const std::string& reason) {
  const Error error(ErrorKind::gone, "the store is read-only: " + reason);
  fail_commits(error);
  hosted_.fail_writes(error);
  const std::lock_guard lock(mutex_);
  read_only_reason_ = reason;
}
void MemoryStore::fill_up_at(std::optional<std::uint64_t> bytes) {
  const std::lock_guard lock(mutex_);
  full_at_ = bytes;
}
void MemoryStore::admit_up_to(std::optional<std::uint64_t> bytes) {
  const std::lock_guard lock(mutex_);
  admit_up_to_ = bytes;
}
void MemoryStore::refuse_blobs(std::optional<base::Error> error) {
  const std::lock_guard lock(mutex_);
  refuse_blobs_ = std::move(error);
}

void MemoryStore::fail_reads_after(std::optional<std::size_t> reads) {
  const std::lock_guard lock(mutex_);
  reads_left_ = reads;
}
std::uint64_t MemoryStore::failed_reads() const {
  const std::lock_guard lock(mutex_);
  return failed_reads_;
}
bool MemoryStore::fails_read() const {
  const std::lock_guard lock(mutex_);
  return fails_read_now();
}
bool MemoryStore::fails_read_now() const {
  if (!reads_left_) return false;
  if (*reads_left_ == 0) {
    ++failed_reads_;
    return true;
  }
  --*reads_left_;
  return false;
}
void MemoryStore::fail_open(bool on) {
  const std::lock_guard lock(mutex_);
  fail_open_ = on;
}
void MemoryStore::fail_publish(bool on) {
  const std::lock_guard lock(mutex_);
  fail_publish_ = on;
}
void MemoryStore::keep(const base::Digest& digest, std::string bytes) {
  const std::lock_guard lock(mutex_);
  kept_[digest] = std::move(bytes);
}
void MemoryStore::put_blob(const base::Digest& digest, std::string bytes) {
  const std::lock_guard lock(mutex_);
  blobs_.insert_or_assign(digest, Blob{new_file(bytes), bytes.size(), false});
}
void MemoryStore::damage_blob(const base::Digest& digest, std::string bytes) {
  const std::lock_guard lock(mutex_);
  blobs_.insert_or_assign(digest, Blob{new_file(bytes), bytes.size(), true});
}
void MemoryStore::remove_manifest(const base::Digest& digest) {
  const std::lock_guard lock(mutex_);
  manifests_.erase(digest);
}

bool MemoryStore::has_blob(const base::Digest& digest) const {
  const std::lock_guard lock(mutex_);
  const auto it = blobs_.find(digest);
  if (it == blobs_.end()) return false;
  return base::digest_of(read_slice({it->second.file, 0, it->second.size}), digest.algorithm()) == digest;
}
std::optional<std::string> MemoryStore::kept(const base::Digest& digest) const {
  const std::lock_guard lock(mutex_);
  const auto it = kept_.find(digest);
  return it == kept_.end() ? std::nullopt : std::optional(it->second);
}
std::size_t MemoryStore::fills_running() const {
  const std::lock_guard lock(mutex_);
  return filling_.size();
}
std::size_t MemoryStore::fills_begun() const {
  const std::lock_guard lock(mutex_);
  return begun_;
}
std::size_t MemoryStore::published() const {
  const std::lock_guard lock(mutex_);
  return published_;
}
std::vector<std::string> MemoryStore::quarantined() const {
  const std::lock_guard lock(mutex_);
  return quarantined_;
}
std::size_t MemoryStore::commits() const {
  const std::lock_guard lock(mutex_);
  return commits_;
}
std::size_t MemoryStore::touches() const {
  const std::lock_guard lock(mutex_);
  return touches_;
}

}  // namespace shoal::test
