#include "write_trial.h"

#include "core.h"

namespace shoal::store {
namespace {

constexpr base::SteadyTime::duration kEvery = std::chrono::seconds(30);
constexpr unsigned kTellEvery = 20;  // failed trials
constexpr std::size_t kBytes = 4096;

// A disk that is full is no reason to be read-only, and room is made only by a store that writes.
bool may_go_on(const base::Result<void>& done) { return done.ok() || done.error().kind() == base::ErrorKind::full; }

}  // namespace

void WriteTrial::tick(base::SteadyTime now) {
  if (!core_.health.read_only() || !core_.health.may_recover()) return;
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
  if (const auto done = attempt(); done.ok()) {
    failed_ = 0;
    next_ = 0;
    core_.uploads.end_refused();
    core_.evictor.kick();
  } else if (failed_++ % kTellEvery == 0) {
    obs::warn(obs::Category::store, "the store stays read-only: {}", done.error().message());
  }
  running_ = false;
}

base::Result<void> WriteTrial::attempt() {
  const auto epoch = core_.health.epoch();
  if (auto removed = core_.doubtful.remove_rest(); !removed.ok()) return removed;
  for (const auto& directory : core_.layout.directories()) {
    if (auto written = write_in(directory); !written.ok()) return written;
  }
  if (auto synced = sync_all(); !synced.ok()) return synced;
  if (auto committed = core_.writer->try_again(); !may_go_on(committed)) return committed;
  for (auto& algorithm : core_.shard_made) {
    for (auto& made : algorithm) made = false;  // nobody knows; synced again with the next blob
  }
  if (core_.health.write_again(epoch)) return {};
  return base::Error(base::ErrorKind::gone, "something failed during the trial");
}

base::Result<void> WriteTrial::write_in(const std::string& directory) const {
  auto& files = *core_.files;
  if (const auto st = files.stat(directory); !st.ok() && st.error().kind() == base::ErrorKind::not_found) return {};
  const auto path = Layout::trial_file(directory);
  const auto file = files.create(path);
  if (!file.ok()) {
    if (file.error().kind() == base::ErrorKind::full) return {};
    return file.error().at("write", path);
  }
  auto done = files.write(**file, std::string(kBytes, 'x'), 0);
  if (done.ok()) done = files.sync(**file);
  const auto removed = files.remove(path);
  if (may_go_on(done) && !removed.ok()) done = removed;
  if (!may_go_on(done)) return done.error().at("write", path);
  return {};
}

// Whatever is open is told once of what could not be written to it, and a file that nobody had open then tells who
// opens it first. So a first error may be about the past; left there, it would be the next publication's.
base::Result<void> WriteTrial::sync_all() const {
  auto& files = *core_.files;
  const auto& root = core_.layout.root();
  auto done = files.sync_filesystem(root);
  if (!done.ok()) done = files.sync_filesystem(root);
  if (!done.ok()) return done;
  auto directories = core_.layout.directories();
  const auto shards = core_.layout.shard_dirs();
  directories.insert(directories.end(), shards.begin(), shards.end());
  for (const auto& directory : directories) {
    if (const auto st = files.stat(directory); !st.ok() && st.error().kind() == base::ErrorKind::not_found) continue;
    done = files.sync_dir(directory);
    if (!done.ok()) done = files.sync_dir(directory);
    if (!done.ok()) return done;
  }
  return {};
}

}  // namespace shoal::store
