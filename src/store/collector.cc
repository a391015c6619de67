#include "collector.h"

#include <unordered_map>

#include "collect_marks.h"
#include "core.h"
#include "hosted_edit.h"
#include "manifest_names.h"

namespace shoal::store {
namespace {

constexpr std::size_t kRowsPerStep = 1024;
constexpr std::size_t kRemovalsPerCommit = 256;
constexpr std::size_t kOpenPerStep = 512;          // digests looked into
constexpr std::size_t kBytesPerStep = 4ULL << 20;  // ... of manifests
constexpr int kMaxRetries = 64;                    // of a commit that pushes came before
constexpr std::size_t kMaxHolders = 100'000;
constexpr std::size_t kMaxShared = 1'000'000;  // a dry run counts a shared blob in each repository beyond that

}  // namespace

void CollectMarks::settle_some(const IndexView& view, const Txn& txn) {
  std::size_t looked = 0, bytes = 0;
  while (!open_.empty() && looked++ < kOpenPerStep && bytes < kBytesPerStep) {
    const auto digest = open_.back();
    open_.pop_back();
    const auto link = view.link(repository_, digest);
    if (!link || !link->manifest) continue;
    const auto manifest = view.manifest(digest);
    if (!manifest) continue;
    bytes += manifest->record.bytes->size();
    for (const auto& named : named_by(*manifest->record.bytes)) add(named);
    const auto prefix = format::subject_prefix(repository_, digest);
    auto cursor = txn.cursor(Table::referrers);
    for (bool more = cursor.seek(prefix); more && cursor.key().starts_with(prefix); more = cursor.next()) {
      if (const auto referrer = format::parse_digest_key(cursor.key().substr(prefix.size()))) add(*referrer);
    }
  }
}

class CollectRound : public std::enable_shared_from_this<CollectRound> {
 public:
  CollectRound(Core& core, GcOptions options, Collector::Answer answer)
      : core_(core), options_(options), cutoff_(core.clock.wall_now() - options.grace), answer_(std::move(answer)) {}

  void post(void (CollectRound::*step)()) {
    core_.post_disk([self = shared_from_this(), step](Core&) { ((*self).*step)(); });
  }
  void next_repository();

 private:
  struct Garbage {
    base::Digest digest;
    bool manifest = false;
  };
  void mark_tags();
  void mark_links();
  void settle();
  void sweep();
  [[nodiscard]] std::vector<Garbage> garbage_of(const Txn& txn);
  [[nodiscard]] bool is_garbage(const base::Digest& digest, const format::StoredLink& link) const;
  void count_only(const Txn& txn, const std::vector<Garbage>& garbage);
  void remove();
  void settle_pushed();
  void count(const Garbage& garbage);
  void end_repository();
  void sweep_unlinked();
  void sweep_uploads();
  void end(base::Result<GcReport> result);

  Core& core_;
  const GcOptions options_;
  const base::WallTime cutoff_;  // younger links stay
  Collector::Answer answer_;
  GcReport report_;
  std::string repository_;
  std::unique_ptr<CollectMarks> marks_;
  std::vector<Garbage> garbage_;
  std::string from_;         // where the walk goes on
  bool links_seen_ = false;  // every root is marked
  int retries_ = 0;
  std::unordered_map<base::Digest, std::uint32_t> shared_;  // dry run: garbage links of blobs that others show too
};

void Collector::start(GcOptions options, Answer answer) {
  if (running_.exchange(true)) {
    return answer(base::Error(base::ErrorKind::busy, "a garbage collection is running"));
  }
  if (core_.health.read_only()) {
    running_ = false;
    return answer(core_.health.error());
  }
  std::make_shared<CollectRound>(core_, options, std::move(answer))->post(&CollectRound::next_repository);
}

void CollectRound::next_repository() {
  {
    const auto txn = core_.index->read();
    auto cursor = txn.cursor(Table::hosted);
    bool more = cursor.seek(repository_);
    if (more && cursor.key() == repository_) more = cursor.next();
    if (!more) {
      from_.clear();
      return post(&CollectRound::sweep_unlinked);
    }
    repository_ = cursor.key();
  }
  ++report_.repositories;
  marks_ = std::make_unique<CollectMarks>(repository_);
  links_seen_ = false;
  retries_ = 0;
  from_ = format::repository_prefix(repository_);
  if (!options_.dry_run) {
    // From this transaction on, pushes to it are noted; all before are seen by the reads that follow.
    const auto begun = core_.writer->submit_and_wait([this](IndexEdit&) { core_.shield.begin(repository_); });
    if (!begun.ok()) return end(begun.error());
  }
  post(options_.untagged ? &CollectRound::mark_tags : &CollectRound::mark_links);
}

void CollectRound::mark_tags() {
  const auto prefix = format::repository_prefix(repository_);
  {
    const auto txn = core_.index->read();
    auto cursor = txn.cursor(Table::tags);
    std::size_t rows = 0;
    for (bool more = cursor.seek(from_); more && cursor.key().starts_with(prefix); more = cursor.next()) {
      from_ = cursor.key();
      if (rows++ == kRowsPerStep) return post(&CollectRound::mark_tags);
      if (const auto tag = format::decode_tag(cursor.value())) marks_->add(tag->digest);
    }
  }
  from_ = prefix;
  post(&CollectRound::mark_links);
}

// Every manifest; or those that are young or pinned.
void CollectRound::mark_links() {
  const auto prefix = format::repository_prefix(repository_);
  {
    const auto txn = core_.index->read();
    const IndexView view(txn);
    auto cursor = txn.cursor(Table::links);
    std::size_t rows = 0;
    for (bool more = cursor.seek(from_); more && cursor.key().starts_with(prefix); more = cursor.next()) {
      from_ = cursor.key();
      if (rows++ == kRowsPerStep) return post(&CollectRound::settle);
      const auto link = format::decode_link(cursor.value());
      const auto digest = format::parse_digest_key(cursor.key().substr(prefix.size()));
      if (!link || !digest || !link->manifest) continue;
      if (options_.untagged && link->stored < cutoff_) {
        const auto manifest = view.manifest(*digest);
        if (!manifest || !manifest->pinned) continue;
      }
      marks_->add(*digest);
    }
  }
  links_seen_ = true;
  from_ = prefix;
  post(&CollectRound::settle);
}

void CollectRound::settle() {
  {
    const auto txn = core_.index->read();
    marks_->settle_some(IndexView(txn), txn);
  }
  if (!marks_->settled()) return post(&CollectRound::settle);
  post(links_seen_ ? &CollectRound::sweep : &CollectRound::mark_links);
}

bool CollectRound::is_garbage(const base::Digest& digest, const format::StoredLink& link) const {
  return link.record.hosted && link.stored < cutoff_ && !marks_->has(digest);
}

std::vector<CollectRound::Garbage> CollectRound::garbage_of(const Txn& txn) {
  std::vector<Garbage> garbage;
  const auto prefix = format::repository_prefix(repository_);
  auto cursor = txn.cursor(Table::links);
  std::size_t rows = 0;
  for (bool more = cursor.seek(from_); more && cursor.key().starts_with(prefix); more = cursor.next()) {
    from_ = cursor.key();
    if (rows++ == kRowsPerStep || garbage.size() == kRemovalsPerCommit) return garbage;
    const auto link = format::decode_link(cursor.value());
    const auto digest = format::parse_digest_key(cursor.key().substr(prefix.size()));
    if (link && digest && is_garbage(*digest, *link)) garbage.push_back({*digest, link->manifest});
  }
  from_.clear();  // the end
  return garbage;
}

void CollectRound::sweep() {
  {
    const auto txn = core_.index->read();
    garbage_ = garbage_of(txn);
    if (options_.dry_run) count_only(txn, garbage_);
  }
  if (!options_.dry_run && !garbage_.empty()) return remove();
  post(from_.empty() ? &CollectRound::end_repository : &CollectRound::sweep);
}

void CollectRound::count(const Garbage& garbage) {
  if (garbage.manifest) {
    ++report_.manifests_removed;
  } else {
    ++report_.links_removed;
  }
}

// The file goes with the last link: so a shared one counts when all of its links were found to be garbage.
void CollectRound::count_only(const Txn& txn, const std::vector<Garbage>& garbage) {
  const IndexView view(txn);
  for (const auto& link : garbage) {
    count(link);
    const auto blob = view.blob(link.digest);
    if (!blob || blob->pinned) continue;
    const auto holders = view.holders(link.digest, kMaxHolders).size();
    if (holders > 1 && shared_.size() < kMaxShared && ++shared_[link.digest] < holders) continue;
    ++report_.blobs_removed;
    report_.bytes_freed += blob->size;
  }
}

// Runs again with the same garbage when pushes came before it that have to be looked into first.
void CollectRound::remove() {
  std::vector<Garbage> removed;
  std::vector<Unlinked> unlinked;
  bool too_much = false;
  const auto committed = core_.writer->submit_and_wait([&](IndexEdit& edit) {
    removed.clear();
    unlinked.clear();
    for (const auto& digest : core_.shield.take()) marks_->add(digest);
    marks_->settle_some(edit.view(), edit.txn());
    too_much = !marks_->settled();
    if (too_much) return;
    for (const auto& candidate : garbage_) {
      const auto link = edit.view().link(repository_, candidate.digest);
      if (!link || !is_garbage(candidate.digest, *link)) continue;
      removed.push_back({candidate.digest, link->manifest});
      unlink_content(edit, repository_, candidate.digest, unlinked);
    }
  });
  if (!committed.ok()) return end(committed.error());
  if (too_much) {
    // A repository that is pushed to so fast is left for the next round.
    return post(++retries_ > kMaxRetries ? &CollectRound::end_repository : &CollectRound::settle_pushed);
  }
  for (const auto& link : removed) count(link);
  for (const auto& blob : unlinked) {
    if (!drop_blob(core_, blob.digest, blob.record)) continue;  // in use: eviction's first choice
    ++report_.blobs_removed;
    report_.bytes_freed += blob.record.size;
  }
  post(from_.empty() ? &CollectRound::end_repository : &CollectRound::sweep);
}

void CollectRound::settle_pushed() {
  {
    const auto txn = core_.index->read();
    marks_->settle_some(IndexView(txn), txn);
  }
  post(marks_->settled() ? &CollectRound::remove : &CollectRound::settle_pushed);
}

void CollectRound::end_repository() {
  marks_.reset();
  if (!options_.dry_run) {
    const auto ended = core_.writer->submit_and_wait([this](IndexEdit&) { core_.shield.end(); });
    if (!ended.ok()) return end(ended.error());
  }
  post(&CollectRound::next_repository);
}

// Blobs that no repository shows any more, hosted or mirrored: they were in use when their last link went, or a crash
// came between the link and the file.
void CollectRound::sweep_unlinked() {
  std::vector<Unlinked> unlinked;
  bool more = false;
  {
    const auto txn = core_.index->read();
    const IndexView view(txn);
    auto cursor = txn.cursor(Table::blobs);
    std::size_t rows = 0;
    for (more = cursor.seek(from_); more; more = cursor.next()) {
      from_ = cursor.key();
      if (rows++ == kRowsPerStep) break;
      const auto record = format::decode_blob(cursor.value());
      const auto digest = format::parse_digest_key(cursor.key());
      if (!record || !digest || is_kept(*record) || record->last_use >= cutoff_ || view.has_holder(*digest)) continue;
      unlinked.push_back({*digest, *record});
    }
  }
  for (const auto& blob : unlinked) {
    if (!options_.dry_run && !drop_blob(core_, blob.digest, blob.record)) continue;  // in use
    ++report_.blobs_removed;
    report_.bytes_freed += blob.record.size;
  }
  post(more ? &CollectRound::sweep_unlinked : &CollectRound::sweep_uploads);
}

void CollectRound::sweep_uploads() {
  const auto abandoned = core_.uploads.count_abandoned();
  report_.uploads_removed = abandoned.sessions;
  report_.bytes_freed += abandoned.bytes;
  if (!options_.dry_run) (void)core_.uploads.sweep();  // those just counted
  end(report_);
}

void CollectRound::end(base::Result<GcReport> result) {
  if (!result.ok()) core_.writer->submit({[core = &core_](IndexEdit&) { core->shield.end(); }, {}});
  core_.collector.running_ = false;
  answer_(std::move(result));
}

}  // namespace shoal::store
