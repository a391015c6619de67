#include "shoal/http/server.h"

#include <algorithm>

#include "connection.h"

namespace shoal::http {

struct Server::Impl {
  Impl(net::EventLoop& l, base::Executor& disk, Handler& handler, ServerOptions o)
      : loop(l),
        options(std::move(o)),
        context{.loop = l, .disk = disk, .handler = handler, .options = options, .closed = [this](Connection& c) {
                  forget(c);
                }} {}

  void accept(std::unique_ptr<net::Stream> stream, const tls::SharedContext* secured) {
    if (secured != nullptr) stream = tls::accept(std::move(stream), secured->get(), loop, options.header_timeout);
    auto connection = std::make_shared<Connection>(context, std::move(stream), secured != nullptr);
    connection->slot = connections.size();
    connections.push_back(connection);
    connection->start();
    if (connections.size() >= options.max_connections) pause(/*paused=*/true);
  }

  void forget(Connection& connection) {
    const auto slot = connection.slot;
    const auto dropped = std::move(connections[slot]);
    connections[slot] = std::move(connections.back());
    connections.pop_back();
    if (slot < connections.size()) connections[slot]->slot = slot;
    if (full && connections.size() < options.max_connections) pause(/*paused=*/false);
    if (connections.empty() && drained) loop.post(std::move(drained));
  }

  void pause(bool paused) {
    full = paused;
    for (auto& listener : listeners) paused ? listener->pause() : listener->resume();
  }

  // One coarse look at all deadlines instead of a timer armed and disarmed at every request.
  void sweep() {
    const auto now = loop.now();
    for (std::size_t i = connections.size(); i-- > 0;) {
      if (i < connections.size()) connections[i]->check_deadline(now);
    }
    timer = loop.schedule(sweep_every(), [this] { sweep(); });
  }

  [[nodiscard]] std::chrono::milliseconds sweep_every() const {
    const auto shortest =
        std::min({options.header_timeout, options.body_timeout, options.keep_alive_timeout, options.send_timeout});
    return std::clamp(shortest / 4, std::chrono::milliseconds(5), std::chrono::milliseconds(1000));
  }

  net::EventLoop& loop;
  ServerOptions options;
  ConnectionContext context;
  std::vector<std::unique_ptr<net::Listener>> listeners;
  std::vector<std::shared_ptr<Connection>> connections;  // shared: responders hold them weakly
  base::Timer timer;
  base::UniqueFunction<void()> drained;
  bool full = false;
};

Server::Server(net::EventLoop& loop, base::Executor& disk, Handler& handler, ServerOptions options)
    : impl_(std::make_unique<Impl>(loop, disk, handler, std::move(options))) {}

Server::~Server() {
  impl_->listeners.clear();
  impl_->timer.cancel();
  impl_->drained = nullptr;
  while (!impl_->connections.empty()) impl_->connections.back()->cut(EndCause::shutdown);
}

base::Result<net::Address> Server::listen(const net::Address& address, std::shared_ptr<const tls::SharedContext> tls) {
  auto listener = net::Listener::listen(impl_->loop, address, net::ListenOptions{},
                                        [this, tls = std::move(tls)](std::unique_ptr<net::Stream> stream) {
                                          impl_->accept(std::move(stream), tls.get());
                                        });
  if (!listener) return listener.error();
  if (!impl_->timer.armed()) impl_->sweep();
  impl_->listeners.push_back(std::move(*listener));
  return impl_->listeners.back()->address();
}

void Server::drain(base::UniqueFunction<void()> drained) {
  impl_->listeners.clear();
  impl_->context.draining = true;
  for (std::size_t i = impl_->connections.size(); i-- > 0;) {
    if (i < impl_->connections.size()) impl_->connections[i]->drain();
  }
  if (impl_->connections.empty()) {
    impl_->loop.post(std::move(drained));
  } else {
    impl_->drained = std::move(drained);
  }
}

std::size_t Server::connections() const { return impl_->connections.size(); }

}  // namespace shoal::http
