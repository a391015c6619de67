#include "index_writer.h"

#include <algorithm>
#include <chrono>

namespace shoal::store {
namespace {

constexpr std::size_t kMaxGroupJobs = 512;
constexpr std::size_t kMaxGroupBytes = 8ULL << 20;
constexpr std::size_t kMaxQueuedJobs = 100'000;
constexpr std::size_t kMaxQueuedBytes = 128ULL << 20;
constexpr auto kTouchInterval = std::chrono::seconds(4);
constexpr auto kTellEvery = std::chrono::minutes(1);
constexpr int kTrimRounds = 64;      // when the map is full
constexpr int kTrimRoundsAhead = 4;  // with each commit above the limit

bool is_full(const base::Result<void>& result) {
  return !result.ok() && result.error().kind() == base::ErrorKind::full;
}

}  // namespace

void IndexStats::take(const format::Totals& totals, std::uint64_t used) {
  blobs = totals.blobs;
  pinned_bytes = totals.pinned_bytes;
  manifests = totals.manifests;
  tags = totals.tags;
  used_bytes = used;
}

IndexWriter::IndexWriter(LmdbIndex& index, FileOps& files, base::Clock& clock, Touches& touches, Health& health,
                         IndexStats& stats)
    : index_(index),
      files_(files),
      clock_(clock),
      touches_(touches),
      health_(health),
      stats_(stats),
      trimmer_(index.map_size()),
      thread_([this] { run(); }) {}

IndexWriter::~IndexWriter() { stop(); }

void IndexWriter::submit(Job job) {
  std::optional<base::Error> refused;
  if (health_.read_only() && !job.trial) {
    refused = health_.error();
  } else {
    const std::lock_guard lock(mutex_);
    if (stopping_) {
      refused = base::Error(base::ErrorKind::cancelled, "the store is closing");
    } else if (queue_.size() >= kMaxQueuedJobs || queued_bytes_ + job.bytes > kMaxQueuedBytes) {
      refused = base::Error(base::ErrorKind::busy, "too many writes wait for the index");
    } else {
      queued_bytes_ += job.bytes;
      queue_.push_back(std::move(job));
    }
  }
  if (refused) {
    if (job.finished) job.finished(*refused);
    return;
  }
  work_.notify_one();
}

base::Result<void> IndexWriter::submit_and_wait(base::UniqueFunction<void(IndexEdit&)> apply) {
  return submit_and_wait(Job{std::move(apply), {}});
}

// The totals are written with every commit: it is one that writes.
base::Result<void> IndexWriter::try_again() {
  return submit_and_wait(Job{.apply = [](IndexEdit&) {}, .finished = {}, .trial = true});
}

base::Result<void> IndexWriter::submit_and_wait(Job job) {
  std::mutex mutex;
  std::condition_variable done;
  std::optional<base::Result<void>> answer;
  job.finished = [&mutex, &done, &answer](base::Result<void> result) {
    const std::lock_guard lock(mutex);
    answer = std::move(result);
    done.notify_one();  // under the lock: the waiter's stack must not go before
  };
  submit(std::move(job));
  std::unique_lock lock(mutex);
  done.wait(lock, [&answer] { return answer.has_value(); });
  return *answer;
}

void IndexWriter::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  work_.notify_one();
  if (thread_.joinable()) thread_.join();
}

void IndexWriter::run() {
  auto next_touch = std::chrono::steady_clock::now() + kTouchInterval;
  for (;;) {
    std::vector<Job> group;
    bool last = false;
    {
      std::unique_lock lock(mutex_);
      (void)work_.wait_until(lock, next_touch, [this] { return stopping_ || !queue_.empty(); });
      std::size_t bytes = 0;
      while (!queue_.empty() && group.size() < kMaxGroupJobs && bytes < kMaxGroupBytes) {
        bytes += queue_.front().bytes;
        queued_bytes_ -= queue_.front().bytes;
        group.push_back(std::move(queue_.front()));
        queue_.pop_front();
      }
      last = stopping_ && queue_.empty();
    }
    const bool touch_time = std::chrono::steady_clock::now() >= next_touch;
    if (touch_time) next_touch = std::chrono::steady_clock::now() + kTouchInterval;
    commit_group(std::move(group), touch_time || last);
    if (last) return;
  }
}

void IndexWriter::commit_group(std::vector<Job> group, bool with_touches) {
  const TouchMap touches = with_touches ? touches_.take() : TouchMap{};
  if (group.empty() && touches.empty()) return;
  const bool trial = health_.read_only();
  if (trial) {
    const auto first = std::stable_partition(group.begin(), group.end(), [](const Job& job) { return job.trial; });
    for (auto job = first; job != group.end(); ++job) {
      if (job->finished) job->finished(health_.error());
    }
    group.erase(first, group.end());
    if (group.empty()) return;
  }
  auto outcome = commit_once(group, touches);
  if (trial && !outcome.result.ok() && index_.write().failed()) {  // LMDB has given up
    outcome = {index_.reopen()};
    if (outcome.result.ok()) outcome = commit_once(group, touches);
  }
  if (is_full(outcome.result)) {
    make_room();
    outcome = commit_once(group, touches);
  }
  // One job that is too large, or looks at a damaged page, must not fail its neighbours.
  if ((is_full(outcome.result) && group.size() > 1) || (outcome.met_damage && group.size() + touches.size() > 1)) {
    for (auto& job : group) {
      std::vector<Job> alone;
      alone.push_back(std::move(job));
      commit_group(std::move(alone), false);
    }
    return;
  }
  if (!outcome.result.ok() && !others_may_succeed(outcome)) health_.turn_read_only(outcome.result.error());
  for (auto& job : group) {
    if (job.finished) job.finished(outcome.result);
  }
}

bool IndexWriter::others_may_succeed(const Outcome& failed) {
  const auto kind = failed.result.error().kind();
  // Busy: a trial that could not open the index anew beside its readers.
  if (kind == base::ErrorKind::full || kind == base::ErrorKind::busy) return true;
  std::vector<Job> none;
  if (!failed.met_damage || !commit_once(none, {}).result.ok()) return false;
  health_.write_failed(failed.result.error());
  if (const auto now = clock_.steady_now(); told_damage_ == base::SteadyTime{} || now - told_damage_ >= kTellEvery) {
    told_damage_ = now;
    obs::error(obs::Category::store,
               "a page of the index is damaged: a write that needs it was refused, others are taken");
  }
  return true;
}

IndexWriter::Outcome IndexWriter::commit_once(std::vector<Job>& group, const TouchMap& touches) {
  auto txn = index_.write();
  if (txn.failed()) return {txn.commit()};
  IndexEdit edit(txn, clock_.wall_now());
  for (auto& job : group) job.apply(edit);
  edit.touch(touches);
  for (int i = 0; i < kTrimRoundsAhead && trimmer_.wanted(txn); ++i) {
    if (trimmer_.trim(edit) == 0) break;
  }
  edit.save_totals();
  const auto used = txn.used_bytes();
  if (!txn.failed()) {
    if (auto allowed = files_.before_index_commit(); !allowed.ok()) return {allowed.error().at("commit index")};
  }
  const bool met_damage = txn.met_damage();
  auto result = txn.commit();
  if (result.ok()) {
    stats_.take(edit.totals(), used);
    ++stats_.transactions;
  }
  return {std::move(result), met_damage};
}

// The map is full although commits trim ahead: drop in transactions of their own, small first, because freeing pages
// takes some too, and pages freed by one transaction serve only later ones.
void IndexWriter::make_room() {
  std::size_t dropped = 0;
  for (int i = 0; i < kTrimRounds; ++i) {
    auto txn = index_.write();
    if (txn.failed()) return;
    IndexEdit edit(txn, clock_.wall_now());
    const auto count = trimmer_.trim(edit);
    if (count == 0) break;
    edit.save_totals();
    const auto used = txn.used_bytes();
    if (!txn.commit().ok()) break;
    stats_.take(edit.totals(), used);
    dropped += count;
    if (!trimmer_.wanted(index_.read())) break;
  }
  if (dropped > 0) obs::warn(obs::Category::store, "the index is full: dropped {} of its oldest entries", dropped);
}

}  // namespace shoal::store
