#include "collector.h"

#include "collect_dry_run.h"
#include "collect_marks.h"
#include "core.h"
#include "hosted_edit.h"

namespace shoal::store {
namespace {

constexpr std::size_t kRowsPerStep = 1024;
constexpr std::size_t kRemovalsPerCommit = 256;
constexpr int kMaxRetries = 64;  // of a commit that pushes came before
constexpr int kMaxDryRuns = 4;   // at once

// What is not found may be there then: nothing is garbage.
}  // namespace

class CollectRound : public std::enable_shared_from_this<CollectRound> {
 public:
  CollectRound(Core& core, base::Executor& on, GcOptions options, Collector::Answer answer)
      : core_(core),
        on_(on),
        options_(std::move(options)),
        cutoff_(core.clock.wall_now() - options_.grace),
        answer_(std::move(answer)) {
    if (options_.dry_run) dry_ = std::make_unique<CollectDryRun>(options_);
  }

  void post(void (CollectRound::*step)()) {
    core_.post_on(on_, [self = shared_from_this(), step](Core&) { ((*self).*step)(); });
  }
  void start();

 private:
  using Garbage = CollectGarbage;
  enum class Walk { more, done, failed };
  // Over the repository's rows from from_ on; from_ is then where to go on, or at their beginning.
  template <class F>
  [[nodiscard]] Walk walk(Table table, F each);
  [[nodiscard]] bool settle_some(CollectMarks& marks);  // false: the index cannot be read
  void next_repository();
  void begin_repository();
  void settle_led_to();
  void begin_marks();
  void find_released();
  void settle_released();
  void mark_tags();
  void mark_links();
  void settle();
  void sweep();
  [[nodiscard]] std::vector<Garbage> garbage_of(const Txn& txn);
  [[nodiscard]] bool may_go(const IndexView& view, const base::Digest& digest, const format::StoredLink& link) const;
  [[nodiscard]] bool is_garbage(const base::Digest& digest, const format::StoredLink& link) const;
  void remove();
  void drop(const std::vector<Unlinked>& unlinked);
  void settle_pushed();
  void count(const Garbage& garbage);
  void tell_removed(const Garbage& garbage);
  void end_repository();
  void sweep_unlinked();
  void sweep_uploads();
  void end(base::Result<GcReport> result);

  Core& core_;
  base::Executor& on_;
  const GcOptions options_;
  const base::WallTime cutoff_;  // younger links stay
  Collector::Answer answer_;
  GcReport report_;
  std::string repository_;
  std::unique_ptr<CollectMarks> marks_;
  std::unique_ptr<CollectMarks> released_;  // what retention let go, and what it leads to
  std::vector<Garbage> garbage_;
  std::string from_;         // where the walk goes on
  bool links_seen_ = false;  // every root is marked
  int retries_ = 0;
  std::unique_ptr<CollectDryRun> dry_;  // null: in earnest
};

void Collector::start(GcOptions options, base::Executor& on, Answer answer) {
  if (options.dry_run) {
    if (++dry_runs_ > kMaxDryRuns) {
      --dry_runs_;
      return answer(base::Error(base::ErrorKind::busy, "too many dry runs at once"));
    }
  } else if (running_.exchange(true)) {
    return answer(base::Error(base::ErrorKind::busy, "a garbage collection is running"));
  }
  std::make_shared<CollectRound>(core_, on, std::move(options), std::move(answer))->post(&CollectRound::start);
}

void CollectRound::start() {
  if (core_.health.read_only()) return end(core_.health.error());
  if (options_.only.empty()) return next_repository();
  const auto txn = core_.index->read();
  const bool hosted = txn.get(Table::hosted, options_.only).has_value();
  if (!txn.ok()) return end(unreadable_index());
  if (!hosted) return end(report_);
  repository_ = options_.only;
  post(&CollectRound::begin_repository);
}

void CollectRound::next_repository() {
  {
    const auto txn = core_.index->read();
    auto cursor = txn.cursor(Table::hosted);
    bool more = cursor.seek(repository_);
    if (more && cursor.key() == repository_) more = cursor.next();
    if (!txn.ok()) return end(unreadable_index());
    if (!more) {
      from_.clear();
      return post(&CollectRound::sweep_unlinked);
    }
    repository_ = cursor.key();
  }
  begin_repository();
}

void CollectRound::begin_repository() {
  if (dry_) {
    if (const auto begun = dry_->begin(repository_); !begun.ok()) return end(begun.error());
  }
  ++report_.repositories;
  marks_ = std::make_unique<CollectMarks>(repository_, dry_ ? &dry_->supposed().manifests : nullptr);
  released_ = std::make_unique<CollectMarks>(repository_);
  links_seen_ = false;
  retries_ = 0;
  from_ = format::repository_prefix(repository_);
  if (!dry_) {
    // From this transaction on, pushes to it are noted; all before are seen by the reads that follow.
    const auto begun = core_.writer->submit_and_wait([this](IndexEdit&) { core_.shield.begin(repository_); });
    if (!begun.ok()) return end(begun.error());
  }
  post(dry_ && dry_->led_to() != nullptr ? &CollectRound::settle_led_to : &CollectRound::begin_marks);
}

void CollectRound::settle_led_to() {
  if (!settle_some(*dry_->led_to())) return end(unreadable_index());
  post(dry_->led_to()->settled() ? &CollectRound::begin_marks : &CollectRound::settle_led_to);
}

void CollectRound::begin_marks() { post(options_.untagged ? &CollectRound::mark_tags : &CollectRound::find_released); }

template <class F>
CollectRound::Walk CollectRound::walk(Table table, F each) {
  const auto prefix = format::repository_prefix(repository_);
  const auto txn = core_.index->read();
  auto cursor = txn.cursor(table);
  std::size_t rows = 0;
  for (bool more = cursor.seek(from_); more && cursor.key().starts_with(prefix); more = cursor.next()) {
    from_ = cursor.key();
    if (rows++ == kRowsPerStep) return txn.ok() ? Walk::more : Walk::failed;
    each(IndexView(txn), cursor.key().substr(prefix.size()), cursor.value());
  }
  from_ = prefix;
  return txn.ok() ? Walk::done : Walk::failed;
}

bool CollectRound::settle_some(CollectMarks& marks) {
  const auto txn = core_.index->read();
  marks.settle_some(IndexView(txn), txn);
  return txn.ok();
}

void CollectRound::find_released() {
  const auto walked = walk(Table::links, [this](const IndexView&, std::string_view key, std::string_view value) {
    const auto link = format::decode_link(value);
    const auto digest = format::parse_digest_key(key);
    if (link && digest && link->released) released_->add(*digest);
  });
  if (walked == Walk::failed) return end(unreadable_index());
  if (walked == Walk::more) return post(&CollectRound::find_released);
  if (dry_) {
    for (const auto& [tag, digest] : dry_->supposed().tags) {
      if (!dry_->is_gone(digest)) released_->add(digest);  // what is removed releases nothing of its own
    }
  }
  post(released_->empty() ? &CollectRound::mark_links : &CollectRound::settle_released);
}

void CollectRound::settle_released() {
  if (!settle_some(*released_)) return end(unreadable_index());
  post(released_->settled() ? &CollectRound::mark_tags : &CollectRound::settle_released);
}

void CollectRound::mark_tags() {
  const auto walked = walk(Table::tags, [this](const IndexView&, std::string_view name, std::string_view value) {
    const auto tag = format::decode_tag(value);
    if (tag && !(dry_ && dry_->is_gone(name, tag->digest))) marks_->add(tag->digest);
  });
  if (walked == Walk::failed) return end(unreadable_index());
  post(walked == Walk::more ? &CollectRound::mark_tags : &CollectRound::mark_links);
}

// Without a tag of its own, that is, or something that stays and names it.
bool CollectRound::may_go(const IndexView& view, const base::Digest& digest, const format::StoredLink& link) const {
  if (dry_ && dry_->is_gone(digest)) return true;
  if (link.stored >= cutoff_ || (!options_.untagged && !released_->has(digest))) return false;
  const auto manifest = view.manifest(digest);
  return !manifest || !manifest->pinned;
}

// Every manifest but those that may go.
void CollectRound::mark_links() {
  const auto walked = walk(Table::links, [this](const IndexView& view, std::string_view key, std::string_view value) {
    const auto link = format::decode_link(value);
    const auto digest = format::parse_digest_key(key);
    if (link && digest && link->manifest && !may_go(view, *digest, *link)) marks_->add(*digest);
  });
  if (walked == Walk::failed) return end(unreadable_index());
  links_seen_ = walked == Walk::done;
  post(&CollectRound::settle);
}

void CollectRound::settle() {
  if (!settle_some(*marks_)) return end(unreadable_index());
  if (!marks_->settled()) return post(&CollectRound::settle);
  post(links_seen_ ? &CollectRound::sweep : &CollectRound::mark_links);
}

bool CollectRound::is_garbage(const base::Digest& digest, const format::StoredLink& link) const {
  if (dry_ && dry_->is_gone(digest)) return true;
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
    if (link && digest && is_garbage(*digest, *link)) {
      garbage.push_back({*digest, link->manifest});
    } else if (dry_) {
      dry_->link_stays();
    }
  }
  from_.clear();  // the end
  return garbage;
}

void CollectRound::sweep() {
  {
    const auto txn = core_.index->read();
    garbage_ = garbage_of(txn);
    if (dry_) dry_->count(IndexView(txn), garbage_, report_);
    if (!txn.ok()) return end(unreadable_index());
  }
  if (!dry_ && !garbage_.empty()) return remove();
  post(from_.empty() ? &CollectRound::end_repository : &CollectRound::sweep);
}

void CollectRound::count(const Garbage& garbage) {
  if (garbage.manifest) {
    ++report_.manifests_removed;
  } else {
    ++report_.links_removed;
  }
}

void CollectRound::tell_removed(const Garbage& garbage) {
  const auto object = garbage.manifest ? obs::EventObject::manifest : obs::EventObject::blob;
  if (!core_.events.wants(obs::EventKind::remove, object)) return;
  obs::Event event;
  event.kind = obs::EventKind::remove;
  event.object = object;
  event.repository = repository_;
  event.digest = garbage.digest.to_string();
  event.reason = "gc";
  core_.events.publish(std::move(event));
}

// Runs again with the same garbage when pushes came before it that have to be looked into first.
void CollectRound::remove() {
  std::vector<Garbage> removed;
  std::vector<Unlinked> unlinked;
  bool too_much = false, readable = true;
  const auto committed = core_.writer->submit_and_wait([&](IndexEdit& edit) {
    removed.clear();
    unlinked.clear();
    for (const auto& digest : core_.shield.take()) marks_->add(digest);
    marks_->settle_some(edit.view(), edit.txn());
    too_much = !marks_->settled();
    readable = edit.txn().ok();
    if (too_much || !readable) return;
    for (const auto& candidate : garbage_) {
      const auto link = edit.view().link(repository_, candidate.digest);
      if (!link || !is_garbage(candidate.digest, *link)) continue;
      removed.push_back({candidate.digest, link->manifest});
      unlink_content(edit, repository_, candidate.digest, unlinked);
    }
  });
  if (!committed.ok()) return end(committed.error());
  if (!readable) return end(unreadable_index());
  if (too_much) {
    // A repository that is pushed to so fast is left for the next round.
    return post(++retries_ > kMaxRetries ? &CollectRound::end_repository : &CollectRound::settle_pushed);
  }
  for (const auto& link : removed) {
    count(link);
    tell_removed(link);
  }
  drop(unlinked);
  post(from_.empty() ? &CollectRound::end_repository : &CollectRound::sweep);
}

// What is in use stays for eviction, or the next round.
void CollectRound::drop(const std::vector<Unlinked>& unlinked) {
  const auto dropped = drop_blobs(core_, unlinked);
  report_.blobs_removed += dropped.blobs;
  report_.bytes_freed += dropped.bytes;
}

void CollectRound::settle_pushed() {
  if (!settle_some(*marks_)) return end(unreadable_index());
  post(marks_->settled() ? &CollectRound::remove : &CollectRound::settle_pushed);
}

void CollectRound::end_repository() {
  marks_.reset();
  released_.reset();
  if (dry_) {
    const auto txn = core_.index->read();
    dry_->end(txn, report_);
    if (!txn.ok()) return end(unreadable_index());
  } else {
    bool dropped = false;
    const auto ended = core_.writer->submit_and_wait([this, &dropped](IndexEdit& edit) {
      core_.shield.end();
      dropped = edit.drop_if_empty(repository_);
    });
    if (!ended.ok()) return end(ended.error());
    if (dropped) ++report_.repositories_removed;
  }
  if (!options_.only.empty()) return end(report_);
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
    if (!txn.ok()) return end(unreadable_index());
  }
  if (dry_) {
    for (const auto& blob : unlinked) report_.bytes_freed += blob.record.size;
    report_.blobs_removed += unlinked.size();
  } else {
    drop(unlinked);
  }
  post(more ? &CollectRound::sweep_unlinked : &CollectRound::sweep_uploads);
}

void CollectRound::sweep_uploads() {
  const auto abandoned = core_.uploads.count_abandoned();
  report_.uploads_removed = abandoned.sessions;
  report_.bytes_freed += abandoned.bytes;
  if (!dry_) (void)core_.uploads.sweep();  // those just counted
  end(report_);
}

void CollectRound::end(base::Result<GcReport> result) {
  if (dry_) {
    --core_.collector.dry_runs_;
  } else {
    if (!result.ok()) core_.writer->submit({[core = &core_](IndexEdit&) { core->shield.end(); }, {}});
    core_.collector.running_ = false;
  }
  answer_(std::move(result));
}

}  // namespace shoal::store
