// Notifications: what happens to content, told to HTTP receivers of the operator's choice (webhooks). A Hub takes
// events from anywhere, keeps them on disk for each endpoint that wants them, and sends them in order until the
// receiver says 2xx. docs/notifications.md is the operator's page; src/notify/README.md says where a behaviour lives.
//
// Formats: the envelope of the Distribution registry (github.com/distribution/distribution, "notifications"), and
// CloudEvents 1.0 (structured JSON; batched when a request may hold more than one event).
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "shoal/base/clock.h"
#include "shoal/base/loop.h"
#include "shoal/base/result.h"
#include "shoal/fetch/client.h"
#include "shoal/obs/event.h"
#include "shoal/obs/metrics.h"

namespace shoal::notify {

enum class Format { distribution, cloudevents };

struct EndpointOptions {
  std::string name;  // see valid_name(); its directory is called so
  std::string url;   // may hold a secret: only its origin is ever shown
  Format format = Format::distribution;
  std::vector<std::pair<std::string, std::string>> headers;  // secret ones included: never shown
  std::string secret;                                        // signs each body; "": no signature
  std::array<bool, obs::kEventKinds> kinds{};                // by EventKind
  bool blobs = false;                                        // push, pull, delete of blobs too
  std::vector<std::string> repositories{"**"};               // registry::matches; events without one pass
  std::size_t batch = 1;                                     // events in one request, at most
  std::chrono::milliseconds timeout{10'000};                 // for a whole request
  std::chrono::milliseconds backoff{1'000};                  // after the first failure, doubling ...
  std::chrono::milliseconds max_backoff{300'000};            // ... up to this
  std::chrono::seconds retry_for{24 * 3600};                 // an event that waited so long is a dead letter
  unsigned retries = 8;                                      // of an event the receiver refuses; then a dead letter
  std::uint64_t queue_bytes = 64ULL << 20;                   // on disk; beyond, new events are dropped
  std::size_t dead_letters = 1000;                           // kept; beyond, the oldest go
  fetch::TlsTrust tls;
};

struct Options {
  std::string source;  // who tells: the node's name
  std::vector<EndpointOptions> endpoints;
};

// 1 to 64 of [a-z0-9_-], beginning with a letter or digit.
[[nodiscard]] bool valid_name(std::string_view name);
// Is this event for that endpoint? Pure.
[[nodiscard]] bool takes(const EndpointOptions& endpoint, const obs::Event& event);

struct EndpointStatus {
  std::string name, origin, format;
  std::uint64_t pending = 0, pending_bytes = 0;
  std::uint64_t delivered = 0, failed = 0, dropped = 0, dead = 0;  // since start; failed counts requests
  std::uint64_t dead_letters = 0;                                  // kept
  unsigned failures = 0;                                           // in a row
  std::string last_error;                                          // of the last request; "" when it was fine
  std::optional<base::WallTime> last_success, next_try;
};

struct DeadLetter {
  base::WallTime at;  // when it was given up
  unsigned attempts = 0;
  std::string reason;
  std::string event;  // as JSON, in Distribution's form
};

// One HTTP request. Dropping the Sending cancels it.
class Sender {
 public:
  struct Reply {
    int status = 0;
    std::string retry_after;  // the header
  };
  class Sending {
   public:
    virtual ~Sending() = default;
  };
  virtual ~Sender() = default;
  // `done` once, later, on the loop.
  [[nodiscard]] virtual std::unique_ptr<Sending> send(fetch::Request request,
                                                      base::UniqueFunction<void(base::Result<Reply>)> done) = 0;
};
// Over a client of its own. Made and dropped on the loop.
[[nodiscard]] std::unique_ptr<Sender> make_sender(net::EventLoop& loop, const std::string& user_agent);

// publish(), wants() and status(): any thread. The rest: the main thread. References outlive it; `pool` runs what was
// posted to the end, so the Hub's files are closed when close() has returned.
class Hub final : public obs::EventSink {
 public:
  Hub(base::Executor& pool, base::Clock& clock, obs::Metrics& metrics);
  ~Hub() override;  // after close(), if it was started

  // Queues live in directories of `directory`, which nobody else uses meanwhile. The sender is made on the loop.
  void start(std::string directory, base::Loop& loop, base::UniqueFunction<std::unique_ptr<Sender>()> make_sender,
             Options options);
  // What waits for an endpoint that stays goes on, by the new options, at once. The queue of one that went stays on
  // disk, and goes on when the name comes back.
  void configure(Options options);
  // Waits: deliveries end, what was published is on disk. The loop and the pool still run.
  void close();

  [[nodiscard]] bool wants(obs::EventKind kind, obs::EventObject object) const override;
  [[nodiscard]] bool wants_any() const override;
  void publish(obs::Event event) override;

  [[nodiscard]] std::vector<EndpointStatus> status() const;
  // `done` on the pool. ErrorKind::not_found: no such endpoint.
  void list_dead(std::string name, std::size_t limit,
                 base::UniqueFunction<void(base::Result<std::vector<DeadLetter>>)> done);  // newest first
  // All dead letters go back to the end of the queue, as many as it takes: how many.
  void retry_dead(std::string name, base::UniqueFunction<void(base::Result<std::size_t>)> done);

 private:
  struct State;
  std::shared_ptr<State> state_;  // shared with what runs on pool and loop
};

}  // namespace shoal::notify
