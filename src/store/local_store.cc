#include "local_store.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>

#include "blob_identity.h"
#include "local_fill.h"
#include "shoal/base/format.h"

namespace shoal::store {
namespace {

constexpr std::uint64_t kEvictAheadAtMost = 1ULL << 30;
constexpr auto kHostedTriedAgain = std::chrono::seconds(10);  // after the disk failed to read it

}  // namespace

base::Result<OpenBlob> LocalStore::open_blob(const base::Digest& digest) {
  auto lease = core_->guard->lease(digest);  // before the look, so that eviction cannot come between
  const auto record = lease ? find_blob(digest) : std::nullopt;
  if (!record) return base::Error(base::ErrorKind::not_found, "no such blob").at("open", digest.to_string());
  const auto corrupt = [&digest](std::string_view why) {
    return base::Error(base::ErrorKind::corrupt, std::string(why)).at("open", digest.to_string());
  };
  if (const auto since = core_->unreadable.since(digest, record->inode)) {
    const bool over = record->hosted && core_->clock.steady_now() - *since >= kHostedTriedAgain;
    if (!over) return corrupt("the disk does not give its bytes");
  }
  const auto path = core_->layout.blob(digest);
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
  if (fd < 0) {
    if (errno == ENOENT || errno == ELOOP) return corrupt("the file is missing");
    return base::from_errno(errno, "open", digest.to_string());
  }
  auto file = std::make_shared<const base::File>(fd);
  struct ::stat st {};
  if (::fstat(fd, &st) != 0) return base::from_errno(errno, "look at", digest.to_string());
  if (static_cast<std::uint64_t>(st.st_size) != record->size) return corrupt("the file has another size");
  if (!is_file_of(*record, st)) return corrupt("the file was touched since it was verified");
  return OpenBlob(std::move(file), record->size, std::move(lease));
}

std::optional<BlobRecord> LocalStore::find_blob(const base::Digest& digest) const {
  return IndexView(core_->index->read()).blob(digest);
}

std::optional<ManifestRecord> LocalStore::find_manifest(const base::Digest& digest) const {
  auto manifest = IndexView(core_->index->read()).manifest(digest);
  if (!manifest) return std::nullopt;
  return std::move(manifest->record);
}

std::optional<TagRecord> LocalStore::find_tag(std::string_view repository, std::string_view tag) const {
  return IndexView(core_->index->read()).tag(repository, tag);
}

std::optional<LinkRecord> LocalStore::find_link(std::string_view repository, const base::Digest& digest) const {
  const auto link = IndexView(core_->index->read()).link(repository, digest);
  if (!link) return std::nullopt;
  return link->record;
}

std::optional<base::WallTime> LocalStore::find_absent(std::string_view repository, std::string_view reference) const {
  return IndexView(core_->index->read()).absent(repository, reference);
}

std::optional<std::string> LocalStore::find_state(std::string_view key) const {
  return IndexView(core_->index->read()).state(key);
}

Store::States LocalStore::list_states(std::string_view prefix, std::string_view last, std::size_t limit) const {
  return IndexView(core_->index->read()).states(prefix, last, limit);
}

std::vector<std::string> LocalStore::list_repositories(std::string_view last, std::size_t limit) const {
  return IndexView(core_->index->read()).repositories(last, limit);
}

std::vector<std::pair<std::string, TagRecord>> LocalStore::list_tags(std::string_view repository, std::string_view last,
                                                                     std::size_t limit) const {
  return IndexView(core_->index->read()).tags(repository, last, limit);
}

std::vector<std::pair<base::Digest, BlobRecord>> LocalStore::list_blobs(const std::optional<base::Digest>& last,
                                                                        std::size_t limit) const {
  return IndexView(core_->index->read()).blobs(last, limit);
}

std::vector<base::Digest> LocalStore::list_manifests(const std::optional<base::Digest>& last, std::size_t limit) const {
  return IndexView(core_->index->read()).manifests(last, limit);
}

Usage LocalStore::usage() const {
  tick();
  Usage usage;
  const auto space = core_->space.use();
  usage.blob_bytes = space.blob_bytes;
  usage.blobs = core_->stats.blobs;
  usage.fill_bytes = space.fill_bytes;
  usage.manifests = core_->stats.manifests;
  usage.tags = core_->stats.tags;
  usage.index_used = core_->stats.used_bytes;
  usage.index_size = core_->index->map_size();
  usage.free_bytes = space.free_bytes;
  usage.room_bytes = core_->space.room(core_->stats.pinned_bytes);
  usage.evicted_blobs = core_->evictor.evicted_blobs();
  usage.evicted_bytes = core_->evictor.evicted_bytes();
  usage.quarantined = core_->quarantine.taken();
  usage.read_errors = core_->unreadable.errors();
  usage.write_errors = core_->health.write_errors();
  usage.read_only = core_->health.read_only();
  usage.read_only_reason = core_->health.reason();
  return usage;
}

void LocalStore::commit(std::vector<Write> writes, base::Executor& on,
                        base::UniqueFunction<void(base::Result<void>)> done) {
  auto finish = [on = &on, done = std::move(done)](base::Result<void> result) mutable {
    if (!done) return;
    on->post([done = std::move(done), result = std::move(result)]() mutable { done(std::move(result)); });
  };
  if (auto checked = check_writes(writes); !checked.ok()) return finish(checked);
  tick();
  std::size_t bytes = 0;
  bool removes = false;
  for (const auto& write : writes) {
    bytes += approximate_bytes(write);
    removes = removes || std::holds_alternative<RemoveRepository>(write);
  }
  // Filled on the writer's thread, read behind the commit.
  auto unshown = std::make_shared<std::vector<base::Digest>>();
  core_->writer->submit({[writes = std::move(writes), unshown](IndexEdit& edit) {
                           unshown->clear();
                           for (const auto& write : writes) edit.apply(write, *unshown);
                         },
                         std::move(finish), bytes});
  if (removes) core_->post_disk([unshown](Core& core) { remove_unshown(core, *unshown); });
}

// The blobs that only a removed repository showed go from the disk at once. On the disk executor.
void LocalStore::remove_unshown(Core& core, const std::vector<base::Digest>& unshown) {
  const auto behind = core.writer->submit_and_wait([](IndexEdit&) {});
  if (!behind.ok()) return;  // the commit itself tells
  for (const auto& digest : unshown) {
    std::optional<BlobRecord> record;
    {
      const auto txn = core.index->read();
      const IndexView view(txn);
      if (!view.has_holder(digest)) record = view.blob(digest);
    }
    if (record && !is_kept(*record)) (void)drop_blob(core, digest, *record);  // in use: eviction's first choice
  }
}

void LocalStore::touch_blob(const base::Digest& digest) {
  core_->touches.add(digest, core_->clock.wall_now());
  tick();
}

void LocalStore::touch_manifest(const base::Digest& digest) { touch_blob(digest); }

base::Result<std::unique_ptr<FillFile>> LocalStore::begin_fill(const base::Digest& digest, base::Loop& loop) {
  tick();
  auto slot = core_->fills.begin(digest, core_->disk);
  if (slot == nullptr) {
    return base::Error(base::ErrorKind::busy, "a fill of it runs already").at("fill", digest.to_string());
  }
  return std::unique_ptr<FillFile>(std::make_unique<LocalFill>(core_, std::move(slot), loop));
}

Admission LocalStore::would_admit(std::uint64_t size) {
  tick();
  if (core_->health.read_only()) return Admission::pass_through;
  if (!core_->space.can_ever_fit(size, core_->stats.pinned_bytes)) {
    core_->tell_not_kept(base::format("there is no room for {} bytes", size));
    return Admission::pass_through;
  }
  return Admission::keep;
}

Admission LocalStore::admit(std::uint64_t size) {
  const auto admission = would_admit(size);
  // The size is a claim so far, perhaps a hostile manifest's: a claim alone must not empty the cache. The rest goes as
  // bytes arrive.
  if (admission == Admission::keep) core_->evictor.kick(std::min(size, kEvictAheadAtMost));
  return admission;
}

void LocalStore::set_limits(const StoreOptions& options) {
  core_->space.set_limits(limits_of(options));
  core_->evictor.kick(0);
}

ScrubReport LocalStore::scrub(std::uint64_t max_bytes) {
  const Gate::Pass pass(core_->gate);
  return pass ? core_->scrubber.step(max_bytes) : ScrubReport{.whole = true};
}

base::Result<BlobRecord> LocalStore::find_removable(const base::Digest& digest) const {
  const ReadWatch reads(*this);
  auto record = find_blob(digest);
  if (!record) {
    auto why = reads.failed() ? unreadable_index() : base::Error(base::ErrorKind::not_found, "no such blob");
    return why.at("remove", digest.to_string());
  }
  if (is_kept(*record)) {
    return base::Error(base::ErrorKind::busy, record->pinned ? "it is pinned" : "a hosted repository shows it")
        .at("remove", digest.to_string());
  }
  if (core_->guard->in_use(digest)) {
    return base::Error(base::ErrorKind::busy, "it is in use").at("remove", digest.to_string());
  }
  if (core_->health.read_only()) return core_->health.error();
  return *record;
}

base::Result<void> LocalStore::remove_blob(const base::Digest& digest) {
  const auto record = find_removable(digest);
  if (!record) return record.error();
  if (!drop_blob(*core_, digest, *record)) {  // somebody came meanwhile
    return base::Error(base::ErrorKind::busy, "it is in use").at("remove", digest.to_string());
  }
  return core_->writer->submit_and_wait([](IndexEdit&) {});  // behind the record's removal
}

}  // namespace shoal::store
