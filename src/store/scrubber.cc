#include "scrubber.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "blob_identity.h"
#include "core.h"
#include "index_view.h"
#include "shoal/base/disk_error.h"
#include "shoal/obs/log.h"

namespace shoal::store {
namespace {

constexpr std::size_t kChunk = 1 << 20;
constexpr std::size_t kMaxNamed = 100;   // digests in one report
constexpr std::size_t kMaxInUse = 1000;  // condemned blobs remembered until their readers have left

}  // namespace

// Out of the way of everybody, unless it has been replaced by now: then there is nothing to do. False: somebody reads
// it, or a fill or push is at it.
bool Scrubber::quarantine(const Condemned& blob) {
  auto& core = core_;
  const auto& digest = blob.digest;
  if (!core.guard->begin_removal(digest)) return false;
  const auto path = core.layout.blob(digest);
  const auto st = core.files->stat(path);
  const std::uint64_t inode = st.ok() ? st->st_ino : 0;
  std::optional<BlobRecord> now;
  {
    const auto txn = core.index->read();
    now = IndexView(txn).blob(digest);
    if (!txn.ok()) {
      core.guard->end_removal(digest);
      return false;
    }
  }
  if (!now || !same_file(*now, blob.record) || inode != blob.inode) {
    core.guard->end_removal(digest);
    return true;
  }
  const auto taken = core.quarantine.take(path, digest, "scrub");
  if (!taken.ok() && taken.error().kind() != base::ErrorKind::not_found) {
    obs::warn(obs::Category::store, "quarantine {}: {}", digest.to_string(), taken.error().message());
  }
  core.unreadable.forget(digest);
  core.space.remove_blob(blob.record.size);
  core.guard->file_removed(digest);
  core.writer->submit({[digest, record = blob.record](IndexEdit& edit) { edit.erase_blob(digest, record); },
                       [&core, digest, record = blob.record](const base::Result<void>& committed) {
                         end_removal(core, digest, record, committed);
                       }});
  return true;
}

struct Scrubber::Looking {
  Looking(const base::Digest& d, const BlobRecord& r, std::shared_ptr<void> l, int fd)
      : digest(d), record(r), lease(std::move(l)), file(fd), hasher(d.algorithm()) {}
  base::Digest digest;
  BlobRecord record;
  std::shared_ptr<void> lease;  // nobody removes it meanwhile
  base::File file;
  base::Hasher hasher;
  std::uint64_t offset = 0;
  struct ::stat before {};
  int unreadable = 0;  // why
};

ScrubReport Scrubber::step(std::uint64_t max_bytes) {
  const std::lock_guard lock(mutex_);
  ScrubReport report;
  retry_removals();
  auto budget = std::max<std::uint64_t>(max_bytes, 1);
  for (;;) {
    if (looking_ == nullptr && !next_blob(report)) {
      if (report.unreadable) return report;
      last_.reset();
      report.whole = true;
      return report;
    }
    if (looking_ == nullptr) {  // nothing to read: gone meanwhile, or missing
      if (--budget == 0) return report;
      continue;
    }
    if (!read_on(report, budget)) return report;
    judge(report);
    looking_.reset();
    if (budget == 0) return report;
  }
}

void Scrubber::restart() {
  const std::lock_guard lock(mutex_);
  looking_.reset();
  last_.reset();
}

bool Scrubber::next_blob(ScrubReport& report) {
  std::vector<std::pair<base::Digest, BlobRecord>> found;
  {
    const auto txn = core_.index->read();
    found = IndexView(txn).blobs(last_, 1);
    report.unreadable = !txn.ok();
  }
  if (found.empty() || report.unreadable) return false;
  const auto& [digest, record] = found.front();
  last_ = digest;
  auto lease = core_.guard->lease(digest);
  if (lease == nullptr) return true;  // it is being removed
  const int fd = ::open(core_.layout.blob(digest).c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
  if (fd < 0) {
    lease.reset();
    if (errno == ENOENT || errno == ELOOP) {
      ++report.blobs;
      condemn({digest, record, 0}, "its file is missing", report);
    }
    return true;  // no descriptor left: another time
  }
  looking_ = std::make_shared<Looking>(digest, record, std::move(lease), fd);
  if (::fstat(fd, &looking_->before) != 0) looking_.reset();
  return true;
}

bool Scrubber::read_on(ScrubReport& report, std::uint64_t& budget) {
  std::string chunk(kChunk, '\0');
  while (budget > 0) {
    const auto want = static_cast<std::size_t>(std::min<std::uint64_t>(chunk.size(), budget));
    const ssize_t n = ::pread(looking_->file.fd(), chunk.data(), want, static_cast<off_t>(looking_->offset));
    if (n < 0 && errno == EINTR) continue;
    looking_->unreadable = n < 0 ? errno : 0;
    if (n <= 0) return true;
    const auto size = static_cast<std::uint64_t>(n);
    looking_->hasher.update(std::string_view(chunk).substr(0, size));
    looking_->offset += size;
    report.bytes += size;
    budget -= size;
  }
  return false;
}

void Scrubber::judge(ScrubReport& report) {
  const auto digest = looking_->digest;
  const auto record = looking_->record;
  ++report.blobs;
  if (looking_->unreadable != 0) {  // says nothing about its bytes; the next pass tries again
    if (base::is_of_the_disk(looking_->unreadable)) {
      core_.report_unreadable(digest, looking_->file, base::from_errno(looking_->unreadable, "scrub"));
    }
    return;
  }
  struct ::stat after {};
  const bool stayed = ::fstat(looking_->file.fd(), &after) == 0 && changed_at(after) == changed_at(looking_->before);
  if (looking_->hasher.finish() == digest) {
    if (!stayed) return;  // somebody is writing there: the next pass looks again
    core_.unreadable.forget(digest);
    BlobRecord renewed = record;
    renewed.size = looking_->offset;
    renewed.verified = core_.clock.wall_now();
    set_identity(renewed, after);
    if (!is_file_of(record, after)) {
      // Copied back, perhaps a moment ago: a record is of bytes that a power cut leaves in place.
      if (!core_.files->sync(looking_->file).ok()) return;
      ++report.renewed;
    }
    core_.writer->submit({[digest, record, renewed](IndexEdit& edit) { edit.renew_blob(digest, record, renewed); },
                          [](const base::Result<void>&) {}});  // else the next pass writes it
    return;
  }
  looking_->lease.reset();
  condemn({digest, record, looking_->before.st_ino}, "its bytes are not its digest's", report);
}

void Scrubber::condemn(const Condemned& blob, std::string_view why, ScrubReport& report) {
  ++report.damaged;
  if (report.names.size() < kMaxNamed) report.names.push_back(blob.digest.to_string());
  obs::warn(obs::Category::store, "scrub: {} is damaged ({}): {}", blob.digest.to_string(), why,
            blob.record.hosted ? "it was pushed here and has to be pushed again"
                               : "it is fetched again when somebody asks for it");
  if (quarantine(blob)) return;
  // Its readers have what they have. Nobody new gets it: no file is the one with this identity.
  Condemned barred = blob;
  barred.record.inode = 0;
  barred.record.mtime_ns = 0;
  barred.record.ctime_ns = 0;
  core_.writer->submit({[blob, barred](IndexEdit& edit) { edit.renew_blob(blob.digest, blob.record, barred.record); },
                        [](const base::Result<void>&) {}});  // a failed commit makes the store read-only
  if (in_use_.size() < kMaxInUse) in_use_.push_back(std::move(barred));
}

void Scrubber::retry_removals() {
  std::erase_if(in_use_, [this](const Condemned& blob) {
    std::optional<BlobRecord> now;
    {
      const auto txn = core_.index->read();
      now = IndexView(txn).blob(blob.digest);
      if (!txn.ok()) return false;
    }
    if (!now) return true;
    if (!same_file(*now, blob.record)) return now->inode != 0;  // healed meanwhile; or the bar is not committed yet
    return quarantine(blob);
  });
}

}  // namespace shoal::store
