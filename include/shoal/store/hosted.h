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
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
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

// What remove_content may take.
struct Removal {
  // Only what the repository knows as a manifest (true) or as a blob (false); nullopt: either.
  std::optional<bool> manifest = std::nullopt;
  // Tags that stay, with the manifest they lead to and, if that is an index, all that it leads to; empty: none do.
  // Runs on pool threads.
  std::function<bool(std::string_view tag)> is_fixed = nullptr;
};

struct HostedRepository {
  std::string name;
  std::uint64_t tags = 0;
  std::uint64_t manifests = 0;
  std::uint64_t bytes = 0;  // of the blobs and manifests it links to; shared ones count in each
};

// What a dry run takes for done in a repository.
struct Supposed {
  std::map<std::string, base::Digest, std::less<>> tags{};  // gone as release_tag does it, where they still lead there
  std::set<base::Digest> manifests{};                       // removed, however young
};

// One round of the garbage collector over the hosted repositories. See src/store/README.md for what is garbage.
struct GcOptions {
  bool dry_run = false;
  bool untagged = false;  // also manifests that no tag leads to (nor a subject that stays), released or not
  std::chrono::seconds grace{24 * 3600};  // younger links stay: a push may be about to name them
  // Of dry runs: asked once for each repository, on the round's executor; an error ends the round.
  std::function<base::Result<Supposed>(const std::string& repository)> suppose = nullptr;
  // The same: this repository alone, and of it only what the supposed led to; "": all garbage everywhere.
  std::string only = {};
};
struct GcReport {
  std::uint64_t repositories = 0;
  std::uint64_t manifests_removed = 0;
  std::uint64_t links_removed = 0;  // blobs that a repository no longer shows
  std::uint64_t blobs_removed = 0;  // files
  std::uint64_t bytes_freed = 0;
  std::uint64_t uploads_removed = 0;
  std::uint64_t repositories_removed = 0;  // nothing is left in them: no longer listed
  // Of dry runs: blobs that lose links and stay, because a repository shows them still or they are pinned.
  std::uint64_t blobs_shared = 0;
  std::uint64_t bytes_shared = 0;
  std::vector<std::string> manifests{};  // of dry runs: "repository@digest", at most 1,000
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
  // The same, and the names of a repository's tags; an error when the index cannot be read, so that a list that was
  // cut short is not taken for a whole one.
  [[nodiscard]] virtual base::Result<std::vector<std::string>> read_hosted(std::string_view last,
                                                                           std::size_t limit) const = 0;
  [[nodiscard]] virtual base::Result<std::vector<std::string>> read_tags(std::string_view repository,
                                                                         std::string_view last,
                                                                         std::size_t limit) const = 0;
  // The same with what the tags lead to, for who decides by it what goes.
  using Tagged = std::vector<std::pair<std::string, TagRecord>>;
  [[nodiscard]] virtual base::Result<Tagged> read_tagged(std::string_view repository, std::string_view last,
                                                         std::size_t limit) const = 0;
  // In byte order of the digest, strictly after `last`, as many as fit `max_bytes` of descriptors.
  [[nodiscard]] virtual std::vector<Referrer> list_referrers(std::string_view repository, const base::Digest& subject,
                                                             const std::optional<base::Digest>& last,
                                                             std::size_t max_bytes) const = 0;
  // When the manifest was last asked for; nullopt: not since it was pushed. May lag by seconds. An error when the index
  // cannot be read.
  [[nodiscard]] virtual base::Result<std::optional<base::WallTime>> last_pull(const base::Digest& manifest) const = 0;
  // Walks it: pool only. An error when the index cannot be read.
  [[nodiscard]] virtual base::Result<HostedRepository> measure(std::string_view repository) const = 0;

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
  // For retention: the same, unless it leads to another manifest meanwhile: then nothing happens, without error. The
  // manifest is released: unless it is pushed again, the next garbage collection takes it as if GcOptions::untagged
  // were set for it, with what only it leads to.
  virtual void release_tag(const std::string& repository, const std::string& tag, const base::Digest& digest,
                           base::Executor& on, Done done) = 0;
  // Manifest with its tags and its entries among referrers; or a blob. The repository no longer shows it; the bytes go
  // when no other repository does. not_found when it does not show it, or not as what `removal` says; busy: a manifest
  // of the repository needs the blob, or the repository keeps changing; denied: a tag that is fixed leads to it, at the
  // moment of the removal: the message is the tag alone.
  virtual void remove_content(const std::string& repository, const base::Digest& digest, Removal removal,
                              base::Executor& on, Done done) = 0;

  // --- life cycle ---
  // In short steps on `on`, beside everything else, and `done` there. They read the index and wait for commits: `on` is
  // a pool, best one that gives way to other work, and outlives the store. One at a time, and a few dry runs: busy.
  virtual void collect_garbage(GcOptions options, base::Executor& on,
                               base::UniqueFunction<void(base::Result<GcReport>)> done) = 0;
};

}  // namespace shoal::store
