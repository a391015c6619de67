// IndexWriter: the one thread that writes the index. Takes what waits (bounded), applies it in one transaction, commits
// with one sync, then tells everyone. submit() from any thread. Never posts to the disk executor.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <vector>

#include "file_ops.h"
#include "health.h"
#include "index_edit.h"
#include "index_trimmer.h"
#include "lmdb_index.h"
#include "shoal/base/unique_function.h"
#include "touches.h"

namespace shoal::store {

// What the index holds as of the last commit; read by any thread.
struct IndexStats {
  std::atomic<std::uint64_t> blobs{0}, pinned_bytes{0}, manifests{0}, tags{0}, used_bytes{0}, transactions{0};
  void take(const format::Totals& totals, std::uint64_t used);
};

class IndexWriter {
 public:
  struct Job {
    base::UniqueFunction<void(IndexEdit&)> apply;             // may run again after a failed transaction
    base::UniqueFunction<void(base::Result<void>)> finished;  // once, on the writer's thread
    std::size_t bytes = 512;
    bool trial = false;  // also of a store that is read-only
  };

  IndexWriter(LmdbIndex& index, FileOps& files, base::Clock& clock, Touches& touches, Health& health,
              IndexStats& stats);
  ~IndexWriter();  // stop()

  void submit(Job job);  // a full queue answers ErrorKind::busy, a stopped writer ErrorKind::cancelled; at once
  [[nodiscard]] base::Result<void> submit_and_wait(base::UniqueFunction<void(IndexEdit&)> apply);
  [[nodiscard]] base::Result<void> try_again();  // a commit although the store is read-only; waits for it
  void stop();                                   // commits what waits and the touches, then ends the thread

 private:
  [[nodiscard]] base::Result<void> submit_and_wait(Job job);
  void run();
  struct Outcome {
    base::Result<void> result;
    bool met_damage = false;  // see WriteTxn
  };
  void commit_group(std::vector<Job> group, bool with_touches);
  [[nodiscard]] Outcome commit_once(std::vector<Job>& group, const TouchMap& touches);
  [[nodiscard]] bool others_may_succeed(const Outcome& failed);
  void make_room();

  LmdbIndex& index_;
  FileOps& files_;
  base::Clock& clock_;
  Touches& touches_;
  Health& health_;
  IndexStats& stats_;
  IndexTrimmer trimmer_;
  base::SteadyTime told_damage_{};

  std::mutex mutex_;
  std::condition_variable work_;
  std::deque<Job> queue_;
  std::size_t queued_bytes_ = 0;
  bool stopping_ = false;
  std::thread thread_;  // last: uses all of the above
};

}  // namespace shoal::store
