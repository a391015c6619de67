#include "node.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <thread>

#include "node_probe.h"
#include "process_info.h"
#include "reload.h"
#include "routes.h"
#include "shoal/base/format.h"
#include "shoal/base/random.h"
#include "shoal/net/give_way.h"
#include "shoal/obs/log.h"

namespace shoal::app {
namespace {

using obs::Category;

constexpr std::string_view kNodeIdKey = "p2p/node";  // reaches disk
constexpr std::uint64_t kOtherFiles = 1024;          // blobs being read, upstream connections, our own

unsigned loops_of(const Settings& settings) {
  return settings.server.loops != 0 ? settings.server.loops : std::max(1U, std::thread::hardware_concurrency());
}

// At least one thread of the pool is left for the disk, unless there is only one.
auth::AuthenticatorOptions logins_of(const Settings& settings) {
  auto logins = settings.auth.logins;
  logins.max_running = std::max(1U, settings.server.disk_threads / 2);
  return logins;
}

Worker::Policy make_policy(const Settings& settings) {
  return {make_routes(settings), std::make_shared<const serve::HostedOptions>(settings.registry.hosted),
          std::make_shared<const serve::Access>(settings.auth.access)};
}

sync::RetentionOptions retention_of(const Settings& settings, obs::EventSink& events) {
  sync::RetentionOptions retention{settings.registry.retention, {}, false, &events};
  for (const auto& fixed : settings.registry.hosted.fixed_tags) {
    retention.fixed_tags.emplace_back(fixed.repositories, fixed.tags);
  }
  return retention;
}

void warn_of_few_files(const Settings& settings) {
  const auto files = raise_file_limit();
  const auto wanted = settings.server.http.max_connections * loops_of(settings) + kOtherFiles;
  if (files < wanted) {
    obs::warn(Category::app,
              "the limit of open files is {}; server.limits.connections on {} loops may need {}: raise it "
              "(LimitNOFILE=), or connections will wait",
              files, loops_of(settings), wanted);
  }
}

}  // namespace

Node::Node(const ServeRequest& request, LoadedSettings loaded, Wakeups& wakeups)
    : request_(request),
      loaded_(std::move(loaded)),
      wakeups_(wakeups),
      started_(clock_.wall_now()),
      config_text_(settings_text(loaded_.values)) {}

base::Result<std::unique_ptr<Node>> Node::start(const ServeRequest& request, LoadedSettings loaded, Wakeups& wakeups) {
  std::unique_ptr<Node> node(new Node(request, std::move(loaded), wakeups));
  warn_of_few_files(*node->loaded_.settings);
  if (auto opened = node->open_store(); !opened) return opened.error();
  if (auto made = node->make_site(); !made) return made.error();
  node->make_workers();
  if (auto listening = node->listen(); !listening) return listening.error();
  if (auto written = node->write_port_file(); !written) return written.error();
  return node;
}

base::Result<void> Node::open_store() {
  const auto& settings = *loaded_.settings;
  access_log_ = std::make_unique<obs::AccessLog>(settings.log.access);
  if (!access_log_->usable()) {
    return base::Error(base::ErrorKind::invalid, "log.access: cannot open " + settings.log.access.file);
  }
  pool_ = std::make_unique<net::ThreadPool>(settings.server.disk_threads);
  upkeep_ = std::make_unique<net::ThreadPool>(1);
  upkeep_->post([] { net::give_way("upkeep"); });
  notifications_ = std::make_unique<notify::Hub>(*pool_, clock_, metrics_);
  auto store = store::Store::open(settings.storage, *pool_, clock_, *notifications_);
  if (!store) return store.error();
  store_ = std::move(*store);
  garbage_ = std::make_unique<Garbage>(*store_, *upkeep_, clock_, metrics_);
  garbage_->set_options(settings.registry.gc_interval, settings.registry.gc, retention_of(settings, *notifications_));
  scrubbing_ = std::make_unique<Scrubbing>(*store_, *upkeep_, clock_, metrics_, settings.scrub_rate);
  quotas_ = std::make_unique<QuotaWatch>(*store_, *upkeep_, clock_, metrics_);
  quotas_->set_quotas(settings.registry.hosted.quotas);
  authenticator_ = std::make_unique<auth::Authenticator>(*pool_, clock_, logins_of(settings));
  authenticator_->set_users(settings.auth.users);
  return {};
}

base::Result<void> Node::make_site() {
  const auto& options = loaded_.settings->p2p;
  if (!options.enabled) return {};
  auto id = store_->find_state(kNodeIdKey).value_or(std::string());
  if (id.empty()) {
    id = base::random_hex(16);
    store_->commit({store::PutState{std::string(kNodeIdKey), id}}, *pool_, nullptr);
  }
  auto site = p2p::Site::make(options, id, *store_, *pool_, clock_, metrics_);
  if (!site) return site.error().at("p2p");
  site_ = std::move(*site);
  return {};
}

void Node::make_workers() {
  const auto& settings = *loaded_.settings;
  states_ = std::make_unique<UpstreamStates>(settings.upstreams, *store_, clock_, loops_of(settings));
  fetch::ClientOptions client_options;
  client_options.user_agent = "shoal/" + request_.version;
  std::vector<mirror::Mirror::LoopParts> loops;
  for (unsigned i = 0; i < loops_of(settings); ++i) {
    auto* home = workers_.empty() ? nullptr : workers_.front().get();
    workers_.push_back(std::make_unique<Worker>(i, *states_, client_options, home));
    auto* neighbours = site_ ? workers_.back()->join(*site_) : nullptr;
    loops.push_back({workers_.back()->loop(), workers_.back()->upstreams(), neighbours});
  }
  mirror_ = std::make_unique<mirror::Mirror>(*store_, *pool_, clock_, metrics_, settings.mirror, std::move(loops),
                                             *notifications_);
  const auto serve_probe = serve::make_probe(metrics_);
  if (site_) site_->watch_clients([serve_probe] { return serve::taken_by_clients(*serve_probe); });
  const auto quotas = serve::make_quota_book();
  const auto policy = make_policy(settings);
  for (auto& worker : workers_) {
    worker->start({*pool_,
                   {worker->loop(), *mirror_, worker->upstreams(), *access_log_, serve_probe, clock_, store_.get(),
                    pool_.get(), authenticator_.get(), quotas, nullptr, notifications_.get()},
                   {worker->loop(), *pool_, *store_, metrics_, *this, notifications_.get(), notifications_.get()},
                   settings.admin.metrics_on_main,
                   settings.server.http,
                   site_.get()},
                  policy);
  }
  start_notifications();
  probe_node(metrics_, request_.version, started_, *store_, *states_, *access_log_, workers_);
}

// In the store's directory, which its lock keeps from others; delivered on the first loop, which runs by now.
void Node::start_notifications() {
  const auto& settings = *loaded_.settings;
  auto& loop = workers_.front()->loop();
  notifications_->start(
      settings.storage.path + "/events", loop,
      [&loop, agent = "shoal/" + request_.version] { return notify::make_sender(loop, agent); },
      settings.notifications);
}

base::Result<std::vector<net::Address>> Node::listen_on(const std::vector<net::Address>& wanted, std::string_view key,
                                                        std::shared_ptr<const tls::SharedContext> tls) {
  for (const auto& address : wanted) {
    if (auto free = workers_.front()->demand_free(address); !free) return free.error().at(key);
  }
  auto addresses = workers_.front()->listen(wanted, tls);
  if (!addresses) return addresses.error().at(key);
  for (std::size_t i = 1; i < workers_.size(); ++i) {  // with the ports that were chosen
    if (auto more = workers_[i]->listen(*addresses, tls); !more) return more.error().at(key);
  }
  for (const auto& address : *addresses) {
    obs::info(Category::app, "listening on {}{}", address.to_string(), tls ? " with TLS" : "");
  }
  return addresses;
}

base::Result<void> Node::listen() {
  const auto& settings = *loaded_.settings;
  if (settings.admin.listen) {
    if (auto free = workers_.front()->demand_free(*settings.admin.listen); !free)
      return free.error().at("admin.listen");
  }
  if (settings.server.tls_context) {
    tls_ = std::make_shared<tls::SharedContext>(settings.server.tls_context);
    certificate_.watch(*settings.server.tls_context, clock_.wall_now());
    if (settings.server.tls_context->kernel_makes_records()) {
      obs::info(obs::Category::http, "TLS: the kernel makes the records of what is sent (kTLS)");
    }
  }
  auto addresses = listen_on(settings.server.listen, "server.listen", tls_);
  if (!addresses) return addresses.error();
  auto plain = listen_on(settings.server.plain_listen, "server.plain_listen", nullptr);
  if (!plain) return plain.error();
  addresses->insert(addresses->end(), plain->begin(), plain->end());
  std::string admin = "none";
  {
    const std::lock_guard lock(mutex_);
    listening_ = *addresses;
  }
  if (settings.admin.listen) {
    auto address = workers_.front()->listen_admin(*settings.admin.listen, settings.admin.hosts);
    if (!address) return address.error().at("admin.listen");
    admin = address->to_string();
    obs::info(Category::app, "admin API on {}", admin);
    admin_address_ = std::move(*address);
  }
  if (site_) {
    auto& home = *workers_.front();
    const std::string scheme = tls_ ? "https://" : "http://";
    home.run(
        [&] { site_->start(home.loop(), home.client(), home.streams(), scheme + addresses->front().to_string()); });
  }
  obs::info(Category::app, "shoal {} is ready: {} (admin {}), {} loops, storage {}", request_.version,
            addresses->front().to_string(), admin, workers_.size(), settings.storage.path);
  return {};
}

// Written beside and renamed, so that a reader never sees half of it.
base::Result<void> Node::write_port_file() const {
  if (request_.port_file.empty()) return {};
  const auto temporary = request_.port_file + ".new";
  std::FILE* file = std::fopen(temporary.c_str(), "we");
  if (file == nullptr) return base::from_errno(errno, "create", temporary);
  for (const auto& address : listening_) std::fprintf(file, "%s\n", address.to_string().c_str());
  if (admin_address_) std::fprintf(file, "%s\n", admin_address_->to_string().c_str());
  const bool failed = std::ferror(file) != 0;
  if (std::fclose(file) != 0 || failed) return base::from_errno(errno, "write", temporary);
  if (std::rename(temporary.c_str(), request_.port_file.c_str()) != 0) {
    return base::from_errno(errno, "rename to", request_.port_file);
  }
  return {};
}

void Node::save_health() {
  if (auto writes = states_->unsaved_health(); !writes.empty()) store_->commit(std::move(writes), *pool_, nullptr);
}

admin::ReloadReport Node::reload_now() {
  save_health();
  obs::reopen_log();
  access_log_->reopen();  // each keeps its old file when the new one cannot be opened
  auto next = load_settings(request_.source);
  admin::ReloadReport report;
  for (const auto& warning : next.warnings) obs::warn(Category::app, "{}", warning);
  if (!next.settings) {
    for (const auto& error : next.errors) obs::error(Category::app, "{}", error);
    obs::error(Category::app, "reload: the new configuration has errors; the old one stays");
    report.errors = std::move(next.errors);
    return report;
  }
  auto changes = compare(loaded_, next);
  apply(std::move(next));
  for (const auto& key : changes.applicable) obs::info(Category::app, "reload: {} is in force", key);
  for (const auto& key : changes.needs_restart) obs::warn(Category::app, "reload: {} needs a restart", key);
  if (changes.applicable.empty() && changes.needs_restart.empty()) obs::info(Category::app, "reload: nothing changed");
  report.applied = std::move(changes.applicable);
  report.needs_restart = std::move(changes.needs_restart);
  return report;
}

void Node::apply(LoadedSettings wanted) {
  auto next = in_force(loaded_, std::move(wanted));
  const auto& settings = *next.loaded.settings;
  obs::set_level(settings.log.level);
  states_->configure(settings.upstreams);  // before the routes lead there
  // Users before rules: a user who is gone must not meet rules that were written without him.
  if (loaded_.settings->auth.users_digest != settings.auth.users_digest) {
    authenticator_->set_users(settings.auth.users);
  }
  authenticator_->set_options(logins_of(settings));
  const auto policy = make_policy(settings);
  for (auto& worker : workers_) worker->set_policy(policy);
  if (tls_ && settings.server.tls_context) {
    tls_->replace(settings.server.tls_context);
    certificate_.watch(*settings.server.tls_context, clock_.wall_now());
  }
  garbage_->set_options(settings.registry.gc_interval, settings.registry.gc, retention_of(settings, *notifications_));
  quotas_->set_quotas(settings.registry.hosted.quotas);
  notifications_->configure(settings.notifications);
  if (site_) site_->set_rates(settings.p2p.swarm.rates);
  mirror_->set_options(settings.mirror);
  store_->set_limits(settings.storage);
  auto text = settings_text(next.loaded.values, next.waiting);
  loaded_ = std::move(next.loaded);
  const std::lock_guard lock(mutex_);
  config_text_ = std::move(text);
}

void Node::collect_garbage_if_due() { garbage_->run_if_due(); }

void Node::begin_drain() {
  draining_.store(true);
  still_draining_.store(workers_.size());
  for (auto& worker : workers_) {
    worker->drain([this] {
      if (still_draining_.fetch_sub(1) > 1) return;
      drained_.store(true);
      wakeups_.post([] {});
    });
  }
}

void Node::stop() {
  if (stopped_) return;
  stopped_ = true;
  draining_.store(true);
  for (auto& worker : workers_) worker->close_servers();
  if (mirror_) {
    auto let_go = std::make_shared<std::promise<void>>();  // shared: see Worker::run
    auto waiting = let_go->get_future();
    mirror_->stop([let_go] { let_go->set_value(); });
    waiting.wait();
  }
  if (site_) {
    auto gone = std::make_shared<std::promise<void>>();  // shared: see Worker::run
    auto waiting = gone->get_future();
    site_->stop([gone] { gone->set_value(); });
    waiting.wait();
  }
  if (notifications_) notifications_->close();  // after what publishes, before the loop that delivers
  if (states_) save_health();
  // The home of token requests goes last: the others ask it.
  for (auto worker = workers_.rbegin(); worker != workers_.rend(); ++worker) (*worker)->close_upstreams();
  for (auto worker = workers_.rbegin(); worker != workers_.rend(); ++worker) (*worker)->close();
  mirror_.reset();
  site_.reset();
  if (garbage_) garbage_->stop();
  if (scrubbing_) scrubbing_->stop();
  if (quotas_) quotas_->stop();
  authenticator_.reset();  // what waits in it is dropped; a check that runs ends with the pool
  store_.reset();
  pool_.reset();
  upkeep_.reset();
  garbage_.reset();  // after the pools: a collection may end there
  notifications_.reset();
}

Node::~Node() { stop(); }

}  // namespace shoal::app
