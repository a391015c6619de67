#include "fill_disk.h"

#include <unistd.h>

#include <cerrno>

#include "blob_identity.h"

namespace shoal::store {
namespace {

constexpr std::size_t kHashChunk = 1ULL << 20;        // of a kept file, a turn
constexpr std::uint64_t kWriteBackStep = 8ULL << 20;  // so that the last sync is short

base::Error misuse(std::string_view what) { return base::Error(base::ErrorKind::bug, std::string(what)); }

}  // namespace

FillDisk::FillDisk(std::shared_ptr<Core> core, std::shared_ptr<FillSlot> slot)
    : core_(std::move(core)),
      slot_(std::move(slot)),
      digest_(slot_->digest),
      path_(core_->layout.fill(digest_)),
      hasher_(digest_.algorithm()) {}

void FillDisk::run(base::UniqueFunction<void(FillDisk&)> work) {
  slot_->strand.post([self = shared_from_this(), work = std::move(work)]() mutable {
    const Gate::Pass pass(self->core_->gate);
    if (pass) self->run_now(std::move(work));
  });
}

void FillDisk::run_now(base::UniqueFunction<void(FillDisk&)> work) {
  if (opening_) {
    waiting_.push_back(std::move(work));
  } else {
    work(*this);
  }
}

void FillDisk::open(std::optional<std::uint64_t> size, Answer<Opened> answer) {
  opening_ = true;
  open_answer_ = std::move(answer);
  find_kept(size);
}

void FillDisk::find_kept(std::optional<std::uint64_t> size) {
  if (!core_->guard->begin_publication(digest_)) {  // a removal or a push is at the old file: next turn
    return next_turn([size](FillDisk& self) { self.find_kept(size); });
  }
  if (!core_->files->stat(path_).ok()) adopt_blob_file();
  core_->guard->end_publication(digest_);
  if (auto taken = take_kept_file(size); !taken.ok()) return finish_open(taken.error());
  hash_kept();
}

// Before what waits for open().
void FillDisk::next_turn(base::UniqueFunction<void(FillDisk&)> work) {
  slot_->strand.post([self = shared_from_this(), work = std::move(work)]() mutable {
    const Gate::Pass pass(self->core_->gate);
    if (pass) work(*self);
  });
}

// A blob file whose record is missing or not about it, or one that somebody wants checked: becomes the fill.
void FillDisk::adopt_blob_file() {
  const auto blob_path = core_->layout.blob(digest_);
  // An eviction whose commit is still to come has taken the bytes off already. Looked at before the record: no removal
  // begins while we are here.
  const bool going = core_->guard->removing(digest_);
  std::optional<BlobRecord> record;
  {
    const auto txn = core_->index->read();
    if (!txn.ok()) return;  // nothing is known of the file
    record = IndexView(txn).blob(digest_);
  }
  const auto st = core_->files->stat(blob_path);
  // Its only copy, perhaps, and perhaps sound though touched: not put at stake. publish() replaces an unsound one.
  if (record && record->hosted && st.ok()) return;
  if (record && !going) core_->space.remove_blob(record->size);
  if (record && !is_kept(*record)) {  // what must stay keeps its record, which passes to the next file
    core_->writer->submit({[digest = digest_, old = *record](IndexEdit& edit) { edit.erase_blob(digest, old); }, {}});
  }
  if (!st.ok()) return;
  // Not movable, not writable: then it stays an orphan, and the fill starts from nothing.
  if (!core_->files->set_mode(blob_path, 0640).ok() || !core_->files->rename(blob_path, path_).ok()) return;
  core_->space.add_fill(static_cast<std::uint64_t>(st->st_size));
}

base::Result<void> FillDisk::take_kept_file(std::optional<std::uint64_t> size) {
  const auto st = core_->files->stat(path_);
  if (!st.ok()) return start_empty();
  const auto kept = static_cast<std::uint64_t>(st->st_size);
  if (!S_ISREG(st->st_mode) || (size && kept > *size)) {
    core_->space.give_back(kept);
    return start_empty();
  }
  auto opened = core_->files->open(path_);
  if (!opened.ok()) {
    if (opened.error().kind() == base::ErrorKind::busy) {  // no descriptor left: that says nothing about the file
      lost_ = base::Error(base::ErrorKind::full, opened.error().message()).at("keep", digest_.to_string());
      return opened.error();
    }
    core_->space.give_back(kept);
    return start_empty();
  }
  file_ = std::move(opened).value();
  kept_ = kept;
  return {};
}

// Without a file (the disk is full) the fill goes on all the same: it hashes, and keeps nothing.
base::Result<void> FillDisk::start_empty() {
  kept_ = 0;
  length_ = 0;
  written_back_ = 0;
  hasher_ = base::Hasher(digest_.algorithm());
  verified_.reset();
  lost_.reset();
  file_.reset();
  auto created = core_->files->create(path_);
  if (!created.ok()) {
    lost_ = base::Error(base::ErrorKind::full, created.error().message()).at("keep", digest_.to_string());
    return created.error();
  }
  file_ = std::move(created).value();
  return {};
}

void FillDisk::hash_kept() {
  if (abandoned_) return finish_open(base::Error(base::ErrorKind::cancelled, "the fill was dropped"));
  if (length_ >= kept_) return finish_open(Opened{file_, length_});
  std::string chunk(static_cast<std::size_t>(std::min<std::uint64_t>(kHashChunk, kept_ - length_)), '\0');
  const ssize_t n = ::pread(file_->fd(), chunk.data(), chunk.size(), static_cast<off_t>(length_));
  if (n < 0 && errno != EINTR) {  // unreadable: begin anew rather than fail
    core_->space.give_back(kept_);
    if (auto empty = start_empty(); !empty.ok()) return finish_open(empty.error());
  } else if (n == 0) {  // it shrank under us
    core_->space.give_back(kept_ - length_);
    kept_ = length_;
  } else if (n > 0) {
    hasher_.update(std::string_view(chunk).substr(0, static_cast<std::size_t>(n)));
    length_ += static_cast<std::uint64_t>(n);
  }
  next_turn([](FillDisk& self) { self.hash_kept(); });
}

void FillDisk::finish_open(base::Result<Opened> result) {
  written_back_ = length_;
  open_answer_(std::move(result));
  open_answer_ = nullptr;
  opening_ = false;
  while (!waiting_.empty() && !opening_) {
    auto work = std::move(waiting_.front());
    waiting_.pop_front();
    work(*this);
  }
}

void FillDisk::append(const std::string& bytes, Answer<std::uint64_t> answer) {
  if (file_ == nullptr && !lost_) return answer(misuse("append to a fill that is not open"));
  if (verified_ || published_) return answer(misuse("append behind the end of a fill"));
  hasher_.update(bytes);
  if (!lost_) {
    if (const auto written = write(bytes); !written.ok()) {
      lost_ = base::Error(base::ErrorKind::full, written.error().message()).at("keep", digest_.to_string());
      core_->tell_not_kept(written.error().message());
    }
  }
  if (lost_) return answer(*lost_);
  length_ += bytes.size();
  if (length_ - written_back_ >= kWriteBackStep) {
    core_->files->start_writeback(*file_, written_back_, length_ - written_back_);
    written_back_ = length_;
  }
  answer(length_);
}

void FillDisk::keep_no_more() {
  if (!lost_)
    lost_ = base::Error(base::ErrorKind::full, "passed on without being kept").at("keep", digest_.to_string());
}

base::Result<void> FillDisk::write(const std::string& bytes) {
  auto& space = core_->space;
  if (!space.take(bytes.size())) {
    core_->evictor.make_room(bytes.size());
    if (!space.take(bytes.size())) return base::Error(base::ErrorKind::full, "no room within the storage limits");
  }
  auto written = core_->files->write(*file_, bytes, length_);
  if (!written.ok() && written.error().kind() == base::ErrorKind::full) {
    core_->evictor.make_room(bytes.size());
    written = core_->files->write(*file_, bytes, length_);
  }
  if (!written.ok()) space.give_back(bytes.size());
  return written;
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
  if (core_->health.read_only()) return answer(core_->health.error());
  if (!core_->guard->begin_publication(digest_)) {
    run([repository, answer = std::move(answer)](FillDisk& self) mutable {
      self.publish(repository, std::move(answer));
    });
    return;
  }
  struct Publication {
    Guard& guard;
    const base::Digest& digest;
    ~Publication() { guard.end_publication(digest); }
  };
  const Publication held{*core_->guard, digest_};
  if (is_sound_blob(*core_, digest_)) return publish_link(repository, std::move(answer));
  auto record = move_to_blobs();
  if (!record.ok()) return answer(record.error().at("publish", digest_.to_string()));
  published_ = true;
  core_->space.fill_to_blob(length_);
  auto lease = core_->guard->lease(digest_);
  auto committed = core_->writer->submit_and_wait([this, &record, &repository](IndexEdit& edit) {
    edit.put_blob(digest_, *record);
    edit.put_link(repository, digest_, {length_, true});
  });
  if (!committed.ok()) {
    if (core_->files->remove(core_->layout.blob(digest_)).ok()) core_->space.remove_blob(length_);
    return answer(committed.error().at("publish", digest_.to_string()));
  }
  answer(OpenBlob(file_, length_, std::move(lease)));
  core_->evictor.kick();
}

// Somebody pushed the same blob meanwhile. Readers of this fill keep its file; the other one stays.
void FillDisk::publish_link(const std::string& repository, Answer<OpenBlob> answer) {
  published_ = true;
  if (core_->files->remove(path_).ok()) core_->space.give_back(length_);
  auto lease = core_->guard->lease(digest_);
  auto committed = core_->writer->submit_and_wait([this, &repository](IndexEdit& edit) {
    edit.put_link(repository, digest_, {length_, true});
  });
  if (!committed.ok()) return answer(committed.error().at("publish", digest_.to_string()));
  answer(OpenBlob(file_, length_, std::move(lease)));
}

base::Result<BlobRecord> FillDisk::move_to_blobs() {
  auto& files = *core_->files;
  const auto blob_path = core_->layout.blob(digest_);
  if (auto synced = files.sync(*file_); !synced.ok()) {
    if (synced.error().kind() != base::ErrorKind::full) core_->health.turn_read_only(synced.error().at("sync", path_));
    return synced.error();
  }
  if (auto made = core_->make_blob_dir(digest_); !made.ok()) return made.error();
  if (auto moded = files.set_mode(path_, 0440); !moded.ok()) return moded.error();
  if (auto moved = files.rename(path_, blob_path); !moved.ok()) {
    (void)files.set_mode(path_, 0640);  // best effort: to go on writing it
    return moved.error();
  }
  auto synced = files.sync_dir(core_->layout.blob_dir(digest_));
  const auto st = files.stat(blob_path);
  if (!synced.ok() || !st.ok()) {
    const auto error = synced.ok() ? st.error() : synced.error();
    if (!not_tried(error)) core_->health.turn_read_only(error);
    (void)files.rename(blob_path, path_);  // best effort: else the next start adopts it from there
    (void)files.set_mode(path_, 0640);     // the same: to go on writing it
    return error;
  }
  const auto now = core_->clock.wall_now();
  BlobRecord record{.size = length_, .verified = now, .last_use = now, .uses = 1};
  set_identity(record, *st);
  return record;
}

void FillDisk::restart(const std::string& reason, Answer<Opened> answer) {
  if (file_ != nullptr && !published_) {
    const auto taken = core_->quarantine.take(path_, digest_, reason);
    if (!taken.ok() && taken.error().kind() != base::ErrorKind::not_found) {
      obs::warn(obs::Category::store, "quarantine {}: {}", digest_.to_string(), taken.error().message());
    }
    core_->space.give_back(length_);
  }
  published_ = false;
  if (auto empty = start_empty(); !empty.ok()) return answer(empty.error());
  answer(Opened{file_, 0});
}

void FillDisk::remove() {
  if (file_ == nullptr || published_) return;
  if (core_->files->remove(path_).ok()) core_->space.give_back(length_);
  file_ = nullptr;
}

}  // namespace shoal::store
