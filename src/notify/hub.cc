#include <algorithm>
#include <atomic>
#include <future>
#include <map>
#include <mutex>

#include "courier.h"
#include "shoal/base/format.h"
#include "shoal/fetch/url.h"
#include "shoal/notify/notify.h"
#include "shoal/obs/log.h"

namespace shoal::notify {
namespace {

using obs::Category;

constexpr std::size_t kMaxIntake = 20'000;  // published and not yet on disk
constexpr std::chrono::milliseconds kSyncAfter{500};
constexpr std::chrono::milliseconds kGather{20};  // what comes within is written together

std::uint32_t bit_of(obs::EventKind kind, obs::EventObject object) {
  return 1U << (static_cast<unsigned>(kind) * obs::kEventObjects + static_cast<unsigned>(object));
}

// Which kinds and objects somebody might want.
std::uint32_t mask_of(const Options& options) {
  std::uint32_t mask = 0;
  for (const auto& endpoint : options.endpoints) {
    for (unsigned kind = 0; kind < obs::kEventKinds; ++kind) {
      for (unsigned object = 0; object < obs::kEventObjects; ++object) {
        obs::Event event;
        event.kind = static_cast<obs::EventKind>(kind);
        event.object = static_cast<obs::EventObject>(object);
        if (takes(endpoint, event)) mask |= bit_of(event.kind, event.object);
      }
    }
  }
  return mask;
}

std::string shown_origin(const std::string& url) {
  const auto origin = fetch::origin_of(url);
  return origin ? base::format("{}://{}:{}", origin->scheme, origin->host, origin->port) : std::string();
}

// Looks like a UUID, which some receivers want; unique in this process, and likely so across.
std::string event_id(const std::string& instance) {
  const auto id = obs::next_request_id();
  return base::format("{}-{}-{}-{}-{}", instance.substr(0, 8), instance.substr(8, 4), instance.substr(12, 4),
                      id.substr(0, 4), id.substr(4));
}

class StrandExecutor final : public base::Executor {
 public:
  explicit StrandExecutor(base::Executor& pool) : strand_(pool) {}
  void post(base::UniqueFunction<void()> work) override { strand_.post(std::move(work)); }

 private:
  base::Strand strand_;
};

}  // namespace

struct Hub::State : std::enable_shared_from_this<Hub::State> {
  // What one endpoint has. Made by configure(), on the main thread; it stays when the endpoint goes, so that its files
  // are never opened twice.
  struct Endpoint {
    std::shared_ptr<Board> board;          // shared with queue and courier
    std::shared_ptr<EndpointProbe> probe;  // the same
    std::shared_ptr<Queue> queue;          // shared with the courier
    bool opened = false;                   // on the strand
    bool active = false;                   // on the strand: configured, and opened
    bool broken = false;                   // on the strand: configured, but it could not be opened
  };

  State(base::Executor& pool, base::Clock& c, obs::Metrics& m) : clock(c), metrics(m), probe(m), strand(pool) {}

  void take_in();
  void fill_queues(std::vector<obs::Event> events);
  void gather();
  void arm_sync();
  void sync_all();
  void open_and_set(Endpoint& endpoint, std::shared_ptr<const EndpointOptions> options, const std::string& source);
  void set_couriers(const std::vector<std::string>& names);
  [[nodiscard]] std::shared_ptr<Queue> find(const std::string& name);  // active and usable, else null; on the strand

  base::Clock& clock;
  obs::Metrics& metrics;
  IntakeProbe probe;
  StrandExecutor strand;
  const std::string instance = obs::next_request_id();
  std::string directory;       // set by start()
  base::Loop* loop = nullptr;  // the same
  std::atomic<std::uint32_t> mask{0};

  std::mutex mutex;
  std::vector<obs::Event> intake;  // under the mutex, as the two below
  bool scheduled = false, closed = false;
  std::map<std::string, std::shared_ptr<Endpoint>> endpoints;  // under the mutex; what is in them is the strand's
  std::vector<std::string> shown;                              // under the mutex: those that are configured

  bool sync_armed = false;  // on the strand
  bool losing = false;      // under the mutex: the log has told

  std::unique_ptr<Sender> sender;  // on the loop, as all below
  std::map<std::string, std::unique_ptr<Courier>> couriers;
  base::Timer sync_timer, gather_timer;
};

// Published events to the queues. On the strand.
void Hub::State::take_in() {
  std::vector<obs::Event> events;
  {
    const std::lock_guard lock(mutex);
    events.swap(intake);
    losing = false;
  }
  fill_queues(std::move(events));
  loop->post([self = shared_from_this()] { self->gather(); });
}

void Hub::State::fill_queues(std::vector<obs::Event> events) {
  std::vector<std::pair<std::string, std::shared_ptr<Endpoint>>> all;
  {
    const std::lock_guard lock(mutex);
    all.assign(endpoints.begin(), endpoints.end());
  }
  for (auto& event : events) event.id = event_id(instance);
  std::vector<std::string> filled;
  for (const auto& [name, endpoint] : all) {
    if (endpoint->broken) endpoint->queue->refuse(events);
    if (!endpoint->active) continue;
    endpoint->queue->offer(events);
    if (endpoint->queue->pending() > 0) filled.push_back(name);
  }
  if (filled.empty()) return;
  arm_sync();
  loop->post([self = shared_from_this(), filled = std::move(filled)] {
    for (const auto& name : filled) {
      if (const auto courier = self->couriers.find(name); courier != self->couriers.end()) courier->second->wake();
    }
  });
}

// The first event after a pause is written at once, those behind it a little later all together: else each would cost
// two threads a wake-up. On the loop.
void Hub::State::gather() {
  if (!sender) return;  // closing, which takes in what is left
  gather_timer = loop->schedule(kGather, [this] {
    {
      const std::lock_guard lock(mutex);
      scheduled = !intake.empty();
      if (!scheduled) return;
    }
    strand.post([self = shared_from_this()] { self->take_in(); });
  });
}

// So that a power cut costs half a second of events, and a sync is never paid for one event alone.
void Hub::State::arm_sync() {
  if (sync_armed) return;
  sync_armed = true;
  loop->post([self = shared_from_this()] {
    if (!self->sender) return;  // closing, which syncs
    self->sync_timer = self->loop->schedule(kSyncAfter, [state = self.get()] {
      state->strand.post([again = state->shared_from_this()] { again->sync_all(); });
    });
  });
}

void Hub::State::sync_all() {
  std::vector<std::shared_ptr<Endpoint>> all;
  {
    const std::lock_guard lock(mutex);
    for (const auto& [name, endpoint] : endpoints) all.push_back(endpoint);
  }
  sync_armed = false;
  bool more = false;
  for (const auto& endpoint : all) {
    if (!endpoint->opened) continue;
    endpoint->queue->sync();
    more = more || endpoint->queue->pending() > 0;  // what is delivered meanwhile moves the cursor
  }
  if (more) arm_sync();
}

void Hub::State::open_and_set(Endpoint& endpoint, std::shared_ptr<const EndpointOptions> options,
                              const std::string& source) {
  const auto name = options->name;
  endpoint.queue->set_options(std::move(options), source);
  if (!endpoint.opened) {
    if (const auto opened = endpoint.queue->open(); !opened) {
      obs::error(Category::notify, "endpoint {}: its queue cannot be opened, no event is kept for it: {}", name,
                 opened.error().message());
      endpoint.board->edit([&](EndpointStatus& status) {
        status.last_error = opened.error().message();
        status.failures = 1;
      });
      endpoint.broken = true;
      return;
    }
    endpoint.opened = true;
    endpoint.board->edit([](EndpointStatus& status) {
      status.last_error.clear();
      status.failures = 0;
    });
  }
  endpoint.active = true;
}

// The couriers of exactly those endpoints; on the loop.
void Hub::State::set_couriers(const std::vector<std::string>& names) {
  if (!sender) return;
  std::erase_if(couriers,
                [&](const auto& entry) { return std::find(names.begin(), names.end(), entry.first) == names.end(); });
  for (const auto& name : names) {
    auto& courier = couriers[name];
    if (!courier) {
      std::shared_ptr<Endpoint> endpoint;
      {
        const std::lock_guard lock(mutex);
        endpoint = endpoints.at(name);
      }
      const auto seed = static_cast<std::uint32_t>(std::hash<std::string>()(instance + name));
      courier = std::make_unique<Courier>(Courier::Parts{*loop, clock, strand, *sender}, endpoint->queue,
                                          endpoint->board, endpoint->probe, seed);
    }
    courier->try_again();
  }
}

std::shared_ptr<Queue> Hub::State::find(const std::string& name) {
  const std::lock_guard lock(mutex);
  const auto found = endpoints.find(name);
  return found != endpoints.end() && found->second->active ? found->second->queue : nullptr;
}

Hub::Hub(base::Executor& pool, base::Clock& clock, obs::Metrics& metrics)
    : state_(std::make_shared<State>(pool, clock, metrics)) {}

Hub::~Hub() = default;

void Hub::start(std::string directory, base::Loop& loop, base::UniqueFunction<std::unique_ptr<Sender>()> make_sender,
                Options options) {
  state_->directory = std::move(directory);
  state_->loop = &loop;
  loop.post([state = state_, make = std::move(make_sender)]() mutable { state->sender = make(); });
  configure(std::move(options));
}

void Hub::configure(Options options) {
  std::vector<std::pair<std::shared_ptr<State::Endpoint>, std::shared_ptr<const EndpointOptions>>> wanted;
  std::vector<std::string> names;
  std::vector<obs::Event> early;  // published before: by the old options
  const auto mask = mask_of(options);
  {
    const std::lock_guard lock(state_->mutex);
    early.swap(state_->intake);
    for (auto& options_of : options.endpoints) {
      const auto name = options_of.name;
      auto& endpoint = state_->endpoints[name];
      if (!endpoint) {
        endpoint = std::make_shared<State::Endpoint>();
        endpoint->board = std::make_shared<Board>();
        endpoint->board->edit([&name](EndpointStatus& status) { status.name = name; });
        endpoint->probe = std::make_shared<EndpointProbe>(state_->metrics, name);
        endpoint->queue =
            std::make_shared<Queue>(state_->directory + "/" + name, Source{options.source, state_->instance},
                                    state_->clock, endpoint->board, endpoint->probe);
      }
      endpoint->board->edit([&options_of](EndpointStatus& status) {
        status.origin = shown_origin(options_of.url);
        status.format = options_of.format == Format::cloudevents ? "cloudevents" : "distribution";
      });
      names.push_back(name);
      wanted.emplace_back(endpoint, std::make_shared<const EndpointOptions>(std::move(options_of)));
    }
    state_->shown = names;
  }
  state_->mask.store(mask, std::memory_order_relaxed);
  state_->strand.post([state = state_, wanted = std::move(wanted), names = std::move(names), source = options.source,
                       early = std::move(early)]() mutable {
    state->fill_queues(std::move(early));
    {
      const std::lock_guard lock(state->mutex);
      for (const auto& [name, endpoint] : state->endpoints) endpoint->active = endpoint->broken = false;
    }
    for (auto& [endpoint, endpoint_options] : wanted) {
      state->open_and_set(*endpoint, std::move(endpoint_options), source);
    }
    std::erase_if(names, [&](const std::string& name) { return !state->find(name); });
    state->loop->post([state, names = std::move(names)] { state->set_couriers(names); });
  });
}

void Hub::close() {
  if (state_->loop == nullptr) return;
  state_->mask.store(0, std::memory_order_relaxed);
  auto gone = std::make_shared<std::promise<void>>();  // shared: setting it may touch it when wait() has returned
  auto waiting = gone->get_future();
  state_->loop->post([state = state_, gone] {
    state->sync_timer.cancel();
    state->gather_timer.cancel();
    state->couriers.clear();
    state->sender.reset();
    gone->set_value();
  });
  waiting.wait();
  auto written = std::make_shared<std::promise<void>>();
  waiting = written->get_future();
  state_->strand.post([state = state_, written] {
    state->take_in();
    state->sync_all();
    {
      const std::lock_guard lock(state->mutex);
      state->closed = true;
      state->endpoints.clear();
    }
    written->set_value();
  });
  waiting.wait();
}

bool Hub::wants(obs::EventKind kind, obs::EventObject object) const {
  return (state_->mask.load(std::memory_order_relaxed) & bit_of(kind, object)) != 0;
}

bool Hub::wants_any() const { return state_->mask.load(std::memory_order_relaxed) != 0; }

void Hub::publish(obs::Event event) {
  if (!wants(event.kind, event.object)) return;
  if (event.at == base::WallTime{}) event.at = state_->clock.wall_now();
  bool first = false, tell = false;
  {
    const std::lock_guard lock(state_->mutex);
    if (state_->closed) return;
    if (state_->intake.size() >= kMaxIntake) {
      tell = !std::exchange(state_->losing, true);
      state_->probe.lost();
    } else {
      state_->intake.push_back(std::move(event));
      first = !std::exchange(state_->scheduled, true);
    }
  }
  if (tell) obs::warn(Category::notify, "events are lost: the disk does not take them as fast as they come");
  if (first) state_->strand.post([state = state_] { state->take_in(); });
}

std::vector<EndpointStatus> Hub::status() const {
  const std::lock_guard lock(state_->mutex);
  std::vector<EndpointStatus> all;
  for (const auto& name : state_->shown) {
    if (const auto found = state_->endpoints.find(name); found != state_->endpoints.end()) {
      all.push_back(found->second->board->status());
    }
  }
  return all;
}

void Hub::list_dead(std::string name, std::size_t limit,
                    base::UniqueFunction<void(base::Result<std::vector<DeadLetter>>)> done) {
  state_->strand.post([state = state_, name = std::move(name), limit, done = std::move(done)]() mutable {
    const auto queue = state->find(name);
    if (!queue) return done(base::Error(base::ErrorKind::not_found, "no endpoint " + name));
    done(queue->list_dead(limit));
  });
}

void Hub::retry_dead(std::string name, base::UniqueFunction<void(base::Result<std::size_t>)> done) {
  state_->strand.post([state = state_, name = std::move(name), done = std::move(done)]() mutable {
    const auto queue = state->find(name);
    if (!queue) return done(base::Error(base::ErrorKind::not_found, "no endpoint " + name));
    done(queue->retry_dead());
    state->arm_sync();
    state->loop->post([state, name] {
      if (const auto courier = state->couriers.find(name); courier != state->couriers.end()) courier->second->wake();
    });
  });
}

}  // namespace shoal::notify
