#include "shoal/net/event_loop.h"

#include <pthread.h>

#include <cstdlib>

#include "block_signals.h"
#include "loop_impl.h"
#include "shoal/base/format.h"

namespace shoal::net {

namespace {

constexpr std::uint64_t kHeartbeatMs = 500;
constexpr int kStopRounds = 10'000;  // of posts that post again, before a stop gives up on them

thread_local const EventLoop::Impl* t_current = nullptr;

EventLoop::Impl& owner(uv_loop_t* loop) { return *static_cast<EventLoop::Impl*>(loop->data); }

void require(int uv_status) {
  if (uv_status != 0) std::abort();  // creating a loop fails only without memory or file descriptors
}

struct TimerHandle final : OwnedHandle {
  uv_timer_t timer;
  base::UniqueFunction<void()> fire;
  TimerHandle** slot = nullptr;  // the LoopTimer's pointer to this; null once it was dropped
};

void free_timer(uv_handle_t* handle) {
  auto* self = static_cast<TimerHandle*>(static_cast<OwnedHandle*>(handle->data));
  if (self->slot != nullptr) *self->slot = nullptr;
  delete self;
}

class LoopTimer final : public base::Timer::Impl {
 public:
  explicit LoopTimer(TimerHandle* handle) : handle_(handle) { handle_->slot = &handle_; }
  ~LoopTimer() override {
    if (handle_ == nullptr) return;  // the loop has stopped
    handle_->slot = nullptr;
    auto* uv = reinterpret_cast<uv_handle_t*>(&handle_->timer);
    if (uv_is_closing(uv) == 0) uv_close(uv, free_timer);
  }

 private:
  TimerHandle* handle_;
};

}  // namespace

EventLoop::Impl::Impl(unsigned i) : index(i), read_buffer(new char[kReadBufferBytes]) {
  require(uv_loop_init(&loop));
  loop.data = this;
  require(uv_async_init(&loop, &wake, [](uv_async_t* handle) {
    Impl& self = owner(handle->loop);
    self.touch();
    (void)self.run_posted();
  }));
  require(uv_idle_init(&loop, &again));
  require(uv_prepare_init(&loop, &before_wait));
  require(uv_timer_init(&loop, &heartbeat));
  require(uv_poll_init(&loop, &sockets, poller.fd()));
  for (uv_handle_t* handle : {reinterpret_cast<uv_handle_t*>(&wake), reinterpret_cast<uv_handle_t*>(&again),
                              reinterpret_cast<uv_handle_t*>(&before_wait), reinterpret_cast<uv_handle_t*>(&heartbeat),
                              reinterpret_cast<uv_handle_t*>(&sockets)}) {
    handle->data = nullptr;
  }
  touch();
}

EventLoop::Impl::~Impl() {
  close_handles();
  (void)uv_loop_close(&loop);  // every handle is closed: cannot be busy
}

bool EventLoop::Impl::here() const { return t_current == this; }

void EventLoop::Impl::post_local(base::UniqueFunction<void()> work) {
  local.push_back(std::move(work));
  if (local.size() > 1) return;
  (void)uv_idle_start(&again, [](uv_idle_t* handle) {  // fails only for a closing handle
    Impl& self = owner(handle->loop);
    self.touch();
    (void)self.run_posted();
  });
}

void EventLoop::Impl::post_any(base::UniqueFunction<void()> work) {
  const std::lock_guard lock(mutex);
  if (closed) return;
  posted.push_back(std::move(work));
  if (posted.size() == 1) posted_at = std::chrono::steady_clock::now();
  // Under the lock, so that the handle cannot be closed meanwhile; a wake-up is under way if others wait already.
  if (posted.size() == 1) (void)uv_async_send(&wake);
}

bool EventLoop::Impl::run_posted() {
  bool any = false;
  const auto run_all = [&] {
    any = any || !running.empty();
    for (auto& entry : running) {
      auto work = std::move(entry);  // what it captured goes right after it ran
      work();
    }
    running.clear();
  };
  running.swap(local);
  (void)uv_idle_stop(&again);
  run_all();
  base::SteadyTime since{};
  {
    const std::lock_guard lock(mutex);
    running.swap(posted);
    since = posted_at;
  }
  if (waits != nullptr && !running.empty()) {
    waits->observe(std::chrono::duration<double>(std::chrono::steady_clock::now() - since).count());
  }
  run_all();
  return any;
}

// libuv runs callbacks inside its poll, too: so a turn begins with the first of them, not where the poll returns.
void EventLoop::Impl::end_turn() {
  if (turns != nullptr && turn_began != base::SteadyTime{}) {
    turns->observe(std::chrono::duration<double>(std::chrono::steady_clock::now() - turn_began).count());
  }
  turn_began = {};
}

void EventLoop::Impl::run() {
  t_current = this;
  touch();
  heartbeat_due = now + std::chrono::milliseconds(kHeartbeatMs);
  uv_update_time(&loop);
  (void)uv_timer_start(
      &heartbeat,
      [](uv_timer_t* handle) {
        Impl& self = owner(handle->loop);
        self.touch();
        const auto late = std::chrono::duration_cast<std::chrono::microseconds>(self.now - self.heartbeat_due);
        self.lag_us.store(std::max<std::int64_t>(0, late.count()), std::memory_order_relaxed);
        self.heartbeat_due = self.now + std::chrono::milliseconds(kHeartbeatMs);
      },
      kHeartbeatMs, kHeartbeatMs);
  (void)uv_prepare_start(&before_wait, [](uv_prepare_t* handle) { owner(handle->loop).end_turn(); });
  (void)uv_poll_start(&sockets, UV_READABLE, [](uv_poll_t* handle, int, int) {
    Impl& self = owner(handle->loop);
    self.touch();
    self.poller.dispatch();
  });
  (void)uv_run(&loop, UV_RUN_DEFAULT);  // until uv_stop
  for (int round = 0; round < kStopRounds && run_posted(); ++round) {
  }
  close_handles();
  t_current = nullptr;
}

void EventLoop::Impl::close_handles() {
  std::vector<base::UniqueFunction<void()>> dropped;
  {
    const std::lock_guard lock(mutex);
    closed = true;
    dropped.swap(posted);
  }
  dropped.clear();
  local.clear();
  uv_walk(
      &loop,
      [](uv_handle_t* handle, void*) {
        if (uv_is_closing(handle) != 0) return;
        auto* owned = static_cast<OwnedHandle*>(handle->data);
        uv_close(handle, owned != nullptr ? owned->closed : nullptr);
      },
      nullptr);
  while (uv_run(&loop, UV_RUN_NOWAIT) != 0) {
  }
}

EventLoop::EventLoop(unsigned index) : impl_(std::make_unique<Impl>(index)) {}

EventLoop::~EventLoop() { stop(); }

void EventLoop::start() {
  const BlockSignals blocked;  // inherited by the thread
  impl_->thread = std::thread([this] { impl_->run(); });
  (void)::pthread_setname_np(impl_->thread.native_handle(), base::format("loop-{}", impl_->index).c_str());
}

void EventLoop::stop() {
  if (!impl_->thread.joinable()) return;
  impl_->post_any([this] { uv_stop(&impl_->loop); });
  impl_->thread.join();
}

void EventLoop::post(base::UniqueFunction<void()> work) {
  if (impl_->here()) {
    impl_->post_local(std::move(work));
  } else {
    impl_->post_any(std::move(work));
  }
}

base::Timer EventLoop::schedule(std::chrono::milliseconds delay, base::UniqueFunction<void()> fire) {
  auto handle = std::make_unique<TimerHandle>();
  handle->closed = free_timer;
  handle->fire = std::move(fire);
  require(uv_timer_init(&impl_->loop, &handle->timer));
  handle->timer.data = static_cast<OwnedHandle*>(handle.get());
  uv_update_time(&impl_->loop);  // libuv's idea of now is as old as the turn
  // libuv rounds now down to a millisecond: one more, so that nothing fires early.
  const auto ms = delay.count() > 0 ? static_cast<std::uint64_t>(delay.count()) + 1 : 0;
  require(uv_timer_start(
      &handle->timer,
      [](uv_timer_t* timer) {
        owner(timer->loop).touch();
        auto run = std::move(static_cast<TimerHandle*>(static_cast<OwnedHandle*>(timer->data))->fire);
        run();  // may drop the timer
      },
      ms, 0));
  return base::Timer(std::make_unique<LoopTimer>(handle.release()));
}

bool EventLoop::in_loop() const { return impl_->here(); }

base::SteadyTime EventLoop::now() const { return impl_->here() ? impl_->now : std::chrono::steady_clock::now(); }

unsigned EventLoop::index() const { return impl_->index; }

void EventLoop::measure(obs::Histogram& turns, obs::Histogram& waits) {
  post([impl = impl_.get(), &turns, &waits] {
    impl->turns = &turns;
    impl->waits = &waits;
  });
}

std::chrono::microseconds EventLoop::lag() const {
  return std::chrono::microseconds(impl_->lag_us.load(std::memory_order_relaxed));
}

}  // namespace shoal::net
