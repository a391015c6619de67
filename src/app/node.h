// Node: the composition root. Settings become objects; start and stop happen in one fixed order. Lives on the main
// thread, which it never blocks on a loop except at start and stop.
//
// Start: log, pool, store, upstream states, workers (loop, client, upstreams), mirror, handlers, listeners.
// Stop: listeners close and answers drain; what is left is cut; the mirror lets go of its fills (their bytes stay on
// disk, to be resumed); upstreams, clients, loops; then the mirror, the store and the pool.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "certificate_watch.h"
#include "garbage.h"
#include "quota_watch.h"
#include "scrubbing.h"
#include "shoal/admin/admin.h"
#include "shoal/app/serve.h"
#include "shoal/app/settings.h"
#include "shoal/auth/auth.h"
#include "shoal/net/event_loop.h"
#include "shoal/notify/notify.h"
#include "upstream_states.h"
#include "wakeups.h"
#include "worker.h"

namespace shoal::app {

class Node final : public admin::NodeView {
 public:
  // `loaded` has settings. Nothing listens before everything else stands.
  [[nodiscard]] static base::Result<std::unique_ptr<Node>> start(const ServeRequest& request, LoadedSettings loaded,
                                                                 Wakeups& wakeups);
  ~Node() override;  // stops at once if stop() was not called

  // Main thread.
  admin::ReloadReport reload_now();
  void save_health();  // what is new of the upstreams' health, to the index
  void collect_garbage_if_due();
  void keep_store_up() { (void)store_->usage(); }  // it has no timer: questions drive its upkeep
  void scrub_if_due() { scrubbing_->tick(); }
  void measure_quotas_if_due() { quotas_->tick(); }
  void warn_of_expiry() { certificate_.warn_if_due(clock_.wall_now()); }
  void begin_drain();
  [[nodiscard]] bool drained() const { return drained_.load(); }
  [[nodiscard]] std::chrono::milliseconds drain_timeout() const { return loaded_.settings->server.drain_timeout; }
  void stop();

  // NodeView, any thread.
  [[nodiscard]] std::string version() const override { return request_.version; }
  [[nodiscard]] base::WallTime started() const override { return started_; }
  [[nodiscard]] bool draining() const override { return draining_.load(); }
  [[nodiscard]] std::string stuck_loop() const override;
  [[nodiscard]] std::vector<std::string> addresses() const override;
  [[nodiscard]] std::size_t connections() const override;
  [[nodiscard]] std::vector<std::shared_ptr<upstream::UpstreamState>> upstreams() const override;
  [[nodiscard]] std::string url() const override;
  [[nodiscard]] std::optional<p2p::SiteStatus> site() const override;
  void swarms(base::UniqueFunction<void(std::vector<p2p::SwarmStatus>)> done) const override;
  [[nodiscard]] std::string config_text() const override;
  void reload(base::UniqueFunction<void(admin::ReloadReport)> done) override;
  void collect_garbage(admin::GcRequest request,
                       base::UniqueFunction<void(base::Result<admin::GcOutcome>)> done) override;
  void foresee_garbage(std::string repository, store::Supposed gone, bool untagged,
                       base::UniqueFunction<void(base::Result<admin::GcForecast>)> done) override;
  [[nodiscard]] store::ScrubReport scrub(std::uint64_t bytes, admin::ScrubFrom from) override;
  [[nodiscard]] std::uint64_t scrub_rate() const override;

 private:
  Node(const ServeRequest& request, LoadedSettings loaded, Wakeups& wakeups);
  [[nodiscard]] base::Result<void> open_store();
  [[nodiscard]] base::Result<void> make_site();
  void make_workers();
  void start_notifications();
  [[nodiscard]] base::Result<void> listen();
  [[nodiscard]] base::Result<std::vector<net::Address>> listen_on(const std::vector<net::Address>& wanted,
                                                                  std::string_view key,
                                                                  std::shared_ptr<const tls::SharedContext> tls);
  [[nodiscard]] base::Result<void> write_port_file() const;
  void apply(LoadedSettings wanted);

  ServeRequest request_;
  LoadedSettings loaded_;  // main thread; what is in force
  Wakeups& wakeups_;
  base::SystemClock clock_;
  base::WallTime started_;
  obs::Metrics metrics_;
  std::unique_ptr<obs::AccessLog> access_log_;
  std::shared_ptr<tls::SharedContext> tls_;  // shared with the listeners; null: no TLS
  CertificateWatch certificate_{metrics_};   // main thread
  std::unique_ptr<net::ThreadPool> pool_;
  std::unique_ptr<notify::Hub> notifications_;
  std::unique_ptr<net::ThreadPool> upkeep_;  // garbage, retention, scrubbing, quotas
  std::unique_ptr<store::Store> store_;
  std::unique_ptr<Garbage> garbage_;
  std::unique_ptr<Scrubbing> scrubbing_;
  std::unique_ptr<QuotaWatch> quotas_;
  std::unique_ptr<auth::Authenticator> authenticator_;
  std::unique_ptr<UpstreamStates> states_;
  std::unique_ptr<p2p::Site> site_;  // null: p2p.enabled is false
  std::vector<std::unique_ptr<Worker>> workers_;
  std::unique_ptr<mirror::Mirror> mirror_;
  std::optional<net::Address> admin_address_;  // main thread
  mutable std::mutex mutex_;
  std::vector<net::Address> listening_;  // under the mutex
  std::string config_text_;              // under the mutex
  std::atomic<bool> draining_{false}, drained_{false};
  std::atomic<std::size_t> still_draining_{0};
  bool stopped_ = false;
};

}  // namespace shoal::app
