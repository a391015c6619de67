// The operator's HTTP surface: health and metrics (on every listener), and the admin API (on admin.listen only).
// One AdminHandler, on the loop of the admin listener; one HealthHandler per loop. What may take time (index walks,
// metrics text, removals) runs on the pool. No TLS and no authentication here: the API belongs on loopback; guard.h
// keeps web pages of the operator's own browser out (DNS rebinding, CSRF).
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "shoal/base/clock.h"
#include "shoal/base/loop.h"
#include "shoal/base/unique_function.h"
#include "shoal/http/server.h"
#include "shoal/obs/metrics.h"
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
};

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
  [[nodiscard]] virtual std::string config_text() const = 0;               // effective, secrets redacted
  virtual void reload(base::UniqueFunction<void(ReloadReport)> done) = 0;  // `done` once, on any thread
  // The same; may take minutes. ErrorKind::busy: one runs already.
  virtual void collect_garbage(GcRequest request, base::UniqueFunction<void(base::Result<GcOutcome>)> done) = 0;
};

// References outlive the handlers.
struct Parts {
  base::Loop& loop;  // the one the handler answers on
  base::Executor& pool;
  store::Store& store;
  obs::Metrics& metrics;
  NodeView& node;
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
