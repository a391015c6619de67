#include "support/memory_store.h"

#include <fcntl.h>
#include <unistd.h>

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

// One growing file. What the strand works on is shared with it, so that the fill may go while work is queued.
class MemoryFill final : public store::FillFile {
 public:
  MemoryFill(MemoryStore& store, const base::Digest& digest, base::Loop& loop)
      : store_(store), loop_(loop), strand_(store.disk_), disk_(std::make_shared<Disk>(store, digest)) {}

  ~MemoryFill() override {
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
          disk.file = store.new_file(bytes);
          disk.hasher = base::Hasher(disk.digest.algorithm());
          disk.hasher.update(bytes);
          disk.length = bytes.size();
          return disk.length;
        },
        std::move(done));
  }

  void append(std::shared_ptr<const std::string> bytes, Done<std::uint64_t> done) override {
    run<std::uint64_t>(
        [bytes = std::move(bytes)](Disk& disk) -> base::Result<std::uint64_t> {
          if (!disk.file) std::abort();  // open() comes first, and must have gone well
          disk.hasher.update(*bytes);
          const std::lock_guard lock(disk.store.mutex_);
          if (disk.store.full_at_ && disk.length + bytes->size() > *disk.store.full_at_) disk.lost = true;
          if (disk.lost) return Error(ErrorKind::full, "append: no space left on device");
          write_at(disk.file->fd(), *bytes, disk.length);
          disk.length += bytes->size();
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
          const std::lock_guard lock(disk.store.mutex_);
          disk.store.quarantined_.push_back(reason);
          disk.store.blobs_.erase(disk.digest);
          disk.file = disk.store.new_file("");
          disk.hasher = base::Hasher(disk.digest.algorithm());
          disk.length = 0;
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
    std::shared_ptr<const base::File> file;
    std::uint64_t length = 0;
    bool lost = false, published = false;
  };

  template <class T, class Work>
  void run(Work work, Done<T> done) {
    strand_.post([disk = disk_, work = std::move(work), &loop = loop_, watch = life_.watch(), this,
                  done = std::move(done)]() mutable {
      auto result = work(*disk);
      loop.post([watch, this, file = disk->file, result = std::move(result), done = std::move(done)]() mutable {
        if (watch.gone()) return;
        file_ = file;
        done(std::move(result));
      });
    });
  }

  MemoryStore& store_;
  base::Loop& loop_;
  base::Strand strand_;
  std::shared_ptr<Disk> disk_;  // shared with queued work
  std::shared_ptr<const base::File> file_;
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

void MemoryStore::hold_commits(bool on) {
  {
    const std::lock_guard lock(mutex_);
    hold_ = on;
  }
  if (!on) release_commits();
}

void MemoryStore::release_commits() {
  std::vector<Waiting> waiting;
  {
    const std::lock_guard lock(mutex_);
    waiting = std::exchange(waiting_, {});
    for (const auto& commit : waiting) {
      for (const auto& write : commit.writes) apply(write);
    }
  }
  for (auto& commit : waiting) {
    if (commit.done) commit.on->post([done = std::move(commit.done)]() mutable { done({}); });
  }
}

void MemoryStore::fail_commits(std::optional<Error> error) {
  const std::lock_guard lock(mutex_);
  commit_error_ = std::move(error);
}
void MemoryStore::fill_up_at(std::optional<std::uint64_t> bytes) {
  const std::lock_guard lock(mutex_);
  full_at_ = bytes;
}
void MemoryStore::admit_up_to(std::optional<std::uint64_t> bytes) {
  const std::lock_guard lock(mutex_);
  admit_up_to_ = bytes;
}
void MemoryStore::refuse_blobs(std::optional<base::Error> error) {
  const std::lock_guard lock(mutex_);
  refuse_blobs_ = std::move(error);
}

void MemoryStore::fail_open(bool on) {
  const std::lock_guard lock(mutex_);
  fail_open_ = on;
}
void MemoryStore::fail_publish(bool on) {
  const std::lock_guard lock(mutex_);
  fail_publish_ = on;
}
void MemoryStore::keep(const base::Digest& digest, std::string bytes) {
  const std::lock_guard lock(mutex_);
  kept_[digest] = std::move(bytes);
}
void MemoryStore::put_blob(const base::Digest& digest, std::string bytes) {
  const std::lock_guard lock(mutex_);
  blobs_.insert_or_assign(digest, Blob{new_file(bytes), bytes.size(), false});
}
void MemoryStore::damage_blob(const base::Digest& digest, std::string bytes) {
  const std::lock_guard lock(mutex_);
  blobs_.insert_or_assign(digest, Blob{new_file(bytes), bytes.size(), true});
}
void MemoryStore::remove_manifest(const base::Digest& digest) {
  const std::lock_guard lock(mutex_);
  manifests_.erase(digest);
}

bool MemoryStore::has_blob(const base::Digest& digest) const {
  const std::lock_guard lock(mutex_);
  const auto it = blobs_.find(digest);
  if (it == blobs_.end()) return false;
  return base::digest_of(read_slice({it->second.file, 0, it->second.size}), digest.algorithm()) == digest;
}
std::optional<std::string> MemoryStore::kept(const base::Digest& digest) const {
  const std::lock_guard lock(mutex_);
  const auto it = kept_.find(digest);
  return it == kept_.end() ? std::nullopt : std::optional(it->second);
}
std::size_t MemoryStore::fills_running() const {
  const std::lock_guard lock(mutex_);
  return filling_.size();
}
std::size_t MemoryStore::fills_begun() const {
  const std::lock_guard lock(mutex_);
  return begun_;
}
std::size_t MemoryStore::published() const {
  const std::lock_guard lock(mutex_);
  return published_;
}
std::vector<std::string> MemoryStore::quarantined() const {
  const std::lock_guard lock(mutex_);
  return quarantined_;
}
std::size_t MemoryStore::commits() const {
  const std::lock_guard lock(mutex_);
  return commits_;
}
std::size_t MemoryStore::touches() const {
  const std::lock_guard lock(mutex_);
  return touches_;
}

base::Result<store::OpenBlob> MemoryStore::open_blob(const base::Digest& digest) {
  const std::lock_guard lock(mutex_);
  const auto it = blobs_.find(digest);
  if (it == blobs_.end()) return Error(ErrorKind::not_found, "no such blob");
  if (refuse_blobs_) return *refuse_blobs_;
  if (it->second.damaged) return Error(ErrorKind::corrupt, "the file was touched");
  return store::OpenBlob(it->second.file, it->second.size, nullptr);
}

std::optional<store::BlobRecord> MemoryStore::find_blob(const base::Digest& digest) const {
  const std::lock_guard lock(mutex_);
  const auto it = blobs_.find(digest);
  if (it == blobs_.end()) return std::nullopt;
  store::BlobRecord record;
  record.size = it->second.size;
  return record;
}

std::optional<store::ManifestRecord> MemoryStore::find_manifest(const base::Digest& digest) const {
  const std::lock_guard lock(mutex_);
  const auto it = manifests_.find(digest);
  if (it == manifests_.end()) return std::nullopt;
  auto record = it->second;
  record.bytes = std::make_shared<const std::string>(*record.bytes);  // a copy, as from disk
  return record;
}

std::optional<store::TagRecord> MemoryStore::find_tag(std::string_view repository, std::string_view tag) const {
  const std::lock_guard lock(mutex_);
  const auto it = tags_.find({std::string(repository), std::string(tag)});
  return it == tags_.end() ? std::nullopt : std::optional(it->second);
}

std::optional<LinkRecord> MemoryStore::find_link(std::string_view repository, const base::Digest& digest) const {
  const std::lock_guard lock(mutex_);
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
  const auto it = states_.find(std::string(key));
  return it == states_.end() ? std::nullopt : std::optional(it->second);
}

std::vector<std::string> MemoryStore::list_repositories(std::string_view last, std::size_t limit) const {
  const std::lock_guard lock(mutex_);
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

store::Usage MemoryStore::usage() const {
  const std::lock_guard lock(mutex_);
  store::Usage usage;
  usage.blobs = blobs_.size();
  for (const auto& [digest, blob] : blobs_) usage.blob_bytes += blob.size;
  usage.manifests = manifests_.size();
  usage.tags = tags_.size();
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

}  // namespace shoal::test
