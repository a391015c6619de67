#include "core.h"

#include <sys/stat.h>

#include "blob_identity.h"
#include "hosted_edit.h"

namespace shoal::store {
namespace {

// Bytes in quarantine are outside max_size; keep them small against it.
std::uint64_t quarantine_bytes(const StoreOptions& options) {
  return options.max_size == 0 ? options.quarantine_size : std::min(options.quarantine_size, options.max_size / 16);
}

}  // namespace

SpaceLimits limits_of(const StoreOptions& options) {
  return {options.max_size, options.min_free, options.high_watermark, options.low_watermark};
}

Core::Core(StoreOptions opts, base::Executor& disk_executor, base::Clock& wall, std::shared_ptr<FileOps> file_ops,
           obs::EventSink& sink)
    : options(std::move(opts)),
      layout(options.path),
      disk(disk_executor),
      clock(wall),
      events(sink),
      files(std::move(file_ops)),
      space(limits_of(options)),
      quarantine(layout, *files, quarantine_bytes(options)),
      doubtful(*files, *guard, space),
      fills(*guard),
      uploads(*this),
      publisher(*this),
      collector(*this),
      evictor(*this),
      scrubber(*this),
      sweeper(*this),
      write_trial(*this) {}

void Core::close() {
  gate.close();
  uploads.close();
  if (writer) writer->stop();
  writer.reset();
  guard->forget_waiters();
  index.reset();
  lock.reset();
}

void Core::tell_no_room(std::string_view what, std::string_view why, std::atomic<std::int64_t>& quiet_until_s) {
  constexpr std::int64_t kEvery = 600;
  const auto now = std::chrono::duration_cast<std::chrono::seconds>(clock.wall_now().time_since_epoch()).count();
  auto quiet_until = quiet_until_s.load(std::memory_order_relaxed);
  if (now < quiet_until && quiet_until - now <= kEvery) return;  // further off: the clock was set back
  if (!quiet_until_s.compare_exchange_strong(quiet_until, now + kEvery)) return;
  const auto limits = space.limits();
  const auto use = space.use();
  obs::warn(obs::Category::store,
            "{}: {} (free on disk: {} bytes, storage.min_free: {}, storage.max_size: {}, in blobs: {}, arriving: {})",
            what, why, use.free_bytes, limits.min_free, limits.max_size, use.blob_bytes, use.fill_bytes);
}

void Core::tell_not_kept(std::string_view why) {
  tell_no_room("blobs are passed on without being kept", why, not_kept_quiet_until_s);
}

void Core::tell_not_taken(std::string_view why) { tell_no_room("pushes are refused", why, not_taken_quiet_until_s); }

void Core::report_unreadable(const base::Digest& digest, const base::File& file, const base::Error& why) {
  struct ::stat st {};
  const auto record = IndexView(index->read()).blob(digest);
  // A reader may hold a file that another one has replaced since.
  if (!record || ::fstat(file.fd(), &st) != 0 || st.st_ino != record->inode) return;
  if (unreadable.add(digest, record->inode, clock.steady_now()) == Unreadable::News::again) return;
  obs::error(obs::Category::store, "{}: {}; {}", layout.blob(digest), why.message(),
             record->hosted ? "it was pushed here: it is tried again, and may be pushed again"
                            : "it is fetched again when somebody asks for it");
}

base::Result<void> Core::make_blob_dir(const base::Digest& digest) {
  const auto algorithm = digest.algorithm();
  auto& made = shard_is_made(digest);
  if (made) return {};
  if (auto r = files->make_dir(layout.algorithm_dir(algorithm)); !r.ok()) return r;
  if (auto r = files->make_dir(layout.blob_dir(digest)); !r.ok()) return r;
  for (const auto& dir : {layout.algorithm_dir(algorithm), layout.blobs_dir()}) {
    if (auto r = files->sync_dir(dir); !r.ok()) {
      if (!not_tried(r.error())) health.turn_read_only(r.error());
      return r;
    }
  }
  made = true;
  return {};
}

base::Result<bool> is_sound_blob(Core& core, const base::Digest& digest) {
  std::optional<BlobRecord> record;
  {
    const auto txn = core.index->read();
    record = IndexView(txn).blob(digest);
    if (!txn.ok()) return unreadable_index();
  }
  if (!record || core.unreadable.since(digest, record->inode)) return false;
  const auto st = core.files->stat(core.layout.blob(digest));
  if (!st.ok() && st.error().kind() != base::ErrorKind::not_found) return st.error();
  return st.ok() && is_file_of(*record, *st);
}

void end_removal(Core& core, const base::Digest& digest, const BlobRecord& record,
                 const base::Result<void>& committed) {
  if (!committed.ok()) core.space.add_blob(record.size);
  core.guard->end_removal(digest);
}

std::uint64_t counted_bytes(Core& core, const base::Digest& digest) {
  // Before the record: a removal whose commit is still to come has given the bytes back, and none begins meanwhile.
  if (core.guard->removing(digest)) return 0;
  const auto record = IndexView(core.index->read()).blob(digest);
  return record ? record->size : 0;
}

namespace {

// The file only; true: its record has to follow, with forget_dropped().
bool drop_file(Core& core, const base::Digest& digest, const BlobRecord& record) {
  if (!core.guard->begin_removal(digest)) return false;
  // Looked at again now that nobody can link to it: since the caller looked it may have been pushed or mounted, or
  // another removal may have ended, and its bytes must not be given back twice.
  {
    const auto txn = core.index->read();
    const auto now = IndexView(txn).blob(digest);
    if (!txn.ok() || !now || now->hosted) {
      core.guard->end_removal(digest);
      return false;
    }
  }
  const auto removed = core.files->remove(core.layout.blob(digest));
  if (!removed.ok() && removed.error().kind() != base::ErrorKind::not_found) {
    obs::debug(obs::Category::store, "{}", removed.error().message());  // the evictor tells when it is stuck
    core.guard->end_removal(digest);
    return false;
  }
  core.unreadable.forget(digest);
  core.space.remove_blob(record.size);
  core.guard->file_removed(digest);
  return true;
}

// File first, record second: a crash between leaves a record without a file, which open_blob reports as a miss.
void forget_dropped(Core& core, std::vector<Unlinked> dropped) {
  if (dropped.empty()) return;
  const auto bytes = dropped.size() * sizeof(Unlinked);
  const auto shared = std::make_shared<const std::vector<Unlinked>>(std::move(dropped));  // by the job's two functions
  core.writer->submit({[shared](IndexEdit& edit) {
                         for (const auto& blob : *shared) edit.erase_blob(blob.digest, blob.record);
                       },
                       [&core, shared](const base::Result<void>& committed) {
                         for (const auto& blob : *shared) end_removal(core, blob.digest, blob.record, committed);
                       },
                       bytes});
}

}  // namespace

bool drop_blob(Core& core, const base::Digest& digest, const BlobRecord& record) {
  return drop_blobs(core, {{digest, record}}).blobs == 1;
}

Dropped drop_blobs(Core& core, const std::vector<Unlinked>& blobs) {
  Dropped sum;
  std::vector<Unlinked> dropped;
  for (const auto& blob : blobs) {
    if (!drop_file(core, blob.digest, blob.record)) continue;
    dropped.push_back(blob);
    ++sum.blobs;
    sum.bytes += blob.record.size;
  }
  forget_dropped(core, std::move(dropped));
  return sum;
}

}  // namespace shoal::store
