#include "wire.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>

#include "exchange.h"

namespace shoal::sim {
namespace {

Wire* the_wire = nullptr;
constexpr unsigned kMostFailures = 6;  // in a row, of one neighbour for one blob, with nothing from others in between

struct Handle final : fetch::Transfer::Impl {
  explicit Handle(std::shared_ptr<Exchange> e) : exchange(std::move(e)) {}
  ~Handle() override { exchange->client_left(); }
  void resume() override { exchange->resume(); }
  std::shared_ptr<Exchange> exchange;
};

}  // namespace

std::string digest_in(const std::string& target) {
  const auto at = target.find("sha256:");
  return at == std::string::npos ? std::string() : target.substr(at, 71);
}

Wire::Wire(World& w, Net& n) : world(w), net(n) {
  if (the_wire != nullptr) std::abort();
  the_wire = this;
}
Wire::~Wire() { the_wire = nullptr; }
Wire& Wire::current() {
  if (the_wire == nullptr) std::abort();
  return *the_wire;
}

fetch::ClientOptions Wire::options_of(int node) {
  fetch::ClientOptions options;
  options.user_agent = base::format("node {}", node);
  return options;
}

std::unique_ptr<fetch::Transfer::Impl> Wire::start(int from, fetch::Request request, fetch::Sink& sink) {
  auto exchange = std::make_shared<Exchange>(*this, from, std::move(request), sink);
  if (exchange->to() == kNobody) std::abort();  // a scenario names nodes of its own only
  if (exchange->target() == "/p2p/v1/want") ++wants[from];
  exchanges_.push_back(exchange);
  exchange->call();
  return std::make_unique<Handle>(std::move(exchange));
}

void Wire::ended(const Exchange& exchange) {
  std::erase_if(exchanges_, [&exchange](const auto& e) { return e.get() == &exchange; });
}

void Wire::sever(int node) {
  const auto copy = exchanges_;
  for (const auto& exchange : copy) {
    if (exchange->to() == node) exchange->server_died();
    if (exchange->from() == node) exchange->client_died();
  }
}

std::string Wire::open_targets() const {
  std::string all;
  for (const auto& e : exchanges_) all += base::format(" {}>{} {}", e->from(), e->to(), e->target().substr(0, 60));
  return all;
}

void Wire::note_failure(int from, int to, const std::string& target) {
  ++counts.failed;
  const bool content = target.starts_with("/p2p/v1/blobs/") || target.starts_with("/p2p/v1/pieces/");
  if (!content || from == to) return;
  const auto failures = ++failures_[{from, to, digest_in(target)}];
  if (failures == kMostFailures + 1) {
    world.violation("node {} asks node {} for {} again and again, though it failed {} times", from, to,
                    digest_in(target), failures);
  }
}

void Wire::forgive(int node, const std::string& digest) {
  std::erase_if(failures_, [&](const auto& entry) {
    return std::get<0>(entry.first) == node && std::get<2>(entry.first) == digest;
  });
}

}  // namespace shoal::sim

// The product's client, as far as nodes use it.
namespace shoal::fetch {

struct Client::Impl {
  int node;
};

Client::Client(net::EventLoop&, ClientOptions options) : impl_(std::make_unique<Impl>()) {
  constexpr std::string_view kNode = "node ";
  const auto& name = options.user_agent;
  const auto [end, error] = std::from_chars(name.data() + kNode.size(), name.data() + name.size(), impl_->node);
  if (error != std::errc()) std::abort();
}
Client::~Client() = default;

Transfer Client::start(Request request, Sink& sink) {
  return Transfer(sim::Wire::current().start(impl_->node, std::move(request), sink));
}

namespace {

class Collector final : public Transfer::Impl, private Sink {
 public:
  Collector(std::size_t max_body, base::UniqueFunction<void(base::Result<Client::Reply>)> done)
      : max_body_(max_body), done_(std::move(done)) {}
  void run(Client& client, Request request) { transfer_ = client.start(std::move(request), *this); }
  void resume() override {}

 private:
  void on_head(const ResponseHead& head) override { reply_.head = head; }
  Flow on_data(std::string_view bytes) override {
    if (bytes.size() > max_body_ - reply_.body.size()) std::abort();  // no answer of a simulated node is that large
    reply_.body.append(bytes);
    return Flow::go_on;
  }
  void on_end(base::Result<void> result) override {
    auto done = std::move(done_);  // it may drop us
    if (!result.ok()) return done(result.error());
    done(std::move(reply_));
  }
  std::size_t max_body_;
  base::UniqueFunction<void(base::Result<Client::Reply>)> done_;
  Client::Reply reply_;
  Transfer transfer_;
};

}  // namespace

Transfer Client::fetch_all(Request request, std::size_t max_body,
                           base::UniqueFunction<void(base::Result<Reply>)> done) {
  auto collector = std::make_unique<Collector>(max_body, std::move(done));
  collector->run(*this, std::move(request));
  return Transfer(std::move(collector));
}

}  // namespace shoal::fetch
