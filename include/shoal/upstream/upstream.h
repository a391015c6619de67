// Upstream: one registry as a client of it sees it. Token auth, failover between URLs, rate-limit budget, health, and
// what each answer means. It makes ONE attempt per call (an auth round trip and the next URL aside); trying again later
// is the caller's policy (mirror), with RetryPolicy's pure help.
//
// An Upstream belongs to one loop. Its instances on the other loops share one UpstreamState (tokens, health, budget).
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "shoal/base/clock.h"
#include "shoal/base/digest.h"
#include "shoal/base/loop.h"
#include "shoal/base/result.h"
#include "shoal/base/time_window.h"
#include "shoal/fetch/client.h"

namespace shoal::upstream {

struct Credentials {  // values, already read; never logged
  std::string username;
  std::string password;
  std::string bearer;  // a fixed token instead
  [[nodiscard]] bool empty() const { return username.empty() && bearer.empty(); }
};

struct TagPolicy {
  std::chrono::seconds ttl{60};                     // serve without asking
  std::chrono::seconds stale_while_revalidate{0};   // after ttl: serve, refresh behind
  std::chrono::seconds stale_if_error{7 * 86400};   // after ttl: serve if upstream fails
  std::chrono::seconds negative_ttl{10};            // remember a 404
  std::chrono::milliseconds revalidate_wait{3000};  // with a stale copy in hand, wait so long for upstream
};

struct UpstreamOptions {
  std::string name;               // "docker.io": the registry, as in names and logs
  std::vector<std::string> urls;  // "https://registry-1.docker.io"; tried in order
  Credentials credentials;
  std::vector<std::string> auth_realms;  // further hosts that may get the credentials (Bearer realm elsewhere)
  fetch::TlsTrust tls;
  std::string proxy;
  std::string no_proxy;
  std::string library_prefix;  // "library/" for docker.io: put before a name without a slash
  std::chrono::milliseconds connect_timeout{5'000};
  std::chrono::milliseconds first_byte_timeout{15'000};
  std::chrono::milliseconds stall_timeout{15'000};
  std::uint64_t min_bytes_per_second = 1024;
  std::uint64_t max_rate = 0;  // bytes a second of all blob GETs, over all loops; 0: no limit
  struct RateWindow {
    base::TimeWindow when;
    std::uint64_t max_rate = 0;
  };
  std::vector<RateWindow> windows;  // the first that holds takes max_rate's place
  std::size_t max_fetches = 16;     // blob GETs at once over all loops; further ones wait in order
  int rate_limit_reserve = 0;  // keep so many pulls of `ratelimit-remaining`: below it, stale tags are served unasked
  TagPolicy tags;
  std::size_t max_manifest_bytes = 4 * 1024 * 1024;
  std::uint64_t max_blob_bytes = 0;  // refuse larger ones; 0: no limit. The mirror's to enforce
  unsigned retries = 5;              // of a failed request, after the first attempt. The mirror's to perform
};

// The bytes a second that blobs may take then. Pure.
[[nodiscard]] std::uint64_t rate_at(const UpstreamOptions& options, base::LocalTime time);

// How an upstream's answer failed. The kind tells the reaction; status and retry_after help to explain.
struct Failure {
  enum class Kind {
    not_found,     // 404 by the registry itself
    denied,        // 401/403 although we presented what we have: our credentials or rights
    rate_limited,  // 429; retry_after if it said
    unavailable,   // refused, reset, 5xx, DNS, TLS, proxy
    timeout,       // connect, first byte or stall
    bad_answer,    // wrong length, wrong digest, HTML, broken JSON, too large
  };
  Kind kind = Kind::unavailable;
  int status = 0;  // 0: no HTTP answer
  std::optional<std::chrono::seconds> retry_after;
  std::string message;   // "docker.io (https://registry-1.docker.io): connect: connection refused"
  bool lasting = false;  // asking again soon will not help: a certificate that is not trusted, a missing CA file
};

template <class T>
using Outcome = std::variant<T, Failure>;

struct ManifestHead {                  // answer to HEAD
  std::optional<base::Digest> digest;  // upstream may not say
  std::string media_type;
  std::optional<std::uint64_t> size;
  bool head_refused = false;  // 405 and the like: ask with GET
};

struct Manifest {  // verified: `digest` is the hash of `bytes`, and the one asked for if asked by digest
  base::Digest digest;
  std::string media_type;  // upstream's, or the body's mediaType when that is missing or generic
  std::shared_ptr<const std::string> bytes;
  std::vector<std::string> warnings;  // Warning headers
  // Set when it is larger than kReadOnLoop: then it is known to be what the digest says, and no more. read_large() does
  // the rest, off the loop.
  struct Unread {
    std::string about;  // URL and upstream, for errors
    std::string content_type;
    bool by_tag = false;
  };
  std::optional<Unread> unread{};
};
inline constexpr std::size_t kReadOnLoop = 64 * 1024;

struct BlobHead {
  std::optional<std::uint64_t> size;
};

// Receives one blob transfer.
class BlobSink {
 public:
  virtual ~BlobSink() = default;
  // Once, first, after a usable answer. `offset`: where the bytes begin: the one asked for, or 0 when upstream ignored
  // Range. `total`: size of the whole blob, if upstream told.
  virtual void on_start(std::uint64_t offset, std::optional<std::uint64_t> total) = 0;
  virtual fetch::Flow on_data(std::string_view bytes) = 0;
  // Last. No Failure: the answer arrived whole (by its own Content-Length). The digest is the caller's to check.
  virtual void on_end(std::optional<Failure> failure) = 0;
};

struct TagPage {  // tags/list and referrers pass through
  std::string body;
  std::string content_type;
  std::string next;                                          // query of the Link rel="next", without '?'; "" at the end
  std::vector<std::pair<std::string, std::string>> headers;  // OCI-Filters-Applied and the like
};

struct Health {       // for metrics, status and the mirror's decisions
  bool open = false;  // circuit open: recent calls failed; calls are still made (as probes) but nobody should wait long
  bool lasting = false;  // open, and failing for longer than a short burst of errors: fewer retries make sense
  unsigned consecutive_failures = 0;
  std::optional<base::WallTime> failing_since;
  std::string last_error;
  std::string refused;  // why it last refused the configured credentials; "": it has answered with what was asked since
  std::optional<std::int64_t> rate_limit_remaining;
  std::optional<std::int64_t> rate_limit_limit;
  std::optional<base::WallTime> rate_limited_until;  // from a 429's Retry-After
};

// One running call; dropping it cancels.
class Call {
 public:
  class Impl {
   public:
    virtual ~Impl() = default;
    virtual void resume() {}
  };
  Call() = default;
  explicit Call(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
  void resume() { impl_->resume(); }
  void cancel() { impl_.reset(); }
  [[nodiscard]] bool running() const { return impl_ != nullptr; }

 private:
  std::unique_ptr<Impl> impl_;
};

class UpstreamState;  // shared by the loops; thread-safe; see upstream/state.h

// The seam the mirror sees; tests have a fake. All callbacks: once, later, on the loop that called.
class Registry {
 public:
  template <class T>
  using Done = base::UniqueFunction<void(Outcome<T>)>;

  virtual ~Registry() = default;
  [[nodiscard]] virtual const UpstreamOptions& options() const = 0;
  [[nodiscard]] virtual Health health() const = 0;

  // `repository` is upstream's own path ("library/nginx"). `reference`: a tag or "sha256:...".
  [[nodiscard]] virtual Call head_manifest(std::string_view repository, std::string_view reference,
                                           Done<ManifestHead> done) = 0;
  [[nodiscard]] virtual Call get_manifest(std::string_view repository, std::string_view reference,
                                          Done<Manifest> done) = 0;
  [[nodiscard]] virtual Call head_blob(std::string_view repository, const base::Digest& digest,
                                       Done<BlobHead> done) = 0;
  // Bytes from `offset` on. `expected_size`: from the manifest, if known; an answer of another size is bad_answer.
  // `source` (0, 1, 2, ...) rotates the URL to start with: pass the attempt's number.
  [[nodiscard]] virtual Call get_blob(std::string_view repository, const base::Digest& digest, std::uint64_t offset,
                                      std::optional<std::uint64_t> expected_size, unsigned source, BlobSink& sink) = 0;
  // `query`: raw, without '?' ("n=100&last=v1").
  [[nodiscard]] virtual Call list_tags(std::string_view repository, std::string_view query, Done<TagPage> done) = 0;
  [[nodiscard]] virtual Call referrers(std::string_view repository, const base::Digest& digest, std::string_view query,
                                       Done<TagPage> done) = 0;
  // The digest of what get_blob brought was wrong: counts against that URL's health.
  virtual void report_corrupt(std::string_view what) = 0;
};

// One per upstream, before any loop runs. `home` runs the token requests: exactly one at a time per token key.
[[nodiscard]] std::shared_ptr<UpstreamState> make_state(UpstreamOptions options, base::Clock& clock);
// `client` belongs to `loop`; `home_client`/`home` to the loop that asks for tokens (the same for all instances).
[[nodiscard]] std::unique_ptr<Registry> make_registry(std::shared_ptr<UpstreamState> state, base::Loop& loop,
                                                      fetch::Client& client, base::Loop& home,
                                                      fetch::Client& home_client);

// Of a manifest with `unread`: is it one, of which type, and by which digest is it known? Pool only.
[[nodiscard]] Outcome<Manifest> read_large(Manifest manifest);

// How long to wait before attempt `attempt` (1 = the first retry) after `failure`; nullopt: give up, or it is final
// (not_found, denied). Honours Retry-After up to `cap`. Pure.
struct RetryPolicy {
  unsigned max_attempts = 6;
  std::chrono::milliseconds base_delay{150};
  std::chrono::milliseconds max_delay{2'000};
  std::chrono::milliseconds retry_after_cap{5'000};
};
[[nodiscard]] std::optional<std::chrono::milliseconds> next_delay(const RetryPolicy& policy, const Failure& failure,
                                                                  unsigned attempt);
// `policy` with the upstream's number of retries; before anything came, one more try is enough where more will not
// help.
[[nodiscard]] RetryPolicy policy_for(RetryPolicy policy, const Registry& upstream, const Failure& failure,
                                     bool began = false);

}  // namespace shoal::upstream
