#include "core.h"

#include "blob_identity.h"

namespace shoal::store {
namespace {

// Bytes in quarantine are outside max_size; keep them small against it.
std::uint64_t quarantine_bytes(const StoreOptions& options) {
  return options.max_size == 0 ? options.quarantine_size : std::min(options.quarantine_size, options.max_size / 16);
}

}  // namespace

Core::Core(StoreOptions opts, base::Executor& disk_executor, base::Clock& wall, std::shared_ptr<FileOps> file_ops)
    : options(std::move(opts)),
      layout(options.path),
      disk(disk_executor),
      clock(wall),
      files(std::move(file_ops)),
      space({options.max_size, options.min_free, options.high_watermark, options.low_watermark}),
      quarantine(layout, *files, quarantine_bytes(options)),
      fills(*guard),
      uploads(*this),
      publisher(*this),
      collector(*this),
      evictor(*this),
      scrubber(*this),
      sweeper(*this) {}

void Core::close() {
  gate.close();
  uploads.close();
  if (writer) writer->stop();
  writer.reset();
  index.reset();
  lock.reset();
}

void Core::tell_not_kept(std::string_view why) {
  constexpr std::int64_t kEvery = 600;
  const auto now = std::chrono::duration_cast<std::chrono::seconds>(clock.wall_now().time_since_epoch()).count();
  auto quiet_until = quiet_until_s.load(std::memory_order_relaxed);
  if (now < quiet_until && quiet_until - now <= kEvery) return;  // further off: the clock was set back
  if (!quiet_until_s.compare_exchange_strong(quiet_until, now + kEvery)) return;
  obs::warn(
      obs::Category::store,
      "blobs are passed on without being kept: {} (free on disk: {} bytes, storage.min_free: {}, storage.max_size: "
      "{}, in blobs: {})",
      why, space.use().free_bytes, options.min_free, options.max_size, space.use().blob_bytes);
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

bool is_sound_blob(Core& core, const base::Digest& digest) {
  const auto record = IndexView(core.index->read()).blob(digest);
  if (!record) return false;
  const auto st = core.files->stat(core.layout.blob(digest));
  return st.ok() && is_file_of(*record, *st);
}

bool drop_blob(Core& core, const base::Digest& digest, const BlobRecord& record) {
  if (!core.guard->begin_removal(digest)) return false;
  // Looked at again now that nobody can link to it: it may have been pushed or mounted since the caller looked.
  {
    const auto txn = core.index->read();
    const auto now = IndexView(txn).blob(digest);
    if (!txn.ok() || (now && now->hosted)) {
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
  core.space.remove_blob(record.size);
  core.guard->file_removed(digest);
  // File first, record second: a crash between leaves a record without a file, which open_blob reports as a miss.
  core.writer->submit({[digest, record](IndexEdit& edit) { edit.erase_blob(digest, record); },
                       [guard = core.guard, digest](const base::Result<void>&) { guard->end_removal(digest); }});
  return true;
}

}  // namespace shoal::store
