// The operator's HTTP surface: health and metrics (on every listener), and the admin API (on admin.listen only).
// One AdminHandler, on the loop of the admin listener; one HealthHandler per loop. What may take time (index walks,
// metrics text, removals) runs on the pool. No TLS and no authentication here: the API belongs on loopback; guard.h
// keeps web pages of the operator's own browser out (DNS rebinding, CSRF).
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "shoal/base/clock.h"
#include "shoal/base/loop.h"
#include "shoal/base/unique_function.h"
#include "shoal/http/server.h"
#include "shoal/notify/notify.h"
#include "shoal/obs/event.h"
#include "shoal/obs/metrics.h"
#include "shoal/p2p/site.h"
#include "shoal/store/store.h"
#include "shoal/sync/retention_run.h"
#include "shoal/upstream/state.h"

namespace shoal::admin {

struct ReloadReport {
  std::vector<std::string> applied;        // keys whose new value is in force
  std::vector<std::string> needs_restart;  // keys whose new value waits for a restart
  std::vector<std::string> errors;         // not empty: nothing was changed
};

struct GcRequest {
  bool dry_run = false;
  bool untagged = false;  // or as configured
};

struct GcOutcome {
  sync::RetentionReport retention;  // came first; all zero without rules
  store::GcReport garbage;
  // Of a dry run: what would go if nothing were younger than the grace.
  store::GcReport in_time{};
  std::chrono::seconds grace{0};
};

// What collections would take because something else went before.
struct GcForecast {
  store::GcReport now;      // one that runs now
  store::GcReport in_time;  // when nothing of it is younger than the grace any more
  std::chrono::seconds grace{0};
  bool untagged = false;  // the node's own collections take manifests without a tag
};

enum class ScrubFrom { where_it_was, the_beginning };

// What the admin API asks the node; app implements it. Any thread.
class NodeView {
 public:
  virtual ~NodeView() = default;
  [[nodiscard]] virtual std::string version() const = 0;
  [[nodiscard]] virtual base::WallTime started() const = 0;
  [[nodiscard]] virtual bool draining() const = 0;
  // "" while every loop turns; else which one does not, and for how long.
  [[nodiscard]] virtual std::string stuck_loop() const = 0;
  [[nodiscard]] virtual std::vector<std::string> addresses() const = 0;  // where clients are served
  [[nodiscard]] virtual std::size_t connections() const = 0;
  [[nodiscard]] virtual std::vector<std::shared_ptr<upstream::UpstreamState>> upstreams() const = 0;
  [[nodiscard]] virtual std::string url() const = 0;  // of the first of them, as a client would write it
  [[nodiscard]] virtual std::optional<p2p::SiteStatus> site() const { return std::nullopt; }  // none: no neighbours
  // The blobs in the swarm; `done` once, on any thread.
  virtual void swarms(base::UniqueFunction<void(std::vector<p2p::SwarmStatus>)> done) const { done({}); }
  [[nodiscard]] virtual std::string config_text() const = 0;               // effective, secrets redacted
  virtual void reload(base::UniqueFunction<void(ReloadReport)> done) = 0;  // `done` once, on any thread
  // The same; may take minutes. ErrorKind::busy: one runs already.
  virtual void collect_garbage(GcRequest request, base::UniqueFunction<void(base::Result<GcOutcome>)> done) = 0;
  // If `gone` had gone from the repository; `untagged`: also by collections that take manifests without a tag, whatever
  // is configured.
  virtual void foresee_garbage(std::string repository, store::Supposed gone, bool untagged,
                               base::UniqueFunction<void(base::Result<GcForecast>)> done) = 0;
  [[nodiscard]] virtual store::ScrubReport scrub(std::uint64_t bytes, ScrubFrom from) = 0;  // one step; blocks: pool
  [[nodiscard]] virtual std::uint64_t scrub_rate() const = 0;  // of the background, bytes a second; 0: none
};

// References outlive the handlers.
struct Parts {
  base::Loop& loop;  // the one the handler answers on
  base::Executor& pool;
  store::Store& store;
  obs::Metrics& metrics;
  NodeView& node;
  obs::EventSink* events = &obs::no_events();  // hears of removals; never null
  notify::Hub* notifications = nullptr;        // null: there are none
};

// /healthz, /readyz and, if wanted, /metrics; anything else is 404. For the main listener (as the fallback of serve).
class HealthHandler final : public http::Handler {
 public:
  HealthHandler(Parts parts, bool with_metrics);
  ~HealthHandler() override;  // waits for what runs on the pool
  [[nodiscard]] std::unique_ptr<http::Operation> handle(const http::Request& request,
                                                        http::Responder responder) override;
  struct Impl;

 private:
  std::unique_ptr<Impl> impl_;
};

// All of HealthHandler and /api/v1/.
class AdminHandler final : public http::Handler {
 public:
  AdminHandler(Parts parts, std::vector<std::string> allowed_hosts);
  ~AdminHandler() override;  // waits for what runs on the pool
  [[nodiscard]] std::unique_ptr<http::Operation> handle(const http::Request& request,
                                                        http::Responder responder) override;
  struct Impl;

 private:
  std::unique_ptr<Impl> impl_;
};

}  // namespace shoal::admin
