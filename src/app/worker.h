// Worker: one event loop and what lives on it: HTTP client, upstreams, handlers, server. The node makes them all, then
// the mirror over them, then starts them; closing goes backwards, in steps that all workers take together.
#pragma once

#include <atomic>
#include <future>
#include <memory>
#include <optional>
#include <vector>

#include "loop_upstreams.h"
#include "shelf.h"
#include "shoal/admin/admin.h"
#include "shoal/fetch/client.h"
#include "shoal/http/server.h"
#include "shoal/net/event_loop.h"
#include "shoal/serve/handler.h"

namespace shoal::app {

class Worker {
 public:
  // `home` null: this one is the home of token requests.
  Worker(unsigned index, UpstreamStates& states, fetch::ClientOptions client_options, Worker* home);
  ~Worker();  // after close()

  [[nodiscard]] net::EventLoop& loop() { return loop_; }
  [[nodiscard]] LoopUpstreams& upstreams() { return upstreams_; }
  [[nodiscard]] fetch::Client& client() { return *client_; }  // its loop
  // For answers that last as long as a transfer, after join().
  [[nodiscard]] fetch::Client& streams() { return *streams_; }
  // Before start(); goes with close_upstreams().
  [[nodiscard]] p2p::Neighbours* join(p2p::Site& site);

  // Runs `work` on the loop and waits for it. Not from a loop.
  template <class Work>
  auto run(Work work) -> decltype(work()) {
    // shared: setting the value may still touch it when get() has returned
    auto done = std::make_shared<std::promise<decltype(work())>>();
    auto result = done->get_future();
    loop_.post([done, &work] {
      if constexpr (std::is_void_v<decltype(work())>) {
        work();
        done->set_value();
      } else {
        done->set_value(work());
      }
    });
    return result.get();
  }

  struct Parts {
    base::Executor& pool;
    serve::DistributionHandler::Parts serve;
    admin::Parts admin;
    bool metrics_on_main;
    http::ServerOptions http;
    p2p::Site* site = nullptr;
  };
  // What a reload replaces. Each is shared by the handlers of all loops.
  struct Policy {
    std::shared_ptr<const serve::RouteTable> routes;
    std::shared_ptr<const serve::HostedOptions> hosted;
    std::shared_ptr<const serve::Access> access;
  };
  void start(Parts parts, Policy policy);  // before anything listens
  // SO_REUSEPORT would let a second node of the same user share the port without a word.
  [[nodiscard]] base::Result<void> demand_free(const net::Address& address);
  // On the addresses, in order; a port 0 is chosen. `tls` null: plain.
  [[nodiscard]] base::Result<std::vector<net::Address>> listen(const std::vector<net::Address>& addresses,
                                                               std::shared_ptr<const tls::SharedContext> tls);
  [[nodiscard]] base::Result<net::Address> listen_admin(const net::Address& address, std::vector<std::string> hosts);
  void set_policy(Policy policy);

  void drain(base::UniqueFunction<void()> drained);  // `drained` runs on the loop
  void close_servers();                              // cuts what is left
  void close_upstreams();                            // after every worker's close_servers and the mirror's stop
  void close();                                      // after every worker's close_upstreams; stops the loop

  // From any thread; half a second old at most, unless the loop does not turn.
  [[nodiscard]] std::size_t connections() const { return connections_.load(std::memory_order_relaxed); }
  [[nodiscard]] std::chrono::milliseconds since_beat() const;

 private:
  void beat();

  net::EventLoop loop_;
  std::unique_ptr<fetch::Client> client_;
  std::unique_ptr<fetch::Client> streams_;  // null: no site
  LoopUpstreams upstreams_;
  std::unique_ptr<p2p::Neighbours> neighbours_;
  std::unique_ptr<admin::HealthHandler> health_;
  std::unique_ptr<MirrorShelf> shelf_;
  std::unique_ptr<p2p::PeerHandler> peers_;
  std::unique_ptr<serve::DistributionHandler> serve_;
  std::unique_ptr<admin::AdminHandler> admin_;
  std::unique_ptr<http::Server> server_;
  std::unique_ptr<http::Server> admin_server_;
  std::optional<Parts> parts_;
  base::Timer beat_;
  std::atomic<std::int64_t> last_beat_ms_{0};
  std::atomic<std::size_t> connections_{0};
};

}  // namespace shoal::app
