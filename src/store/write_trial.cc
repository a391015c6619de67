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
  if (done.ok()) done = sync_filesystem();
  if (!done.ok()) return done.error().at("write", path);
  return {};
}

// The kernel tells once of what it could not write since the last time, so the first answer may be about the past.
base::Result<void> WriteTrial::sync_filesystem() const {
  const auto first = core_.files->sync_filesystem(core_.layout.root());
  return first.ok() ? first : core_.files->sync_filesystem(core_.layout.root());
}

}  // namespace shoal::store
