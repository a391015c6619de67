// Mirror: the heart. Opens a blob or a manifest of a mirrored repository: from the store, by joining what is being
// fetched, or by fetching it. One upstream fetch per object, whoever asks, however often. DESIGN sections 5 to 7.
//
// Threads: one Shard per event loop inside. Requests come in on any server loop; what must be single flight runs on the
// loop that owns the digest (blobs) or the repository (manifests); answers come back on the loop that asked.
// Made before the loops start and destroyed after they stopped; stop() in between.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "shoal/base/byte_range.h"
#include "shoal/base/byte_source.h"
#include "shoal/base/clock.h"
#include "shoal/base/digest.h"
#include "shoal/base/loop.h"
#include "shoal/mirror/origins.h"
#include "shoal/obs/event.h"
#include "shoal/obs/metrics.h"
#include "shoal/p2p/neighbours.h"
#include "shoal/registry/name.h"
#include "shoal/store/store.h"
#include "shoal/upstream/upstream.h"

namespace shoal::mirror {

struct MirrorOptions {
  std::chrono::milliseconds header_wait{
      20'000};  // size known: send the head after so long if upstream is only slow; 503 if it failed
  std::chrono::milliseconds answer_wait{20'000};      // otherwise say 503
  std::size_t spill_memory = 4 << 20;                 // of a blob that cannot be kept, per fill
  std::chrono::milliseconds laggard_patience{5'000};  // with that memory full, others wait so long for a slow reader
  std::size_t write_queue = 4 << 20;                  // bytes on their way to the disk, per fill
  bool keep_filling = true;                           // when the last reader has left
  std::size_t max_fills = 4096;                       // per loop; beyond: 503
  std::size_t max_waiting = 65536;                    // requests waiting for upstream, per loop; beyond: 503
  upstream::RetryPolicy retry;
};

// Which repository, on which upstream; "" for a hosted one.
struct Target {
  std::string registry;    // "docker.io"
  std::string repository;  // "library/nginx"
  [[nodiscard]] std::string canonical() const { return registry.empty() ? repository : registry + "/" + repository; }
};

// Where an answer came from and why: for Cache-Status, Age, the log and the counters.
struct Provenance {
  enum class Kind {
    hit,          // from the store, fresh
    revalidated,  // from the store, upstream just confirmed it
    stale,        // from the store, past its freshness, by policy; detail says why
    miss,         // fetched for this request
    collapsed,    // joined what another request is fetching
  };
  Kind kind = Kind::hit;
  bool stored = false;                      // miss, collapsed: it is being kept
  std::optional<std::chrono::seconds> age;  // since upstream last confirmed it (tags), or since it was verified
  std::string detail;                       // "" or a short explanation
  bool from_neighbour = false;              // miss, collapsed: of a manifest
};

// Why there is no answer.
struct Refusal {
  enum class Kind { not_found, unavailable, rate_limited, too_large, overloaded };
  Kind kind = Kind::unavailable;
  std::string message;  // for the client: names the upstream and the cause
  std::optional<std::chrono::seconds> retry_after;
};

template <class T>
using Outcome = std::variant<T, Refusal>;

struct ManifestAnswer {
  base::Digest digest;
  std::string media_type;
  std::shared_ptr<const std::string> bytes;
  Provenance provenance;
  std::vector<std::string> warnings;  // upstream's
};

// An open blob. read() as often as wanted (ranges); each source belongs to the loop that asked and outlives the handle.
class Blob {
 public:
  virtual ~Blob() = default;
  [[nodiscard]] virtual std::optional<std::uint64_t> size() const = 0;  // nullopt: upstream does not say; read all
  // False: it is passed on without being kept, so one source reads it once, from some offset to the end.
  [[nodiscard]] virtual bool seekable() const = 0;
  [[nodiscard]] virtual std::unique_ptr<base::ByteSource> read(base::ByteRange range) = 0;
  [[nodiscard]] virtual std::unique_ptr<base::ByteSource> read_all() = 0;
  [[nodiscard]] const Provenance& provenance() const { return provenance_; }
  // Of what its sources have given so far, in that order. Null: all of it is from the store.
  [[nodiscard]] virtual std::shared_ptr<const Origins> origins() const { return nullptr; }

 protected:
  explicit Blob(Provenance provenance) : provenance_(std::move(provenance)) {}
  Provenance provenance_;
};

// A complete blob on disk.
[[nodiscard]] std::unique_ptr<Blob> stored_blob(store::OpenBlob open, Provenance provenance);

struct BlobStat {
  std::uint64_t size = 0;
  Provenance provenance;
};

struct TagPage {
  std::string body;
  std::string content_type;
  std::string next;  // query for the next page, "" at the end
  std::vector<std::pair<std::string, std::string>> headers;
  Provenance provenance;
};

// A request that has not been answered; dropping it cancels the answer (never the fetch others may have joined).
class Pending {
 public:
  virtual ~Pending() = default;
};

// The upstreams of one loop. find() makes instances of patterns on demand; null: not configured.
class UpstreamSet {
 public:
  virtual ~UpstreamSet() = default;
  // Null: not reachable. Shared with the set, which lets go of one only when nobody else holds it; on that loop only.
  [[nodiscard]] virtual std::shared_ptr<upstream::Registry> find(std::string_view registry) = 0;
};

class MirrorProbe;
class Shard;
class Index;

class Mirror {
 public:
  template <class T>
  using Done = base::UniqueFunction<void(Outcome<T>)>;  // once, later, on the asking loop

  struct LoopParts {
    base::Loop& loop;
    UpstreamSet& upstreams;           // used on that loop only
    p2p::Neighbours* site = nullptr;  // the same; null: this node has no neighbours
  };
  // All references outlive the mirror. `disk`: the hash-and-disk pool. `events` hears of blobs that were fetched.
  Mirror(store::Store& store, base::Executor& disk, base::Clock& clock, obs::Metrics& metrics, MirrorOptions options,
         std::vector<LoopParts> loops, obs::EventSink& events = obs::no_events());
  ~Mirror();

  // What the store can answer right now, without waiting: the warm path. Any loop.
  [[nodiscard]] std::optional<ManifestAnswer> try_manifest(const Target& target, const registry::Reference& reference,
                                                           upstream::Registry& upstream);
  [[nodiscard]] std::unique_ptr<Blob> try_blob(const Target& target, const base::Digest& digest);  // null: not warm

  // The same, whatever it takes. `loop`: the calling one.
  [[nodiscard]] std::unique_ptr<Pending> get_manifest(base::Loop& loop, const Target& target,
                                                      const registry::Reference& reference, Done<ManifestAnswer> done);
  [[nodiscard]] std::unique_ptr<Pending> open_blob(base::Loop& loop, const Target& target, const base::Digest& digest,
                                                   Done<std::unique_ptr<Blob>> done);
  [[nodiscard]] std::unique_ptr<Pending> stat_blob(base::Loop& loop, const Target& target, const base::Digest& digest,
                                                   Done<BlobStat> done);
  [[nodiscard]] std::unique_ptr<Pending> list_tags(base::Loop& loop, const Target& target, std::string query,
                                                   Done<TagPage> done);
  [[nodiscard]] std::unique_ptr<Pending> referrers(base::Loop& loop, const Target& target, const base::Digest& digest,
                                                   std::string query, Done<TagPage> done);

  // For neighbours: what is here, or arriving from upstream. Never starts a fetch, asks for no right.
  [[nodiscard]] std::unique_ptr<Pending> peek_blob(base::Loop& loop, const base::Digest& digest,
                                                   Done<std::unique_ptr<Blob>> done);
  [[nodiscard]] bool is_proven(const std::string& canonical, const base::Digest& digest) const;  // any thread

  void set_options(const MirrorOptions& options);  // any thread; for what starts afterwards

  // Stops fetching; what is on disk stays to be resumed, and what is being published is waited for, for ten seconds at
  // most. `stopped` runs (on any loop) when every shard has let go of its fills; the loops must still run. Then stop
  // the loops and destroy the mirror.
  void stop(base::UniqueFunction<void()> stopped);

 private:
  [[nodiscard]] Shard& owner_of(const base::Digest& digest);
  [[nodiscard]] Shard& owner_of(std::string_view canonical);
  base::Clock& clock_;
  std::unique_ptr<MirrorProbe> probe_;
  std::unique_ptr<Index> index_;
  std::vector<std::unique_ptr<Shard>> shards_;
};

}  // namespace shoal::mirror
