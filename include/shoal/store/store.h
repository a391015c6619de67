// Store: blob files on disk and the LMDB index, behind one interface. DESIGN section 6.
//
// Threads: reads (find_*, open_blob, list_*) from any thread, they do not wait for writers. commit() from any thread:
// one index-writer thread groups what is waiting into one LMDB transaction. File work runs on the `disk` executor.
// The Store outlives everything it handed out except OpenBlob and File, which stand on their own.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "shoal/base/byte_source.h"
#include "shoal/base/clock.h"
#include "shoal/base/digest.h"
#include "shoal/base/loop.h"
#include "shoal/base/result.h"
#include "shoal/obs/event.h"
#include "shoal/store/hosted.h"
#include "shoal/store/records.h"

namespace shoal::store {

struct StoreOptions {
  std::string path;
  std::uint64_t max_size = 0;                      // bytes of blobs and fills; 0: no limit but min_free
  std::uint64_t min_free = 1024ULL * 1024 * 1024;  // keep so much free on the filesystem
  double high_watermark = 0.95;                    // of max_size: start evicting
  double low_watermark = 0.90;                     // ... down to here
  std::uint64_t index_size = 4ULL << 30;           // LMDB map; address space, not memory
  std::uint64_t quarantine_size = 256ULL << 20;
  std::chrono::hours fill_max_age{24 * 7};  // an abandoned fill older than this is removed
  std::chrono::hours upload_max_age{24};    // a push that nobody went on with
  std::size_t max_uploads = 10'000;         // pushes in progress
};

// A complete, verified blob: open file + size. While one lives, eviction leaves the blob alone.
class OpenBlob {
 public:
  OpenBlob(std::shared_ptr<const base::File> file, std::uint64_t size, std::shared_ptr<void> lease)
      : file_(std::move(file)), size_(size), lease_(std::move(lease)) {}
  [[nodiscard]] const std::shared_ptr<const base::File>& file() const { return file_; }
  [[nodiscard]] std::uint64_t size() const { return size_; }

 private:
  std::shared_ptr<const base::File> file_;
  std::uint64_t size_;
  std::shared_ptr<void> lease_;
};

// Where pieces of a fill that are proven already are written, in any order. Any thread, several at once. Shared: its
// users may outlive the fill; then write() answers ErrorKind::cancelled, as it does once the fill publishes, starts
// over or keeps nothing more.
class PieceWriter {
 public:
  virtual ~PieceWriter() = default;
  [[nodiscard]] virtual const std::shared_ptr<const base::File>& file() const = 0;  // never null; same for its life
  // ErrorKind::full: no room within the limits or on the disk; the fill goes on. Blocks. Overlapping what append()
  // writes at the same time is the caller's mistake (claims prevent it).
  [[nodiscard]] virtual base::Result<void> write(std::uint64_t offset, std::string_view bytes) = 0;
};

// The growing file of one blob under fills/. One owner, one loop: all methods and callbacks there; the disk work runs
// in order on the disk executor. Dropping it keeps the file, to be resumed: what append() and absorb() have reached,
// not the pieces ahead of that. At most one per digest exists (the mirror's single flight); begin_fill answers
// ErrorKind::busy otherwise.
class FillFile {
 public:
  template <class T>
  using Done = base::UniqueFunction<void(base::Result<T>)>;  // once, later, on the owner's loop; not after destruction

  virtual ~FillFile() = default;

  // Finds what an earlier run kept (fills/<hex>, or a blob file whose record is missing or no longer matches), hashes
  // it again, and answers how many bytes there are. Call first. `size`: of the whole blob if known; a kept file longer
  // than that is thrown away. An error means no file can be made: the fill still hashes, each append answers full.
  virtual void open(std::optional<std::uint64_t> size, Done<std::uint64_t> done) = 0;

  // Writes and hashes behind what is there. Any number may be queued; `done` tells the new length. ErrorKind::full: the
  // disk is full, the bytes of this and of every later append were not kept (what was written before is still good to
  // read); the hash has gone on with them all, so verify() still tells the truth.
  // `bytes` is shared because a fill that could not keep them (full) passes them on from memory.
  virtual void append(std::shared_ptr<const std::string> bytes, Done<std::uint64_t> done) = 0;

  // Null before open() is done, when bytes are not kept any more (full, discard()), and for fills without a file.
  [[nodiscard]] virtual std::shared_ptr<PieceWriter> pieces() = 0;

  // Takes what pieces() has written behind the present length, up to `end`, into the running hash (reads it from the
  // page cache, <=1 MiB a turn of the strand), so that append() and verify() go on from there. In order with append().
  // `done`: the new length. `end` at or below the length: nothing to do, answers the length. An unreadable file or one
  // that ends before `end`: ErrorKind::corrupt (start over). ErrorKind::full, as for append(): bytes before these were
  // not kept; these can be read from the file all the same, and the hash has gone on with them.
  virtual void absorb(std::uint64_t end, Done<std::uint64_t> done) = 0;

  // After the last append: is it the digest? Quick.
  virtual void verify(Done<bool> done) = 0;

  // Only after verify() said true and nothing was lost: sync, move to blobs/, record in the index. When `done` comes, a
  // kill or a power cut leaves the blob in place. `repository` gets a proven link in the same transaction.
  // ErrorKind::corrupt: the disk may not have taken the bytes; the file is good only while it is in the page cache.
  virtual void publish(std::string repository, Done<OpenBlob> done) = 0;

  // What is there is wrong: put it into quarantine (or delete it) under `reason` and start over with a new, empty file;
  // readers that hold file() keep the old one.
  virtual void restart(std::string reason, Done<void> done) = 0;

  // Keep nothing more (each further append answers full) and delete the file when this object goes: the blob passes
  // through, or upstream says 404. What was written stays readable until then.
  virtual void discard() = 0;

  [[nodiscard]] virtual std::shared_ptr<const base::File> file() const = 0;  // null before open() is done
};

struct Usage {
  std::uint64_t blob_bytes = 0;
  std::uint64_t blobs = 0;
  std::uint64_t fill_bytes = 0;
  std::uint64_t manifests = 0;
  std::uint64_t tags = 0;
  std::uint64_t index_used = 0;  // bytes of index_size
  std::uint64_t index_size = 0;
  std::uint64_t free_bytes = 0;     // of the filesystem, sampled
  std::uint64_t room_bytes = 0;     // the largest blob that could be kept if all went that may; UINT64_MAX: not known
  std::uint64_t evicted_blobs = 0;  // since start
  std::uint64_t evicted_bytes = 0;
  std::uint64_t quarantined = 0;
  std::uint64_t read_errors = 0;   // of stored blobs, by the disk
  std::uint64_t write_errors = 0;  // but for want of room
  bool read_only = false;
  std::string read_only_reason;
};

// What one step of the scrubber saw.
struct ScrubReport {
  std::uint64_t blobs = 0;           // looked at to their end
  std::uint64_t bytes = 0;           // read
  std::uint64_t damaged = 0;         // not held any more
  std::uint64_t renewed = 0;         // sound, but another file than the one recorded
  std::vector<std::string> names{};  // digests of the damaged, at most 100
  bool whole = false;                // that was the end of a pass; the next step begins another
  bool unreadable = false;           // the index: the step ended where nobody knows what comes next
};

// What RemoveRepository would do to a mirrored repository. What another one shows, is pinned or in use stays.
struct RemovalForecast {
  std::uint64_t tags = 0;
  std::uint64_t manifests = 0;  // that go
  std::uint64_t blobs = 0;
  std::uint64_t bytes = 0;  // of those blobs
  std::uint64_t blobs_shared = 0;
  std::uint64_t bytes_shared = 0;
  std::uint64_t blobs_pinned = 0;
  std::uint64_t bytes_pinned = 0;
  std::uint64_t blobs_in_use = 0;  // go when nobody reads them any more: eviction's first choice
  std::uint64_t bytes_in_use = 0;
};

enum class Admission { keep, pass_through };

// What is answered where nobody knows what the store holds. See ReadWatch.
[[nodiscard]] inline base::Error unreadable_index() { return {base::ErrorKind::gone, "the index cannot be read"}; }

class Store {
 public:
  // Makes the layout if absent; refuses a FORMAT it does not know and a directory in use by another process. Rolls back
  // nothing: starts in time independent of the number of blobs. `events` hears of evictions and of what the garbage
  // collector removes; it outlives the store.
  [[nodiscard]] static base::Result<std::unique_ptr<Store>> open(StoreOptions options, base::Executor& disk,
                                                                 base::Clock& clock,
                                                                 obs::EventSink& events = obs::no_events());
  virtual ~Store() = default;  // commits what waits, stops the writer

  // --- reads ---
  // ErrorKind::not_found: no such blob. ErrorKind::corrupt: there is one, but its file is not the one that was
  // verified (missing, short, touched) or cannot be read: go on as a miss, a fill will check and heal it.
  [[nodiscard]] virtual base::Result<OpenBlob> open_blob(const base::Digest& digest) = 0;
  [[nodiscard]] virtual std::optional<BlobRecord> find_blob(const base::Digest& digest) const = 0;
  [[nodiscard]] virtual std::optional<ManifestRecord> find_manifest(const base::Digest& digest) const = 0;
  [[nodiscard]] virtual std::optional<TagRecord> find_tag(std::string_view repository, std::string_view tag) const = 0;
  [[nodiscard]] virtual std::optional<LinkRecord> find_link(std::string_view repository,
                                                            const base::Digest& digest) const = 0;
  [[nodiscard]] virtual std::optional<base::WallTime> find_absent(std::string_view repository,
                                                                  std::string_view reference) const = 0;
  [[nodiscard]] virtual std::optional<std::string> find_state(std::string_view key) const = 0;
  // States whose keys begin with `prefix`, in byte order of the key, strictly after `last`.
  using States = std::vector<std::pair<std::string, std::string>>;
  [[nodiscard]] virtual States list_states(std::string_view prefix, std::string_view last, std::size_t limit) const = 0;

  // In byte order, strictly after `last`, at most `limit`.
  [[nodiscard]] virtual std::vector<std::string> list_repositories(std::string_view last, std::size_t limit) const = 0;
  [[nodiscard]] virtual std::vector<std::pair<std::string, TagRecord>> list_tags(std::string_view repository,
                                                                                 std::string_view last,
                                                                                 std::size_t limit) const = 0;
  [[nodiscard]] virtual std::vector<std::pair<base::Digest, BlobRecord>> list_blobs(
      const std::optional<base::Digest>& last, std::size_t limit) const = 0;
  [[nodiscard]] virtual std::vector<base::Digest> list_manifests(const std::optional<base::Digest>& last,
                                                                 std::size_t limit) const = 0;
  [[nodiscard]] virtual Usage usage() const = 0;
  // Reads that failed, since the start: see ReadWatch. Cheap.
  [[nodiscard]] virtual std::uint64_t failed_reads() const { return 0; }

  // --- writes ---
  // `done` (may be empty) is posted to `on` when the writes are durable, or with the error; all are written or none.
  virtual void commit(std::vector<Write> writes, base::Executor& on,
                      base::UniqueFunction<void(base::Result<void>)> done) = 0;
  virtual void touch_blob(const base::Digest& digest) = 0;      // last use and uses; cheap, batched
  virtual void touch_manifest(const base::Digest& digest) = 0;  // the same for manifests

  // Repositories of our own. Lives as long as the store.
  [[nodiscard]] virtual Hosted& hosted() = 0;

  // --- files ---
  [[nodiscard]] virtual base::Result<std::unique_ptr<FillFile>> begin_fill(const base::Digest& digest,
                                                                           base::Loop& loop) = 0;
  // Is there, or can eviction make, room for a blob of that size? Starts evicting ahead of need. Cheap.
  [[nodiscard]] virtual Admission admit(std::uint64_t size) = 0;
  // The same question, but nothing is evicted: nobody has begun to send it, and perhaps nobody will.
  [[nodiscard]] virtual Admission would_admit(std::uint64_t size) = 0;
  // The disk failed a read of `file`, which open_blob gave; nothing comes of it if it is not the blob's file any more.
  // From then on open_blob answers corrupt, until a fill or a push has put another file there or a scrub has read this
  // one; for what is hosted only a few seconds, as nobody may ever push it again. Any thread; does not wait.
  virtual void report_unreadable(const base::Digest& digest, const base::File& file, const base::Error& why) = 0;
  // Hashes stored blobs again, from where the last step ended, about `max_bytes` of them. What is damaged goes into
  // quarantine. Blocks: call on the pool; a second caller waits for the first.
  [[nodiscard]] virtual ScrubReport scrub(std::uint64_t max_bytes) = 0;
  virtual void restart_scrub() {}  // the next step begins a pass
  // Removes a blob's file and record unless in use or pinned (ErrorKind::busy). Blocks: call on the pool.
  [[nodiscard]] virtual base::Result<void> remove_blob(const base::Digest& digest) = 0;
  // The blob that remove_blob would take now; else its refusal.
  [[nodiscard]] virtual base::Result<BlobRecord> find_removable(const base::Digest& digest) const = 0;
  // Walks the repository's links: on the pool. An error when the index cannot be read.
  [[nodiscard]] virtual base::Result<RemovalForecast> foresee_removal(std::string_view repository) const = 0;
  // max_size, min_free and the watermarks, from now on; evicts if they ask for it. Any thread; does not wait.
  virtual void set_limits(const StoreOptions& options) { (void)options; }
};

// What the store's reads have not found since this was made is not there, unless one of them failed: then the index
// could not be read, and nothing is known. A failure of somebody else's read counts, too.
class ReadWatch {
 public:
  explicit ReadWatch(const Store& store) : store_(store), before_(store.failed_reads()) {}
  [[nodiscard]] bool failed() const { return store_.failed_reads() != before_; }

 private:
  const Store& store_;
  const std::uint64_t before_;
};

}  // namespace shoal::store
