#include "write_trial.h"

#include "core.h"

namespace shoal::store {
namespace {

constexpr base::SteadyTime::duration kEvery = std::chrono::seconds(30);
constexpr unsigned kTellEvery = 20;  // failed trials
constexpr std::size_t kBytes = 64 * 1024;

}  // namespace

void WriteTrial::tick(base::SteadyTime now) {
  if (!core_.health.read_only()) return;
  const auto next = (now + kEvery).time_since_epoch().count();
  std::int64_t at = next_.load(std::memory_order_relaxed);
  if (at == 0) {
    (void)next_.compare_exchange_strong(at, next);  // lost: another thread has seen it too
    return;
  }
  if (now.time_since_epoch().count() < at || !next_.compare_exchange_strong(at, next)) return;
  if (running_.exchange(true)) return;
  core_.post_disk([](Core& core) { core.write_trial.run(); });
}

void WriteTrial::run() {
  auto result = write();
  if (result.ok()) result = core_.writer->try_again();
  if (result.ok()) {
    failed_ = 0;
    next_ = 0;
    core_.health.write_again();
    core_.evictor.kick();
  } else if (failed_++ % kTellEvery == 0) {
    obs::warn(obs::Category::store, "the store stays read-only: {}", result.error().message());
  }
  running_ = false;
}

base::Result<void> WriteTrial::write() const {
  auto& files = *core_.files;
  const auto path = core_.layout.trial_file();
  const auto file = files.create(path);
  if (!file.ok()) return file.error();
  auto done = files.write(**file, std::string(kBytes, 'x'), 0);
  if (done.ok()) done = files.sync(**file);
  const auto removed = files.remove(path);
  if (done.ok()) done = removed;
  if (!done.ok()) return done.error().at("write", path);
  return sync_all();
}

// Whatever is open is told once of what could not be written to it, and a file that nobody had open then tells who
// opens it first. So a first error may be about the past; left there, it would be the next publication's.
base::Result<void> WriteTrial::sync_all() const {
  auto& files = *core_.files;
  const auto& root = core_.layout.root();
  auto done = files.sync_filesystem(root);
  if (!done.ok()) done = files.sync_filesystem(root);
  for (const auto& directory : core_.layout.directories()) {
    if (!done.ok()) break;
    if (!files.stat(directory).ok()) continue;  // not made yet
    done = files.sync_dir(directory);
    if (!done.ok()) done = files.sync_dir(directory);
  }
  return done;
}

}  // namespace shoal::store
