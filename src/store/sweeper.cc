#include "sweeper.h"

#include <algorithm>

#include "core.h"

namespace shoal::store {
namespace {

constexpr auto kSampleEvery = std::chrono::seconds(1);
constexpr auto kSweepEvery = std::chrono::hours(1);
constexpr auto kOrphanAge = std::chrono::hours(1);
constexpr std::size_t kMaxFills = 100'000;
constexpr int kEntriesPerStep = 256;
constexpr base::HashAlgorithm kAlgorithms[] = {base::HashAlgorithm::sha256, base::HashAlgorithm::sha512};
constexpr unsigned kShards = 256 * 2;

}  // namespace

Sweeper::~Sweeper() {
  if (dir_ != nullptr) (void)::closedir(dir_);  // read side
}

void Sweeper::start(base::SteadyTime now) {
  (void)due(next_sweep_, now, kSweepEvery);  // the first one is in an hour
  core_.post_disk([](Core& core) {
    core.sweeper.remove_old_fills();
    (void)core.uploads.sweep();  // how many: of interest to the collector
  });
}

bool Sweeper::due(std::atomic<std::int64_t>& next, base::SteadyTime now, base::SteadyTime::duration interval) {
  auto at = next.load(std::memory_order_relaxed);
  const auto now_count = now.time_since_epoch().count();
  return now_count >= at && next.compare_exchange_strong(at, now_count + interval.count());
}

void Sweeper::tick(base::SteadyTime now) {
  core_.write_trial.tick(now);
  if (due(next_sample_, now, kSampleEvery)) {
    core_.post_disk([](Core& core) {
      core.sweeper.sample_free();
      core.evictor.kick();
    });
  }
  if (due(next_sweep_, now, kSweepEvery)) {
    core_.post_disk([](Core& core) {
      core.sweeper.remove_old_fills();
      (void)core.uploads.sweep();  // how many: of interest to the collector
    });
    if (!sweeping_.exchange(true)) core_.post_disk([](Core& core) { core.sweeper.sweep_orphans(); });
  }
}

void Sweeper::sample_free() {
  const auto free = core_.files->free_bytes(core_.layout.root());
  if (free.ok()) core_.space.sample_free(*free);
}

void Sweeper::remove_old_fills() {
  const auto oldest = core_.files->now() - core_.options.fill_max_age;
  for (const auto& file : list_files(core_.layout.fills_dir(), kMaxFills)) {
    if (file.changed < oldest) (void)remove_fill(file.name);  // in use: the next sweep looks again
  }
}

std::uint64_t Sweeper::remove_oldest_fill() {
  auto files = list_files(core_.layout.fills_dir(), kMaxFills);
  std::sort(files.begin(), files.end(), [](const DirEntry& a, const DirEntry& b) { return a.changed < b.changed; });
  for (const auto& file : files) {
    if (const auto bytes = remove_fill(file.name); bytes > 0) return bytes;
  }
  return 0;
}

std::uint64_t Sweeper::remove_fill(const std::string& name) {
  const auto digest = parse_content_name(name);
  if (!digest || !core_.guard->begin_removal(*digest)) return 0;
  const auto path = core_.layout.fill(*digest);
  const auto st = core_.files->stat(path);
  std::uint64_t bytes = 0;
  if (st.ok() && core_.files->remove(path).ok()) {
    bytes = static_cast<std::uint64_t>(st->st_size);
    core_.space.give_back(bytes);
  }
  core_.guard->end_removal(*digest);
  return bytes;
}

// Sure to have none: an index that cannot be read says nothing.
bool Sweeper::has_no_record(const base::Digest& digest) const {
  const auto txn = core_.index->read();
  return txn.ok() && !IndexView(txn).blob(digest);
}

// Blob files without a record: a crash between the move and the commit, or a failed unlink. They waste space that
// nothing counts; a fill of that digest would adopt them. Without an index to ask, every file would look like one.
void Sweeper::sweep_orphans() {
  if (core_.health.read_only()) {
    if (dir_ != nullptr) (void)::closedir(std::exchange(dir_, nullptr));  // read side
    sweeping_ = false;
    return;
  }
  const auto algorithm = kAlgorithms[shard_ / 256];
  if (dir_ == nullptr) dir_ = ::opendir(core_.layout.shard_dir(algorithm, shard_).c_str());
  bool at_end = dir_ == nullptr;
  const auto newest = core_.files->now() - kOrphanAge;
  for (int i = 0; i < kEntriesPerStep && !at_end; ++i) {
    const dirent* entry = ::readdir(dir_);
    at_end = entry == nullptr;
    if (at_end) break;
    const auto digest = parse_content_name(entry->d_name);
    if (!digest || !has_no_record(*digest)) continue;
    if (!core_.guard->begin_removal(*digest)) continue;
    const auto path = core_.layout.blob(*digest);
    const auto st = core_.files->stat(path);
    // Look again: it may have been published before the removal was granted.
    if (st.ok() && changed_at(*st) < newest && has_no_record(*digest)) {
      const auto removed = core_.files->remove(path);
      if (removed.ok()) obs::info(obs::Category::store, "removed a blob file without a record: {}", path);
    }
    core_.guard->end_removal(*digest);
  }
  if (at_end) {
    if (dir_ != nullptr) (void)::closedir(std::exchange(dir_, nullptr));  // read side
    if (++shard_ == kShards) {
      shard_ = 0;
      sweeping_ = false;
      return;
    }
  }
  core_.post_disk([](Core& core) { core.sweeper.sweep_orphans(); });
}

}  // namespace shoal::store
