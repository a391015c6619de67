// Hosted: the side of the store that holds repositories of our own: pushes in progress, and what was pushed. DESIGN 6.
//
// What a hosted repository links to is never evicted. Everything acknowledged here (a `done` without error) survives a
// kill and a power cut. Reads of content go through Store (find_link, find_blob, open_blob, find_tag, find_manifest,
// list_tags): a hosted repository's canonical name is its bare path, and its links have `hosted` set.
//
// Threads: as Store. `done` is posted to `on` (a loop, usually) and runs once.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "shoal/base/digest.h"
#include "shoal/base/loop.h"
#include "shoal/base/result.h"
#include "shoal/store/records.h"

namespace shoal::store {

// One push in progress: uploads/<id>. Loop-bound like FillFile; disk work and hashing run in order on the disk
// executor. Dropping it keeps the session, to be resumed by anyone who knows its id. At most one object per session is
// in charge: resume_upload() takes over, and what the former one does afterwards answers ErrorKind::cancelled.
class Upload {
 public:
  template <class T>
  using Done = base::UniqueFunction<void(base::Result<T>)>;  // once, later, on the owner's loop; not after destruction

  virtual ~Upload() = default;
  [[nodiscard]] virtual const std::string& id() const = 0;
  // How many bytes the session has, after everything queued before. A session of an earlier run is hashed again first.
  virtual void length(Done<std::uint64_t> done) = 0;
  // Writes and hashes behind what is there; answers the new length. ErrorKind::full: no room (disk or max_size; the
  // session keeps what it had).
  virtual void append(std::shared_ptr<const std::string> bytes, Done<std::uint64_t> done) = 0;
  // Checks the digest (any algorithm we know), makes the blob durable, links it to the repository as hosted and ends
  // the session. ErrorKind::corrupt: the bytes are not that digest; the session is over and its bytes are gone.
  virtual void finish(const base::Digest& digest, Done<void> done) = 0;
  virtual void cancel(Done<void> done) = 0;  // removes the session
};

struct Referrer {
  base::Digest digest;     // of the manifest that names the subject
  std::string descriptor;  // JSON: mediaType, digest, size, artifactType, annotations
};

// A manifest that was pushed, checked by serve: bytes match `digest`, the syntax is right.
struct ManifestPush {
  std::string repository;
  base::Digest digest;
  std::string media_type;
  std::shared_ptr<const std::string> bytes;
  std::vector<std::string> tags;     // set to it; in the same transaction
  std::vector<base::Digest> needed;  // blobs and manifests that the repository must show, looked at in the transaction
  std::optional<base::Digest> subject;  // this manifest is its referrer
  std::string descriptor;               // ... described so, see Referrer
  std::vector<std::string> fixed_tags;  // of `tags`: refuse (ErrorKind::denied) if one exists with another digest
};

struct HostedRepository {
  std::string name;
  std::uint64_t tags = 0;
  std::uint64_t manifests = 0;
  std::uint64_t bytes = 0;  // of the blobs and manifests it links to; shared ones count in each
};

// One round of the garbage collector over the hosted repositories. See src/store/README.md for what is garbage.
struct GcOptions {
  bool dry_run = false;
  bool untagged = false;                  // also manifests that no tag leads to (nor a subject that stays)
  std::chrono::seconds grace{24 * 3600};  // younger links stay: a push may be about to name them
};
struct GcReport {
  std::uint64_t repositories = 0;
  std::uint64_t manifests_removed = 0;
  std::uint64_t links_removed = 0;  // blobs that a repository no longer shows
  std::uint64_t blobs_removed = 0;  // files
  std::uint64_t bytes_freed = 0;
  std::uint64_t uploads_removed = 0;
};

class Hosted {
 public:
  using Done = base::UniqueFunction<void(base::Result<void>)>;
  virtual ~Hosted() = default;

  // --- uploads ---
  // ErrorKind::busy: too many sessions (StoreOptions::max_uploads).
  [[nodiscard]] virtual base::Result<std::unique_ptr<Upload>> begin_upload(const std::string& repository,
                                                                           base::Loop& loop) = 0;
  // ErrorKind::not_found: no such session in that repository.
  [[nodiscard]] virtual base::Result<std::unique_ptr<Upload>> resume_upload(const std::string& repository,
                                                                            std::string_view id, base::Loop& loop) = 0;

  // --- reads ---
  [[nodiscard]] virtual bool is_hosted(std::string_view repository) const = 0;  // anything was ever pushed there
  // In byte order of the name, strictly after `last`.
  [[nodiscard]] virtual std::vector<std::string> list_hosted(std::string_view last, std::size_t limit) const = 0;
  // In byte order of the digest, strictly after `last`, as many as fit `max_bytes` of descriptors.
  [[nodiscard]] virtual std::vector<Referrer> list_referrers(std::string_view repository, const base::Digest& subject,
                                                             const std::optional<base::Digest>& last,
                                                             std::size_t max_bytes) const = 0;
  // When the manifest was last asked for; nullopt: not since it was pushed. May lag by seconds.
  [[nodiscard]] virtual std::optional<base::WallTime> last_pull(const base::Digest& manifest) const = 0;
  [[nodiscard]] virtual HostedRepository measure(std::string_view repository) const = 0;  // walks it: pool only

  // --- writes ---
  // Makes the link's age begin anew, if it is older than a minute: a pusher was told that the content is there, and
  // must find it there for the grace of the next garbage collection. Cheap; does not wait.
  virtual void touch_link(const std::string& repository, const base::Digest& digest) {
    (void)repository;
    (void)digest;
  }
  // Links the blob as hosted to `repository`. `from` "": from any hosted repository. ErrorKind::not_found: `from` does
  // not show it, or its file is gone.
  virtual void mount(const std::string& repository, const base::Digest& digest, const std::string& from,
                     base::Executor& on, Done done) = 0;
  // ErrorKind::not_found: one of `needed` is not in the repository; the message is its digest alone.
  virtual void put_manifest(ManifestPush push, base::Executor& on, Done done) = 0;
  // The tag alone. not_found when there is none.
  virtual void remove_tag(const std::string& repository, const std::string& tag, base::Executor& on, Done done) = 0;
  // The same, unless it leads to another manifest meanwhile: then nothing happens, without error.
  virtual void remove_tag_of(const std::string& repository, const std::string& tag, const base::Digest& digest,
                             base::Executor& on, Done done) = 0;
  // Manifest with its tags and its entries among referrers; or a blob. The repository no longer shows it; the bytes go
  // when no other repository does. not_found when it does not show it; busy: a manifest of the repository needs the
  // blob.
  virtual void remove_content(const std::string& repository, const base::Digest& digest, base::Executor& on,
                              Done done) = 0;

  // --- life cycle ---
  // In steps on the disk executor beside everything else; `done` on `on`. One at a time: busy.
  virtual void collect_garbage(GcOptions options, base::Executor& on,
                               base::UniqueFunction<void(base::Result<GcReport>)> done) = 0;
};

}  // namespace shoal::store
