#include "upload_session.h"

#include <unistd.h>

#include <cerrno>

#include "core.h"

namespace shoal::store {
namespace {

constexpr std::size_t kHashChunk = 1ULL << 20;        // a turn
constexpr std::uint64_t kRememberFrom = 64ULL << 10;  // smaller ones are remembered when their holder goes
constexpr std::uint64_t kSyncAloneFrom = 1ULL << 20;  // larger ones do not hold up a batch

base::Error is_over() { return base::Error(base::ErrorKind::not_found, "the upload is over"); }

// Bytes at `offset`; at most `size`, "" at the end.
base::Result<std::string> read_some(const base::File& file, std::uint64_t offset, std::size_t size) {
  std::string chunk(size, '\0');
  ssize_t n = -1;
  do {
    n = ::pread(file.fd(), chunk.data(), chunk.size(), static_cast<off_t>(offset));
  } while (n < 0 && errno == EINTR);
  if (n < 0) return base::from_errno(errno, "read");
  chunk.resize(static_cast<std::size_t>(n));
  return chunk;
}

}  // namespace

UploadSession::UploadSession(Core& core, std::string id, std::string repository, base::WallTime started, Origin origin)
    : core_(core),
      id_(std::move(id)),
      repository_(std::move(repository)),
      started_(started),
      epoch_(core.health.epoch()),
      path_(core.layout.upload(id_)),
      strand_(core.disk),
      touched_(started.time_since_epoch().count()),
      known_(origin == Origin::new_push),
      recorded_(origin == Origin::earlier_run) {}

std::uint64_t UploadSession::take_charge() { return ++holder_; }

std::optional<base::Error> UploadSession::refuses(std::uint64_t holder) const {
  if (over_) return is_over();
  if (unread_) return unread_;
  if (holder == holder_) return std::nullopt;
  return base::Error(base::ErrorKind::cancelled, "another request has taken the upload over");
}

void UploadSession::run(Work work, Read read) {
  post([work = std::move(work), read](UploadSession& self) mutable { self.run_now(std::move(work), read); });
}

// Weak, because the strand is the session's own: the registry, or the holder, keeps it until its work is done.
void UploadSession::post(Work work) {
  strand_.post([weak_core = core_.weak_from_this(), weak = weak_from_this(), work = std::move(work)]() mutable {
    const auto core = weak_core.lock();
    if (core == nullptr) return;
    const Gate::Pass pass(core->gate);
    if (!pass) return;
    if (const auto self = weak.lock()) work(*self);
  });
}

void UploadSession::run_now(Work work, Read read) {
  if (!busy_ && !known_ && !over_ && read == Read::first) {
    busy_ = true;
    waiting_.push_back(std::move(work));
    return find_kept();
  }
  if (busy_) {
    waiting_.push_back(std::move(work));
  } else {
    work(*this);
  }
}

// Before what waits.
void UploadSession::next_turn(Work work) { post(std::move(work)); }

void UploadSession::end_busy() {
  busy_ = false;
  while (!waiting_.empty() && !busy_) {
    auto work = std::move(waiting_.front());
    waiting_.pop_front();
    work(*this);
  }
}

// What an earlier run left. A file that cannot be read counts as empty: the pusher sees how far it got.
void UploadSession::find_kept() {
  auto opened = core_.files->open(path_);
  if (opened.ok()) {
    file_ = std::move(opened).value();
    core_.files->forget_pages(*file_);
  } else if (opened.error().kind() == base::ErrorKind::busy) {  // no descriptor left: that says nothing about the file
    unread_ = opened.error();
    end_busy();
    unread_.reset();
    return;
  }
  hash_kept();
}

void UploadSession::hash_kept() {
  base::Result<std::string> chunk = std::string();
  if (file_ != nullptr) chunk = read_some(*file_, length_, kHashChunk);
  if (chunk.ok() && !chunk->empty()) {
    hasher_.update(*chunk);
    length_ += chunk->size();
    return next_turn([](UploadSession& self) { self.hash_kept(); });
  }
  if (!chunk.ok()) tail_ = true;  // unreadable from here on
  known_ = true;
  written_back_ = length_;
  end_busy();
}

base::Result<void> UploadSession::need_file() {
  if (file_ != nullptr) return {};
  auto file = length_ == 0 ? core_.files->create(path_) : core_.files->open(path_);
  if (!file.ok()) return file.error();
  file_ = std::move(file).value();
  return {};
}

void UploadSession::append(const std::string& bytes, Answer<std::uint64_t> answer) {
  auto written = need_file();
  if (written.ok()) written = write(bytes);
  if (!written.ok()) {
    if (written.error().kind() == base::ErrorKind::full) core_.tell_not_taken(written.error().message());
    return answer(written.error().at("upload", id_));
  }
  hasher_.update(bytes);
  length_ += bytes.size();
  if (length_ - written_back_ >= kWriteBackStep) {
    core_.files->start_writeback(*file_, written_back_, length_ - written_back_);
    written_back_ = length_;
  }
  if (length_ >= kRememberFrom) remember();
  answer(length_);
}

base::Result<void> UploadSession::write(const std::string& bytes) {
  if (auto refused = core_.health.refuses(epoch_)) return std::move(*refused);
  auto& space = core_.space;
  if (!space.take(bytes.size())) {
    core_.evictor.make_room(bytes.size());
    if (!space.take(bytes.size())) return base::Error(base::ErrorKind::full, "no room within the storage limits");
  }
  auto written = core_.files->write(*file_, bytes, length_);
  if (!written.ok() && written.error().kind() == base::ErrorKind::full) {
    core_.evictor.make_room(bytes.size());
    written = core_.files->write(*file_, bytes, length_);
  }
  if (!written.ok()) {
    space.give_back(bytes.size());
    core_.health.write_failed(written.error());
    tail_ = true;
    (void)cut_tail();  // finish() tries again
  }
  return written;
}

base::Result<void> UploadSession::cut_tail() {
  if (!tail_) return {};
  auto cut = core_.files->truncate(*file_, length_);
  if (cut.ok()) tail_ = false;
  return cut;
}

void UploadSession::finish(const base::Digest& digest, Answer<void> answer) {
  if (const auto refused = core_.health.refuses(epoch_)) return answer(*refused);
  auto ready = need_file();
  if (ready.ok()) ready = cut_tail();
  if (!ready.ok()) return answer(ready.error().at("upload", id_));
  if (digest.algorithm() == base::HashAlgorithm::sha256) {
    return conclude(digest, hasher_.finish() == digest, std::move(answer));
  }
  busy_ = true;
  other_hasher_.emplace(digest.algorithm());
  hash_again(digest, 0, std::move(answer));
}

void UploadSession::hash_again(const base::Digest& digest, std::uint64_t offset, Answer<void> answer) {
  auto chunk = read_some(*file_, offset, kHashChunk);
  if (chunk.ok() && !chunk->empty()) {
    other_hasher_->update(*chunk);
    return next_turn([digest, next = offset + chunk->size(), answer = std::move(answer)](UploadSession& self) mutable {
      self.hash_again(digest, next, std::move(answer));
    });
  }
  const bool matches = chunk.ok() && offset == length_ && other_hasher_->finish() == digest;
  other_hasher_.reset();
  conclude(digest, matches, std::move(answer));
  end_busy();
}

void UploadSession::conclude(const base::Digest& digest, bool matches, Answer<void> answer) {
  if (!matches) {
    cancel();
    return answer(base::Error(base::ErrorKind::corrupt, "the bytes are not " + digest.to_string()).at("upload", id_));
  }
  bool synced = false;
  if (length_ >= kSyncAloneFrom) {
    if (auto done = core_.files->sync(*file_); !done.ok()) {
      if (done.error().kind() != base::ErrorKind::full) core_.health.turn_read_only(done.error().at("sync", path_));
      cancel(Bytes::doubtful);
      return answer(done.error().at("upload", id_));
    }
    synced = true;
  }
  over_ = true;
  core_.publisher.add(
      {id_, repository_, digest, length_, std::move(file_), synced, recorded_, epoch_, std::move(answer)});
}

void UploadSession::cancel(Bytes bytes) {
  over_ = true;
  const auto st = core_.files->stat(path_);
  const auto kept = known_ || !st.ok() ? length_ : static_cast<std::uint64_t>(st->st_size);
  const bool removed =
      bytes == Bytes::doubtful ? core_.doubtful.remove(path_, Doubtful::Kind::upload) : core_.files->remove(path_).ok();
  if (removed || file_ == nullptr) core_.space.give_back(kept);
  file_.reset();
  if (recorded_) {
    core_.writer->submit({[id = id_](IndexEdit& edit) { (void)edit.txn().erase(Table::uploads, id); }, {}});
  }
  core_.uploads.forget(id_);
}

void UploadSession::rest(std::uint64_t holder) {
  if (over_ || holder != holder_) return;
  file_.reset();
  if (length_ > 0) remember();
}

void UploadSession::remember() {
  if (recorded_ || over_) return;
  recorded_ = true;
  core_.writer->submit({[id = id_, value = format::encode(format::UploadRecord{repository_, started_})](
                            IndexEdit& edit) { edit.txn().put(Table::uploads, id, value); },
                        {}});
}

}  // namespace shoal::store
