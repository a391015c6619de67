#include "worker.h"

#include <algorithm>

namespace shoal::app {
namespace {

constexpr std::chrono::milliseconds kBeat{500};
constexpr std::size_t kAdminConnections = 256;
constexpr std::size_t kStreams = 2'000;
constexpr std::size_t kStreamsOfNode = 500;

std::int64_t steady_ms() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

}  // namespace

Worker::Worker(unsigned index, UpstreamStates& states, fetch::ClientOptions client_options, Worker* home)
    : loop_(index),
      client_(std::make_unique<fetch::Client>(loop_, std::move(client_options))),
      upstreams_(states, loop_, *client_, home != nullptr ? home->loop_ : loop_,
                 home != nullptr ? *home->client_ : *client_) {}

Worker::~Worker() = default;

p2p::Neighbours* Worker::join(p2p::Site& site) {
  fetch::ClientOptions options;
  options.max_connections = kStreams;
  options.max_connections_per_host = kStreamsOfNode;
  options.buffer_bytes = 64 * 1024;
  streams_ = std::make_unique<fetch::Client>(loop_, options);
  neighbours_ = site.neighbours(loop_, *client_);
  return neighbours_.get();
}

void Worker::start(Parts parts, Policy policy) {
  parts_.emplace(std::move(parts));
  last_beat_ms_.store(steady_ms());
  loop_.start();
  run([this, &policy] {
    health_ = std::make_unique<admin::HealthHandler>(parts_->admin, parts_->metrics_on_main);
    http::Handler* fallback = health_.get();
    if (parts_->site != nullptr) {
      shelf_ = std::make_unique<MirrorShelf>(loop_, parts_->serve.mirror, parts_->admin.store, parts_->serve.clock);
      peers_ = std::make_unique<p2p::PeerHandler>(*parts_->site, loop_, *shelf_, *health_);
      fallback = peers_.get();
    }
    serve_ = std::make_unique<serve::DistributionHandler>(parts_->serve, policy.routes, fallback);
    serve_->set_hosted(policy.hosted);
    serve_->set_access(policy.access);
    server_ = std::make_unique<http::Server>(loop_, parts_->pool, *serve_, parts_->http);
    beat();
  });
}

void Worker::beat() {
  last_beat_ms_.store(steady_ms(), std::memory_order_relaxed);
  connections_.store(server_ ? server_->connections() : 0, std::memory_order_relaxed);
  upstreams_.drop_idle();
  beat_ = loop_.schedule(kBeat, [this] { beat(); });
}

std::chrono::milliseconds Worker::since_beat() const {
  return std::chrono::milliseconds(
      std::max<std::int64_t>(0, steady_ms() - last_beat_ms_.load(std::memory_order_relaxed)));
}

base::Result<void> Worker::demand_free(const net::Address& address) {
  if (address.port == 0) return {};
  return run([&]() -> base::Result<void> {
    const auto alone =
        net::Listener::listen(loop_, address, {.reuse_port = false}, [](std::unique_ptr<net::Stream>) {});
    if (!alone) return alone.error();
    return {};
  });
}

base::Result<std::vector<net::Address>> Worker::listen(const std::vector<net::Address>& addresses,
                                                       std::shared_ptr<const tls::SharedContext> tls) {
  return run([&]() -> base::Result<std::vector<net::Address>> {
    std::vector<net::Address> chosen;
    for (const auto& address : addresses) {
      auto bound = server_->listen(address, tls);
      if (!bound) return bound.error();
      chosen.push_back(std::move(*bound));
    }
    return chosen;
  });
}

base::Result<net::Address> Worker::listen_admin(const net::Address& address, std::vector<std::string> hosts) {
  return run([&]() -> base::Result<net::Address> {
    auto options = parts_->http;
    options.max_connections = std::min(options.max_connections, kAdminConnections);
    admin_ = std::make_unique<admin::AdminHandler>(parts_->admin, std::move(hosts));
    admin_server_ = std::make_unique<http::Server>(loop_, parts_->pool, *admin_, options);
    return admin_server_->listen(address);
  });
}

void Worker::set_policy(Policy policy) {
  loop_.post([this, policy = std::move(policy)] {
    if (!serve_) return;
    serve_->set_routes(policy.routes);
    serve_->set_hosted(policy.hosted);
    serve_->set_access(policy.access);
  });
}

void Worker::drain(base::UniqueFunction<void()> drained) {
  loop_.post([this, drained = std::move(drained)]() mutable { server_->drain(std::move(drained)); });
}

void Worker::close_servers() {
  run([this] {
    server_.reset();
    admin_server_.reset();
    serve_.reset();
    admin_.reset();
    peers_.reset();
    shelf_.reset();
    health_.reset();
  });
}

void Worker::close_upstreams() {
  run([this] {
    upstreams_.close();
    neighbours_.reset();
  });
}

void Worker::close() {
  run([this] {
    beat_.cancel();
    streams_.reset();
    client_.reset();
  });
  loop_.stop();
}

}  // namespace shoal::app
