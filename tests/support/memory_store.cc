#include "support/memory_store.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

namespace shoal::test {

using base::Error;
using base::ErrorKind;
using store::LinkRecord;

namespace {

void write_at(int fd, std::string_view bytes, std::uint64_t offset) {
  while (!bytes.empty()) {
    const auto n = ::pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (n <= 0) std::abort();
    bytes.remove_prefix(static_cast<std::size_t>(n));
    offset += static_cast<std::uint64_t>(n);
  }
}

}  // namespace

std::string read_slice(const base::FileSlice& slice) {
  std::string bytes(slice.size, '\0');
  std::size_t got = 0;
  while (got < bytes.size()) {
    const auto n =
        ::pread(slice.file->fd(), bytes.data() + got, bytes.size() - got, static_cast<off_t>(slice.offset + got));
    if (n <= 0) break;
    got += static_cast<std::size_t>(n);
  }
  bytes.resize(got);
  return bytes;
}

// The store is asked only while the fill lives.
class MemoryPieces final : public store::PieceWriter {
 public:
  MemoryPieces(MemoryStore& store, std::shared_ptr<const base::File> file) : store_(store), file_(std::move(file)) {}

  [[nodiscard]] const std::shared_ptr<const base::File>& file() const override { return file_; }

  [[nodiscard]] base::Result<void> write(std::uint64_t offset, std::string_view bytes) override {
    const std::lock_guard lock(mutex_);
    if (stopped_) return Error(ErrorKind::cancelled, "the file is not written any more");
    {
      const std::lock_guard store_lock(store_.mutex_);
      if (store_.full_at_ && offset + bytes.size() > *store_.full_at_) {
        return Error(ErrorKind::full, "keep: no space left on device");
      }
    }
    write_at(file_->fd(), bytes, offset);
    return {};
  }

  void stop() {  // not under the store's lock
    const std::lock_guard lock(mutex_);
    stopped_ = true;
  }
  [[nodiscard]] bool stopped() const {
    const std::lock_guard lock(mutex_);
    return stopped_;
  }

 private:
  MemoryStore& store_;
  const std::shared_ptr<const base::File> file_;
  mutable std::mutex mutex_;
  bool stopped_ = false;
};

// One growing file. What the strand works on is shared with it, so that the fill may go while work is queued.
class MemoryFill final : public store::FillFile {
 public:
  MemoryFill(MemoryStore& store, const base::Digest& digest, base::Loop& loop)
      : store_(store), loop_(loop), strand_(store.disk_), disk_(std::make_shared<Disk>(store, digest)) {}

  ~MemoryFill() override {
    if (pieces_) pieces_->stop();
    strand_.post([disk = disk_, discard = discard_] {
      const std::lock_guard lock(disk->store.mutex_);
      if (!discard && !disk->published && disk->file && disk->length > 0) {
        disk->store.kept_[disk->digest] = read_slice({disk->file, 0, disk->length});
      }
    });
    const std::lock_guard lock(store_.mutex_);
    store_.filling_.erase(disk_->digest);
  }

  void open(std::optional<std::uint64_t> size, Done<std::uint64_t> done) override {
    run<std::uint64_t>(
        [size](Disk& disk) -> base::Result<std::uint64_t> {
          auto& store = disk.store;
          const std::lock_guard lock(store.mutex_);
          if (store.fail_open_) return Error(ErrorKind::gone, "open the fill: I/O error");
          std::string bytes;
          if (const auto kept = store.kept_.extract(disk.digest)) bytes = kept.mapped();
          if (const auto blob = store.blobs_.find(disk.digest); blob != store.blobs_.end()) {
            bytes = read_slice({blob->second.file, 0, blob->second.size});
          }
          if (size && bytes.size() > *size) bytes.clear();
          disk.take(store.new_file(bytes));
          disk.hasher = base::Hasher(disk.digest.algorithm());
          disk.hasher.update(bytes);
          disk.length = disk.hashed = bytes.size();
          return disk.length;
        },
        std::move(done));
  }

  void append(std::shared_ptr<const std::string> bytes, Done<std::uint64_t> done) override {
    run<std::uint64_t>(
        [bytes = std::move(bytes)](Disk& disk) -> base::Result<std::uint64_t> {
          if (!disk.file) std::abort();  // open() comes first, and must have gone well
          disk.hasher.update(*bytes);
          disk.hashed += bytes->size();
          {
            const std::lock_guard lock(disk.store.mutex_);
            if (disk.store.full_at_ && disk.length + bytes->size() > *disk.store.full_at_) disk.lost = true;
          }
          if (disk.lost) {
            disk.pieces->stop();
            return Error(ErrorKind::full, "append: no space left on device");
          }
          write_at(disk.file->fd(), *bytes, disk.length);
          disk.length = disk.hashed;
          return disk.length;
        },
        std::move(done));
  }

  [[nodiscard]] std::shared_ptr<store::PieceWriter> pieces() override {
    return discard_ || pieces_ == nullptr || pieces_->stopped() ? nullptr : pieces_;
  }

  void absorb(std::uint64_t end, Done<std::uint64_t> done) override {
    run<std::uint64_t>(
        [end](Disk& disk) -> base::Result<std::uint64_t> {
          if (!disk.file) std::abort();
          if (end > disk.hashed) {
            const auto bytes = read_slice({disk.file, disk.hashed, end - disk.hashed});
            if (bytes.size() < end - disk.hashed) return Error(ErrorKind::corrupt, "absorb: the file ends early");
            disk.hasher.update(bytes);
            disk.hashed = end;
          }
          if (disk.lost) return Error(ErrorKind::full, "absorb: no space left on device");
          disk.length = disk.hashed;
          return disk.length;
        },
        std::move(done));
  }

  void verify(Done<bool> done) override {
    run<bool>([](Disk& disk) -> base::Result<bool> { return disk.hasher.finish() == disk.digest; }, std::move(done));
  }

  void publish(std::string repository, Done<store::OpenBlob> done) override {
    run<store::OpenBlob>(
        [repository = std::move(repository)](Disk& disk) -> base::Result<store::OpenBlob> {
          auto& store = disk.store;
          disk.pieces->stop();
          const std::lock_guard lock(store.mutex_);
          if (disk.lost) std::abort();  // only what is whole is published
          if (store.fail_publish_) return Error(ErrorKind::gone, "publish: I/O error");
          store.blobs_.insert_or_assign(disk.digest, MemoryStore::Blob{disk.file, disk.length, false});
          store.put_link(repository, disk.digest, {disk.length, true});
          ++store.published_;
          disk.published = true;
          return store::OpenBlob(disk.file, disk.length, nullptr);
        },
        std::move(done));
  }

  void restart(std::string reason, Done<void> done) override {
    run<void>(
        [reason = std::move(reason)](Disk& disk) -> base::Result<void> {
          if (disk.pieces) disk.pieces->stop();
          const std::lock_guard lock(disk.store.mutex_);
          disk.store.quarantined_.push_back(reason);
          disk.store.blobs_.erase(disk.digest);
          disk.take(disk.store.new_file(""));
          disk.hasher = base::Hasher(disk.digest.algorithm());
          disk.length = disk.hashed = 0;
          return {};
        },
        std::move(done));
  }

  void discard() override {
    discard_ = true;
    strand_.post([disk = disk_] { disk->lost = true; });
  }
  [[nodiscard]] std::shared_ptr<const base::File> file() const override { return file_; }

 private:
  struct Disk {
    Disk(MemoryStore& s, const base::Digest& d) : store(s), digest(d), hasher(d.algorithm()) {}
    MemoryStore& store;
    base::Digest digest;
    base::Hasher hasher;
    void take(std::shared_ptr<const base::File> opened) {
      file = std::move(opened);
      pieces = std::make_shared<MemoryPieces>(store, file);
    }
    std::shared_ptr<const base::File> file;
    std::shared_ptr<MemoryPieces> pieces;  // of that file
    std::uint64_t length = 0, hashed = 0;
    bool lost = false, published = false;
  };

  template <class T, class Work>
  void run(Work work, Done<T> done) {
    strand_.post([disk = disk_, work = std::move(work), &loop = loop_, watch = life_.watch(), this,
                  done = std::move(done)]() mutable {
      auto result = work(*disk);
      loop.post([watch, this, file = disk->file, pieces = disk->pieces, result = std::move(result),
                 done = std::move(done)]() mutable {
        if (watch.gone()) return;
        file_ = file;
        pieces_ = pieces;
        done(std::move(result));
      });
    });
  }

  MemoryStore& store_;
  base::Loop& loop_;
  base::Strand strand_;
  std::shared_ptr<Disk> disk_;  // shared with queued work
  std::shared_ptr<const base::File> file_;
  std::shared_ptr<MemoryPieces> pieces_;
  bool discard_ = false;
  base::Lifetime life_;
};

MemoryStore::MemoryStore(base::Executor& disk, base::Clock& clock) : disk_(disk), clock_(clock) {}
MemoryStore::~MemoryStore() = default;

std::shared_ptr<const base::File> MemoryStore::new_file(std::string_view bytes) {
  const auto path = dir_.file(std::to_string(++files_));
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0) std::abort();
  ::unlink(path.c_str());
  write_at(fd, bytes, 0);
  return std::make_shared<const base::File>(fd);
}

void MemoryStore::report_unreadable(const base::Digest& digest, const base::File& file, const base::Error&) {
  const std::lock_guard lock(mutex_);
  const auto it = blobs_.find(digest);
  if (it == blobs_.end() || it->second.file.get() != &file) return;
  ++read_errors_;
  it->second.damaged = true;
}

base::Result<store::OpenBlob> MemoryStore::open_blob(const base::Digest& digest) {
  const std::lock_guard lock(mutex_);
  const auto it = fails_read_now() ? blobs_.end() : blobs_.find(digest);
  if (it == blobs_.end()) return Error(ErrorKind::not_found, "no such blob");
  if (refuse_blobs_) return *refuse_blobs_;
  if (it->second.damaged) return Error(ErrorKind::corrupt, "the file was touched");
  return store::OpenBlob(it->second.file, it->second.size, nullptr);
}

std::optional<store::BlobRecord> MemoryStore::find_blob(const base::Digest& digest) const {
  const std::lock_guard lock(mutex_);
  if (fails_read_now()) return std::nullopt;
  const auto it = blobs_.find(digest);
  if (it == blobs_.end()) return std::nullopt;
  store::BlobRecord record;
  record.size = it->second.size;
  return record;
}

std::optional<store::ManifestRecord> MemoryStore::find_manifest(const base::Digest& digest) const {
  const std::lock_guard lock(mutex_);
  if (fails_read_now()) return std::nullopt;
  const auto it = manifests_.find(digest);
  if (it == manifests_.end()) return std::nullopt;
  auto record = it->second;
  record.bytes = std::make_shared<const std::string>(*record.bytes);  // a copy, as from disk
  return record;
}

std::optional<store::TagRecord> MemoryStore::find_tag(std::string_view repository, std::string_view tag) const {
  const std::lock_guard lock(mutex_);
  if (fails_read_now()) return std::nullopt;
  const auto it = tags_.find({std::string(repository), std::string(tag)});
  return it == tags_.end() ? std::nullopt : std::optional(it->second);
}

std::optional<LinkRecord> MemoryStore::find_link(std::string_view repository, const base::Digest& digest) const {
  const std::lock_guard lock(mutex_);
  if (fails_read_now()) return std::nullopt;
  const auto it = links_.find({std::string(repository), digest.to_string()});
  return it == links_.end() ? std::nullopt : std::optional(it->second);
}

std::optional<base::WallTime> MemoryStore::find_absent(std::string_view repository, std::string_view reference) const {
  const std::lock_guard lock(mutex_);
  const auto it = absents_.find({std::string(repository), std::string(reference)});
  return it == absents_.end() ? std::nullopt : std::optional(it->second);
}

std::optional<std::string> MemoryStore::find_state(std::string_view key) const {
  const std::lock_guard lock(mutex_);
  if (fails_read_now()) return std::nullopt;
  const auto it = states_.find(std::string(key));
  return it == states_.end() ? std::nullopt : std::optional(it->second);
}

store::Store::States MemoryStore::list_states(std::string_view prefix, std::string_view last, std::size_t limit) const {
  const std::lock_guard lock(mutex_);
  States out;
  if (fails_read_now()) return out;
  for (const auto& [key, value] : states_) {
    if (key.starts_with(prefix) && key > last && out.size() < limit) out.emplace_back(key, value);
  }
  return out;
}

std::vector<std::string> MemoryStore::list_repositories(std::string_view last, std::size_t limit) const {
  const std::lock_guard lock(mutex_);
  if (fails_read_now()) return {};
  std::set<std::string> names;
  for (const auto& [key, record] : links_) names.insert(key.first);
  for (const auto& [key, record] : tags_) names.insert(key.first);
  std::vector<std::string> out;
  for (auto it = names.upper_bound(std::string(last)); it != names.end() && out.size() < limit; ++it) {
    out.push_back(*it);
  }
  return out;
}

std::vector<std::pair<std::string, store::TagRecord>> MemoryStore::list_tags(std::string_view repository,
                                                                             std::string_view last,
                                                                             std::size_t limit) const {
  const std::lock_guard lock(mutex_);
  std::vector<std::pair<std::string, store::TagRecord>> out;
  if (fails_read_now()) return out;
  for (const auto& [key, record] : tags_) {
    if (key.first == repository && key.second > last && out.size() < limit) out.emplace_back(key.second, record);
  }
  return out;
}

std::vector<std::pair<base::Digest, store::BlobRecord>> MemoryStore::list_blobs(const std::optional<base::Digest>& last,
                                                                                std::size_t limit) const {
  const std::lock_guard lock(mutex_);
  std::vector<std::pair<base::Digest, store::BlobRecord>> out;
  for (const auto& [digest, blob] : blobs_) {
    if ((last && digest <= *last) || out.size() >= limit) continue;
    out.emplace_back(digest, store::BlobRecord{.size = blob.size});
  }
  return out;
}

std::vector<base::Digest> MemoryStore::list_manifests(const std::optional<base::Digest>& last,
                                                      std::size_t limit) const {
  const std::lock_guard lock(mutex_);
  std::vector<base::Digest> out;
  for (const auto& [digest, manifest] : manifests_) {
    if ((!last || digest > *last) && out.size() < limit) out.push_back(digest);
  }
  return out;
}

store::Usage MemoryStore::usage() const {
  const std::lock_guard lock(mutex_);
  store::Usage usage;
  usage.blobs = blobs_.size();
  for (const auto& [digest, blob] : blobs_) usage.blob_bytes += blob.size;
  usage.manifests = manifests_.size();
  usage.tags = tags_.size();
  usage.room_bytes = UINT64_MAX;
  usage.read_errors = read_errors_;
  usage.read_only = !read_only_reason_.empty();
  usage.read_only_reason = read_only_reason_;
  return usage;
}

void MemoryStore::commit(std::vector<store::Write> writes, base::Executor& on,
                         base::UniqueFunction<void(base::Result<void>)> done) {
  base::Result<void> result;
  {
    const std::lock_guard lock(mutex_);
    ++commits_;
    if (commit_error_) {
      result = *commit_error_;
    } else if (hold_) {
      waiting_.push_back({std::move(writes), &on, std::move(done)});
      return;
    } else {
      for (const auto& write : writes) apply(write);
    }
  }
  if (done) on.post([done = std::move(done), result]() mutable { done(result); });
}

void MemoryStore::put_link(const std::string& repository, const base::Digest& digest, const LinkRecord& record) {
  auto& link = links_[{repository, digest.to_string()}];
  if (record.size) link.size = record.size;
  link.proven = link.proven || record.proven;
}

void MemoryStore::put_hosted_link(const std::string& repository, const base::Digest& digest, std::uint64_t size) {
  const std::lock_guard lock(mutex_);
  put_link(repository, digest, {size, true});
  links_[{repository, digest.to_string()}].hosted = true;
}
void MemoryStore::put_hosted_manifest(const store::ManifestPush& push) {
  put_hosted_link(push.repository, push.digest, push.bytes->size());
  const std::lock_guard lock(mutex_);
  links_[{push.repository, push.digest.to_string()}].manifest = true;
  const auto now = clock_.wall_now();
  manifests_[push.digest] = {push.media_type, push.bytes, now};
  for (const auto& tag : push.tags) {
    tags_.insert_or_assign(Key{push.repository, tag}, store::TagRecord{push.digest, now, now});
  }
}
void MemoryStore::remove_hosted_tag(const std::string& repository, const std::string& tag) {
  const std::lock_guard lock(mutex_);
  tags_.erase({repository, tag});
}
void MemoryStore::remove_hosted_link(const std::string& repository, const base::Digest& digest) {
  const std::lock_guard lock(mutex_);
  links_.erase({repository, digest.to_string()});
}
std::vector<std::pair<base::Digest, std::uint64_t>> MemoryStore::hosted_links(std::string_view repository) const {
  const std::lock_guard lock(mutex_);
  std::vector<std::pair<base::Digest, std::uint64_t>> out;
  for (const auto& [key, link] : links_) {
    const auto digest = base::Digest::parse(key.second);
    if (key.first == repository && link.hosted && digest) out.emplace_back(*digest, link.size.value_or(0));
  }
  return out;
}

void MemoryStore::apply(const store::Write& write) {
  if (const auto* manifest = std::get_if<store::PutManifest>(&write)) {
    manifests_[manifest->digest] = {manifest->media_type, manifest->bytes, manifest->now};
    put_link(manifest->repository, manifest->digest, {manifest->bytes->size(), true});
  } else if (const auto* tag = std::get_if<store::PutTag>(&write)) {
    tags_.insert_or_assign(Key{tag->repository, tag->tag}, tag->record);
    absents_.erase({tag->repository, tag->tag});
  } else if (const auto* removed = std::get_if<store::RemoveTag>(&write)) {
    tags_.erase({removed->repository, removed->tag});
  } else if (const auto* link = std::get_if<store::PutLink>(&write)) {
    put_link(link->repository, link->digest, link->record);
  } else if (const auto* absent = std::get_if<store::PutAbsent>(&write)) {
    absents_[{absent->repository, absent->reference}] = absent->until;
  } else if (const auto* state = std::get_if<store::PutState>(&write)) {
    if (state->value.empty()) {
      states_.erase(state->key);
    } else {
      states_[state->key] = state->value;
    }
  } else if (const auto* gone = std::get_if<store::RemoveRepository>(&write)) {
    const auto of = [&](const auto& entry) { return entry.first.first == gone->repository; };
    std::erase_if(tags_, of);
    std::erase_if(links_, of);
    std::erase_if(absents_, of);
  }
}

void MemoryStore::touch_blob(const base::Digest&) {
  const std::lock_guard lock(mutex_);
  ++touches_;
}
void MemoryStore::touch_manifest(const base::Digest&) {
  const std::lock_guard lock(mutex_);
  ++touches_;
}

base::Result<std::unique_ptr<store::FillFile>> MemoryStore::begin_fill(const base::Digest& digest, base::Loop& loop) {
  {
    const std::lock_guard lock(mutex_);
    if (!filling_.insert(digest).second) return Error(ErrorKind::busy, "another fill has the file");
    ++begun_;
  }
  return std::unique_ptr<store::FillFile>(std::make_unique<MemoryFill>(*this, digest, loop));
}

store::Admission MemoryStore::admit(std::uint64_t size) {
  const std::lock_guard lock(mutex_);
  return admit_up_to_ && size > *admit_up_to_ ? store::Admission::pass_through : store::Admission::keep;
}

base::Result<void> MemoryStore::remove_blob(const base::Digest& digest) {
  const std::lock_guard lock(mutex_);
  if (blobs_.erase(digest) == 0) return Error(ErrorKind::not_found, "no such blob");
  return {};
}

base::Result<store::BlobRecord> MemoryStore::find_removable(const base::Digest& digest) const {
  const auto record = find_blob(digest);
  if (!record) return Error(ErrorKind::not_found, "no such blob");
  return *record;
}

// Nothing is pinned or in use here; blobs stay where they are when their repository goes, but nothing shows them.
base::Result<store::RemovalForecast> MemoryStore::foresee_removal(std::string_view repository) const {
  const std::lock_guard lock(mutex_);
  store::RemovalForecast sum;
  for (const auto& [key, tag] : tags_) sum.tags += key.first == repository ? 1 : 0;
  for (const auto& [key, link] : links_) {
    if (key.first != repository) continue;
    const auto alone = std::count_if(links_.begin(), links_.end(), [&digest = key.second](const auto& other) {
                         return other.first.second == digest;
                       }) == 1;
    const auto digest = base::Digest::parse(key.second);
    if (!digest) continue;
    if (alone) sum.manifests += manifests_.count(*digest);
    const auto blob = blobs_.find(*digest);
    if (blob == blobs_.end()) continue;
    ++(alone ? sum.blobs : sum.blobs_shared);
    (alone ? sum.bytes : sum.bytes_shared) += blob->second.size;
  }
  return sum;
}

}  // namespace shoal::test
