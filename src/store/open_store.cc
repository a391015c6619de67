#include "open_store.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

#include "local_store.h"

namespace shoal::store {
namespace {

constexpr std::size_t kMaxFillsCounted = 100'000;

base::Result<void> make_layout(const Layout& layout, FileOps& files) {
  std::error_code parents;  // what could not be made shows below
  std::filesystem::create_directories(std::filesystem::path(layout.root()).parent_path(), parents);
  for (const auto& dir : {layout.root(), layout.index_dir(), layout.blobs_dir(), layout.fills_dir(),
                          layout.uploads_dir(), layout.quarantine_dir()}) {
    if (auto made = files.make_dir(dir); !made.ok()) return made;
  }
  return {};
}

base::Result<std::unique_ptr<base::File>> lock_directory(const Layout& layout) {
  auto file = std::make_unique<base::File>(::open(layout.lock_file().c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0640));
  if (file->fd() < 0) return base::from_errno(errno, "open", layout.lock_file());
  if (::flock(file->fd(), LOCK_EX | LOCK_NB) != 0) {
    if (errno == EWOULDBLOCK) {
      return base::Error(base::ErrorKind::busy, "the directory is in use by another process");
    }
    return base::from_errno(errno, "lock", layout.lock_file());
  }
  return file;
}

base::Result<void> check_format(const Layout& layout, FileOps& files) {
  const auto path = layout.format_file();
  const base::File existing(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (existing.fd() >= 0) {
    char line[64];
    const ssize_t n = ::read(existing.fd(), line, sizeof line);
    const std::string_view found(line, n < 0 ? 0 : static_cast<std::size_t>(n));
    if (found == kFormatLine) return {};
    if (!found.empty()) {  // empty: cut off while it was made
      return base::Error(base::ErrorKind::invalid, "the directory has a layout this version does not know");
    }
  } else if (errno != ENOENT) {
    return base::from_errno(errno, "open", path);
  }
  auto created = files.create(path);
  if (!created.ok()) return created.error();
  if (auto r = files.write(**created, kFormatLine, 0); !r.ok()) return r.error().at("write", path);
  if (auto r = files.sync(**created); !r.ok()) return r.error().at("write", path);
  return files.sync_dir(layout.root());
}

base::Result<void> prepare(Core& core) {
  auto& files = *core.files;
  if (auto r = make_layout(core.layout, files); !r.ok()) return r;
  auto lock = lock_directory(core.layout);
  if (!lock.ok()) return lock.error();
  core.lock = std::move(lock).value();
  if (auto r = check_format(core.layout, files); !r.ok()) return r;
  files.watch_filesystem(core.layout.root());
  core.health.set_may_recover(files.stops_itself(core.layout.root()));
  auto index = LmdbIndex::open(core.layout.index_dir(), core.options.index_size);
  if (!index.ok()) return index.error();
  core.index = std::move(index).value();
  {
    const auto txn = core.index->read();
    const auto totals = IndexView(txn).totals();
    core.stats.take(totals, txn.used_bytes());
    core.space.add_blob(totals.blob_bytes);
  }
  for (const auto& file : list_files(core.layout.fills_dir(), kMaxFillsCounted)) core.space.add_fill(file.size);
  core.uploads.load();
  core.sweeper.sample_free();
  core.writer = std::make_unique<IndexWriter>(*core.index, files, core.clock, core.touches, core.health, core.stats);
  return {};
}

}  // namespace

base::Result<std::shared_ptr<Core>> open_core(StoreOptions options, base::Executor& disk, base::Clock& clock,
                                              std::shared_ptr<FileOps> files, obs::EventSink& events) {
  auto core = std::make_shared<Core>(std::move(options), disk, clock, std::move(files), events);
  if (auto prepared = prepare(*core); !prepared.ok()) return prepared.error().at("open store", core->options.path);
  core->sweeper.start(clock.steady_now());
  core->evictor.kick();
  return core;
}

base::Result<std::unique_ptr<Store>> open_store(StoreOptions options, base::Executor& disk, base::Clock& clock,
                                                std::shared_ptr<FileOps> files, obs::EventSink& events) {
  auto core = open_core(std::move(options), disk, clock, std::move(files), events);
  if (!core.ok()) return core.error();
  return std::unique_ptr<Store>(std::make_unique<LocalStore>(std::move(core).value()));
}

base::Result<std::unique_ptr<Store>> Store::open(StoreOptions options, base::Executor& disk, base::Clock& clock,
                                                 obs::EventSink& events) {
  return open_store(std::move(options), disk, clock, real_file_ops(), events);
}

}  // namespace shoal::store
