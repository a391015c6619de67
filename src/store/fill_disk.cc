#include "fill_disk.h"

#include <unistd.h>

#include <cerrno>

#include "blob_identity.h"

namespace shoal::store {
namespace {

constexpr std::size_t kHashChunk = 1ULL << 20;  // of what is on disk, a turn

base::Error misuse(std::string_view what) { return base::Error(base::ErrorKind::bug, std::string(what)); }

}  // namespace

FillDisk::FillDisk(std::shared_ptr<Core> core, std::shared_ptr<FillSlot> slot)
    : core_(std::move(core)),
      slot_(std::move(slot)),
      digest_(slot_->digest),
      path_(core_->layout.fill(digest_)),
      room_(std::make_shared<FillRoom>(*core_)),
      hasher_(digest_.algorithm()) {}

FillDisk::~FillDisk() { count_record_again(); }

void FillDisk::count_record_again() { core_->space.add_blob(std::exchange(uncounted_, 0)); }

void FillDisk::run(base::UniqueFunction<void(FillDisk&)> work) {
  slot_->strand.post([self = shared_from_this(), work = std::move(work)]() mutable {
    const Gate::Pass pass(self->core_->gate);
    if (pass) self->run_now(std::move(work));
  });
}

void FillDisk::run_now(base::UniqueFunction<void(FillDisk&)> work) {
  if (left_) return;
  if (reading_) {
    waiting_.push_back(std::move(work));
  } else {
    work(*this);
  }
}

void FillDisk::open(std::optional<std::uint64_t> size, Answer<Opened> answer) {
  reading_ = true;
  open_answer_ = std::move(answer);
  find_kept(size);
}

// Before what waits for the end of the reading.
void FillDisk::next_turn(base::UniqueFunction<void(FillDisk&)> work) {
  slot_->strand.post([self = shared_from_this(), work = std::move(work)]() mutable {
    const Gate::Pass pass(self->core_->gate);
    if (pass) work(*self);
  });
}

void FillDisk::take_file(std::shared_ptr<const base::File> file) {
  file_ = std::move(file);
  pieces_ = std::make_shared<LocalPieces>(core_, room_, file_, digest_);
}

// Without a file (the disk is full) the fill goes on all the same: it hashes, and keeps nothing.
base::Result<void> FillDisk::start_empty() {
  if (pieces_) pieces_->close();
  room_->settle(0);
  kept_ = 0;
  length_ = 0;
  hashed_ = 0;
  written_back_ = 0;
  hasher_ = base::Hasher(digest_.algorithm());
  verified_.reset();
  lost_.reset();
  file_.reset();
  pieces_.reset();
  auto created = core_->files->create(path_);
  if (!created.ok()) {
    core_->health.write_failed(created.error());
    lost_ = base::Error(base::ErrorKind::full, created.error().message()).at("keep", digest_.to_string());
    return created.error();
  }
  core_->doubtful.forget(path_);
  take_file(std::move(created).value());
  return {};
}

void FillDisk::hash_kept() {
  if (!reading_) return;
  if (abandoned_) return stop_reading();
  if (hashed_ >= kept_) return finish_reading({});
  std::string chunk(static_cast<std::size_t>(std::min<std::uint64_t>(kHashChunk, kept_ - hashed_)), '\0');
  const ssize_t n = ::pread(file_->fd(), chunk.data(), chunk.size(), static_cast<off_t>(hashed_));
  if (n == 0 || (n < 0 && errno != EINTR)) return kept_is_wrong(n == 0);
  if (n > 0) {
    hasher_.update(std::string_view(chunk).substr(0, static_cast<std::size_t>(n)));
    hashed_ += static_cast<std::uint64_t>(n);
    if (!lost_) length_ = hashed_;
  }
  next_turn([](FillDisk& self) { self.hash_kept(); });
}

void FillDisk::kept_is_wrong(bool ends_early) {
  if (absorb_answer_) {
    kept_ = hashed_;
    return finish_reading(base::Error(base::ErrorKind::corrupt, "the file does not hold what was written to it"));
  }
  if (!ends_early) {  // unreadable: begin anew rather than fail
    if (auto empty = start_empty(); !empty.ok()) return finish_reading(empty.error());
  } else {  // it shrank under us
    room_->settle(length_);
    kept_ = length_;
  }
  next_turn([](FillDisk& self) { self.hash_kept(); });
}

void FillDisk::finish_reading(base::Result<void> result) {
  if (open_answer_) {
    if (pieces_) pieces_->hashed_to(length_);
    written_back_ = length_;
    auto answer = std::exchange(open_answer_, nullptr);
    result.ok() ? answer(Opened{pieces_, length_}) : answer(result.error());
  } else {
    start_writeback();
    auto answer = std::exchange(absorb_answer_, nullptr);
    if (result.ok() && lost_) result = *lost_;
    result.ok() ? answer(length_) : answer(result.error());
  }
  reading_ = false;
  while (!waiting_.empty() && !reading_) {
    auto work = std::move(waiting_.front());
    waiting_.pop_front();
    work(*this);
  }
}

// Nobody waits for an answer, and what was to follow must not be done from half the way.
void FillDisk::stop_reading() {
  left_ = true;
  reading_ = false;
  open_answer_ = nullptr;
  absorb_answer_ = nullptr;
  waiting_.clear();
}

void FillDisk::append(const std::string& bytes, Answer<std::uint64_t> answer) {
  if (file_ == nullptr && !lost_) return answer(misuse("append to a fill that is not open"));
  if (verified_ || published_) return answer(misuse("append behind the end of a fill"));
  hasher_.update(bytes);
  hashed_ += bytes.size();
  if (!lost_) {
    if (const auto written = pieces_->append(length_, bytes); !written.ok()) {
      lose(written.error());
      core_->tell_not_kept(written.error().message());
    }
  }
  if (lost_) return answer(*lost_);
  length_ = hashed_;
  start_writeback();
  answer(length_);
}

void FillDisk::start_writeback() {
  if (length_ - written_back_ < kWriteBackStep) return;
  core_->files->start_writeback(*file_, written_back_, length_ - written_back_);
  written_back_ = length_;
}

void FillDisk::keep_no_more() {
  if (!lost_) lose(base::Error(base::ErrorKind::full, "passed on without being kept"));
}

void FillDisk::lose(const base::Error& why) {
  lost_ = base::Error(base::ErrorKind::full, why.message()).at("keep", digest_.to_string());
  if (pieces_) pieces_->stop();
}

// Pieces that were placed are in the file, also behind bytes that were lost.
void FillDisk::absorb(std::uint64_t end, Answer<std::uint64_t> answer) {
  if (lost_ && (file_ == nullptr || end <= hashed_)) return answer(*lost_);
  if (file_ == nullptr) return answer(misuse("absorb into a fill that is not open"));
  if (end <= hashed_) return answer(length_);
  if (verified_ || published_) return answer(misuse("absorb behind the end of a fill"));
  reading_ = true;
  absorb_answer_ = std::move(answer);
  kept_ = end;
  pieces_->hashed_to(end);
  hash_kept();
}

void FillDisk::verify(Answer<bool> answer) {
  if (file_ == nullptr && !lost_) return answer(misuse("verify a fill that is not open"));
  if (!verified_) verified_ = hasher_.finish() == digest_;
  answer(*verified_);
}

void FillDisk::publish(const std::string& repository, Answer<OpenBlob> answer) {
  if (published_ || !verified_.value_or(false) || lost_) {
    return answer(misuse("publish a fill that is not complete and verified"));
  }
  const std::vector<Write> links{PutLink{repository, digest_, {length_, true}}};
  if (auto checked = check_writes(links); !checked.ok()) return answer(checked.error());
  if (core_->health.read_only()) return answer(unpublished(core_->health.error()));
  const auto kept = std::make_shared<Answer<OpenBlob>>(std::move(answer));  // by the waiter, or by us
  auto again = [self = shared_from_this(), repository, kept] {
    self->run([repository, kept](FillDisk& fill) { fill.publish(repository, std::move(*kept)); });
  };
  if (!core_->guard->begin_publication(digest_, std::move(again))) return;
  answer = std::move(*kept);
  struct Publication {
    Guard& guard;
    const base::Digest& digest;
    ~Publication() { guard.end_publication(digest); }
  };
  const Publication held{*core_->guard, digest_};
  pieces_->close();
  // Behind the end there may be what a write that failed has left.
  if (auto exact = cut(length_); !exact.ok()) return answer(exact.error().at("publish", digest_.to_string()));
  const auto there = is_sound_blob(*core_, digest_);
  if (!there.ok()) return answer(unpublished(there.error()));  // nothing is put in the place of what may be sound
  if (*there) return publish_link(repository, std::move(answer));
  auto record = move_to_blobs();
  if (!record.ok()) return answer(record.error().at("publish", digest_.to_string()));
  published_ = true;
  core_->unreadable.forget(digest_);
  room_->became_blob(length_);
  count_record_again();
  const auto replaced = counted_bytes(*core_, digest_);
  auto lease = core_->guard->lease(digest_);
  auto committed = core_->writer->submit_and_wait([this, &record, &repository](IndexEdit& edit) {
    edit.put_blob(digest_, *record);
    edit.put_link(repository, digest_, {length_, true});
  });
  if (!committed.ok()) {
    if (core_->files->remove(core_->layout.blob(digest_)).ok()) core_->space.remove_blob(length_);
    return answer(committed.error().at("publish", digest_.to_string()));
  }
  core_->space.remove_blob(replaced);
  answer(OpenBlob(file_, length_, std::move(lease)));
  core_->evictor.kick();
}

// Its readers go on only if these bytes are not just the page cache's.
base::Error FillDisk::unpublished(const base::Error& why) {
  const auto synced = sync_file();
  return synced.ok() ? why : synced.error();
}

// Somebody pushed the same blob meanwhile. Readers of this fill keep its file; the other one stays.
void FillDisk::publish_link(const std::string& repository, Answer<OpenBlob> answer) {
  published_ = true;
  if (core_->files->remove(path_).ok()) room_->settle(0);
  auto lease = core_->guard->lease(digest_);
  auto committed = core_->writer->submit_and_wait([this, &repository](IndexEdit& edit) {
    edit.put_link(repository, digest_, {length_, true});
  });
  if (!committed.ok()) return answer(committed.error().at("publish", digest_.to_string()));
  answer(OpenBlob(file_, length_, std::move(lease)));
}

// ErrorKind::corrupt: the disk may not have its bytes, and the file is gone.
base::Result<void> FillDisk::sync_file() {
  const auto synced = core_->files->sync(*file_);
  if (synced.ok()) return {};
  if (synced.error().kind() != base::ErrorKind::full) core_->health.turn_read_only(synced.error().at("sync", path_));
  // The kernel tells of a failed write-back once, and keeps the pages as if they were written: the next sync of this
  // file would say that all is well.
  pieces_->close();
  published_ = true;
  if (core_->doubtful.remove(path_, Doubtful::Kind::fill, digest_)) room_->settle(0);
  return base::Error(base::ErrorKind::corrupt, synced.error().message());
}

base::Result<BlobRecord> FillDisk::move_to_blobs() {
  const auto epoch = core_->health.epoch();
  auto& files = *core_->files;
  const auto blob_path = core_->layout.blob(digest_);
  if (auto synced = sync_file(); !synced.ok()) return synced.error();
  if (auto made = core_->make_blob_dir(digest_); !made.ok()) return made.error();
  if (auto moded = files.set_mode(path_, 0440); !moded.ok()) return moded.error();
  if (auto moved = files.rename(path_, blob_path); !moved.ok()) {
    (void)files.set_mode(path_, 0640);  // best effort: to go on writing it
    return moved.error();
  }
  core_->doubtful.forget(blob_path);
  auto synced = files.sync_dir(core_->layout.blob_dir(digest_));
  const auto st = files.stat(blob_path);
  const auto refused = core_->health.refuses(epoch);  // another sync may have told of this directory
  if (!synced.ok() || !st.ok() || refused) {
    const bool failed = !synced.ok() || !st.ok();
    const auto error = !synced.ok() ? synced.error() : !st.ok() ? st.error() : *refused;
    if (failed && !not_tried(error)) core_->health.turn_read_only(error);
    (void)files.rename(blob_path, path_);  // best effort: else the next start adopts it from there
    (void)files.set_mode(path_, 0640);     // the same: to go on writing it
    return error;
  }
  const auto now = core_->clock.wall_now();
  const auto before = core_->evictor.departed().take(digest_);  // its uses when it was evicted
  BlobRecord record{
      .size = length_, .verified = now, .last_use = now, .uses = before < UINT32_MAX ? before + 1 : before};
  set_identity(record, *st);
  return record;
}

void FillDisk::restart(const std::string& reason, Answer<Opened> answer) {
  if (file_ != nullptr && !published_) {
    pieces_->close();
    const auto taken = core_->quarantine.take(path_, digest_, reason);
    if (!taken.ok() && taken.error().kind() != base::ErrorKind::not_found) {
      obs::warn(obs::Category::store, "quarantine {}: {}", digest_.to_string(), taken.error().message());
    }
  }
  published_ = false;
  if (auto empty = start_empty(); !empty.ok()) return answer(empty.error());
  answer(Opened{pieces_, 0});
}

// Only while no piece can be written. What was taken is exact from then on, whether the file could be cut or not.
base::Result<void> FillDisk::cut(std::uint64_t end) {
  struct ::stat st {};
  if (::fstat(file_->fd(), &st) != 0) return base::from_errno(errno, "look at", path_);
  auto size = static_cast<std::uint64_t>(st.st_size);
  base::Result<void> done;
  if (size > end) {
    done = core_->files->truncate(*file_, end);
    if (done.ok()) size = end;
  }
  room_->settle(size);
  return done;
}

void FillDisk::leave(bool discard) {
  next_turn([discard](FillDisk& self) { self.leave_now(discard); });
}

void FillDisk::leave_now(bool discard) {
  stop_reading();
  if (file_ == nullptr || published_) return;
  pieces_->close();
  if (discard && core_->files->remove(path_).ok()) return room_->settle(0);
  const auto end = lost_ ? length_ : std::max(length_, kept_);
  if (const auto done = cut(end); !done.ok()) {  // the next open() looks for holes
    obs::warn(obs::Category::store, "the unfinished file of {}: {}", digest_.to_string(), done.error().message());
  }
}

}  // namespace shoal::store
