// Core: what the parts of the store share. Kept alive by the Store and by disk work that still runs; the Store closes
// it first (close()), so that late work finds the gate shut and touches nothing.
#pragma once

#include <array>
#include <atomic>
#include <memory>

#include "collect_shield.h"
#include "collector.h"
#include "doubtful.h"
#include "evictor.h"
#include "file_ops.h"
#include "fill_registry.h"
#include "gate.h"
#include "guard.h"
#include "health.h"
#include "index_writer.h"
#include "layout.h"
#include "lmdb_index.h"
#include "quarantine.h"
#include "scrubber.h"
#include "shoal/store/store.h"
#include "space.h"
#include "sweeper.h"
#include "touches.h"
#include "unreadable.h"
#include "upload_publisher.h"
#include "upload_registry.h"
#include "write_trial.h"

namespace shoal::store {

struct Core : std::enable_shared_from_this<Core> {
  Core(StoreOptions opts, base::Executor& disk_executor, base::Clock& wall, std::shared_ptr<FileOps> file_ops,
       obs::EventSink& sink);

  // Runs `work(core)` on the disk executor unless the store closes before.
  template <class F>
  void post_disk(F work) {
    post_on(disk, std::move(work));
  }
  template <class F>
  void post_on(base::Executor& executor, F work) {
    executor.post([self = shared_from_this(), work = std::move(work)]() mutable {
      const Gate::Pass pass(self->gate);
      if (pass) work(*self);
    });
  }
  // The directory a blob goes to, there and synced.
  [[nodiscard]] base::Result<void> make_blob_dir(const base::Digest& digest);
  std::atomic<bool>& shard_is_made(const base::Digest& digest) {
    return shard_made[static_cast<std::size_t>(digest.algorithm())][digest.bytes()[0]];
  }
  void close();  // waits for the disk work that runs, commits what waits, closes the index
  void report_unreadable(const base::Digest& digest, const base::File& file, const base::Error& why);  // any thread
  // Tells the log that a blob is passed on without being kept; at most every ten minutes. Any thread.
  void tell_not_kept(std::string_view why);
  void tell_not_taken(std::string_view why);  // the same of pushes
  void tell_no_room(std::string_view what, std::string_view why, std::atomic<std::int64_t>& quiet_until_s);

  const StoreOptions options;
  const Layout layout;
  base::Executor& disk;
  base::Clock& clock;
  obs::EventSink& events;
  const std::shared_ptr<FileOps> files;
  const base::WallTime opened_at = files->now();                   // by the clock that stamps files
  std::unique_ptr<base::File> lock;                                // flock on LOCK
  const std::shared_ptr<Guard> guard = std::make_shared<Guard>();  // leases outlive the store
  Space space;
  Health health;
  Touches touches;
  Unreadable unreadable;
  IndexStats stats;
  Gate gate;
  Quarantine quarantine;
  Doubtful doubtful;
  FillRegistry fills;
  UploadRegistry uploads;
  UploadPublisher publisher;
  CollectShield shield;
  Collector collector;
  Evictor evictor;
  Scrubber scrubber;
  Sweeper sweeper;
  WriteTrial write_trial;
  std::array<std::array<std::atomic<bool>, 256>, 3> shard_made{};  // blob directory exists and is synced
  std::unique_ptr<LmdbIndex> index;
  std::unique_ptr<IndexWriter> writer;  // after the index it writes
  // Of tell_not_kept and tell_not_taken, in Unix time.
  std::atomic<std::int64_t> not_kept_quiet_until_s{0}, not_taken_quiet_until_s{0};
};

// A record, and the file it is about, which can be read as far as is known. Hold a lease, the right to publish or to
// remove, else it may go the next moment. An error: nobody knows (the index, or the file, cannot be looked at), and
// what is there must stay as it is.
[[nodiscard]] base::Result<bool> is_sound_blob(Core& core, const base::Digest& digest);

// What Space counts for the blob's record, whether its file is there or somebody took it away. Under the right to
// publish, for whoever renames another file over it and commits another record.
[[nodiscard]] std::uint64_t counted_bytes(Core& core, const base::Digest& digest);

// A directory that could not be opened for want of descriptors was not synced, but nothing of it is in doubt either.
[[nodiscard]] inline bool not_tried(const base::Error& error) { return error.kind() == base::ErrorKind::busy; }

// Deletes the blob's file now and its record with the next commit. False: in use or hosted, or its file cannot be
// removed.
// On the disk executor; does not wait for the commit.
// Also false: the index cannot be read, so that nothing is known of who needs the blob.
[[nodiscard]] bool drop_blob(Core& core, const base::Digest& digest, const BlobRecord& record);
// After the commit that was to take the record away, once the file is gone. If it failed, the record stays, and with it
// what Space counts.
void end_removal(Core& core, const base::Digest& digest, const BlobRecord& record, const base::Result<void>& committed);
// Several, whose records go together: how many went, and their bytes.
struct Unlinked;
struct Dropped {
  std::uint64_t blobs = 0;
  std::uint64_t bytes = 0;
};
Dropped drop_blobs(Core& core, const std::vector<Unlinked>& blobs);

[[nodiscard]] SpaceLimits limits_of(const StoreOptions& options);

}  // namespace shoal::store
