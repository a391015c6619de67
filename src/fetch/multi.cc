#include "multi.h"

#include <algorithm>

#include "shoal/base/format.h"

namespace shoal::fetch {

class Multi::InCurl {
 public:
  explicit InCurl(Multi& multi) : multi_(multi) { ++multi_.depth_; }
  ~InCurl() { --multi_.depth_; }
  InCurl(const InCurl&) = delete;
  InCurl& operator=(const InCurl&) = delete;

 private:
  Multi& multi_;
};

Multi::Multi(net::EventLoop& loop, ClientOptions options) : loop_(loop), options_(std::move(options)) {
  init_curl_once();
  multi_ = curl_multi_init();
  if (multi_ == nullptr) std::abort();  // no memory
  const auto set = [this](CURLMoption option, auto value) { (void)curl_multi_setopt(multi_, option, value); };
  set(CURLMOPT_SOCKETFUNCTION, &Multi::on_socket);
  set(CURLMOPT_SOCKETDATA, this);
  set(CURLMOPT_TIMERFUNCTION, &Multi::on_timer);
  set(CURLMOPT_TIMERDATA, this);
  set(CURLMOPT_PIPELINING, static_cast<long>(CURLPIPE_NOTHING));
  set(CURLMOPT_MAX_TOTAL_CONNECTIONS, static_cast<long>(options_.max_connections));
  set(CURLMOPT_MAX_HOST_CONNECTIONS, static_cast<long>(options_.max_connections_per_host));
  set(CURLMOPT_MAXCONNECTS, static_cast<long>(options_.max_idle_connections));
}

Multi::~Multi() {
  InCurl guard(*this);
  for (auto& [raw, transfer] : transfers_) {
    transfer->detach();
    if (transfer->in_multi) (void)curl_multi_remove_handle(multi_, transfer->easy());
  }
  for (auto& transfer : dropped_) (void)curl_multi_remove_handle(multi_, transfer->easy());
  transfers_.clear();
  dropped_.clear();
  timer_.cancel();
  (void)curl_multi_cleanup(multi_);  // closes idle connections; on_socket drops their watches
  timer_.cancel();
}

Transfer Multi::start(Request request, Sink& sink) {
  auto transfer = std::make_unique<RunningTransfer>(*this, std::move(request), sink);
  auto handle = transfer->make_handle();
  RunningTransfer* raw = transfer.get();
  transfers_.emplace(raw, std::move(transfer));
  raw->start_hop();
  return Transfer(std::move(handle));
}

void Multi::add(RunningTransfer& transfer) {
  // Also outside libcurl not at once: a handle it refuses would have to end the transfer inside start().
  to_add_.push_back(&transfer);
  wake_later();
}

void Multi::unpause(RunningTransfer& transfer) {
  to_unpause_.push_back(&transfer);
  wake_later();
}

void Multi::wake_later() {
  if (wake_posted_) return;
  wake_posted_ = true;
  loop_.post([this, alive = life_.watch()] {
    if (alive.gone()) return;
    wake_posted_ = false;
    settle();
    collect();
  });
}

std::unique_ptr<RunningTransfer> Multi::release(RunningTransfer& transfer) {
  const auto found = transfers_.find(&transfer);
  if (found == transfers_.end()) return nullptr;
  auto owned = std::move(found->second);
  transfers_.erase(found);
  std::erase(to_add_, &transfer);
  std::erase(to_unpause_, &transfer);
  return owned;
}

void Multi::drop(RunningTransfer& transfer) {
  auto owned = release(transfer);
  if (owned == nullptr) return;
  owned->detach();
  if (!owned->in_multi) {
    // libcurl may be in one of its callbacks only while the handle is in.
    return;
  }
  if (depth_ > 0) {
    dropped_.push_back(std::move(owned));
    wake_later();
    return;
  }
  InCurl guard(*this);
  (void)curl_multi_remove_handle(multi_, owned->easy());
}

void Multi::end(RunningTransfer& transfer, base::Result<void> result) {
  auto owned = release(transfer);
  if (owned == nullptr) return;
  if (owned->in_multi) {
    InCurl guard(*this);
    (void)curl_multi_remove_handle(multi_, owned->easy());
    owned->in_multi = false;
  }
  Sink* sink = owned->sink();
  owned->detach();
  if (sink != nullptr) sink->on_end(std::move(result));
  // `this` may be gone
}

void Multi::settle() {
  if (depth_ > 0) return;
  std::vector<RunningTransfer*> refused;
  {
    InCurl guard(*this);
    settle_in_curl(refused);
  }
  const auto alive = life_.watch();
  for (RunningTransfer* transfer : refused) {
    if (alive.gone()) return;
    // A former one's on_end may have dropped it: end() knows.
    end(*transfer, base::Error(base::ErrorKind::bug, "libcurl refused a transfer"));
  }
}

void Multi::settle_in_curl(std::vector<RunningTransfer*>& refused) {
  auto dropped = std::exchange(dropped_, {});
  for (auto& transfer : dropped) (void)curl_multi_remove_handle(multi_, transfer->easy());
  dropped.clear();
  for (RunningTransfer* transfer : std::exchange(to_add_, {})) {
    transfer->in_multi = curl_multi_add_handle(multi_, transfer->easy()) == CURLM_OK;
    if (!transfer->in_multi) refused.push_back(transfer);  // no memory, or a bug
  }
  // Unpausing delivers what libcurl held back: sinks run, and may drop others of this list.
  while (!to_unpause_.empty()) {
    RunningTransfer* transfer = to_unpause_.back();
    to_unpause_.pop_back();
    transfer->flow_again();
    (void)curl_easy_pause(transfer->easy(), CURLPAUSE_CONT);
  }
}

int Multi::on_socket(CURL*, curl_socket_t fd, int what, void* self, void*) {
  auto* multi = static_cast<Multi*>(self);
  if (what == CURL_POLL_REMOVE) {
    multi->watches_.erase(fd);
    return 0;
  }
  auto& watch = multi->watches_[fd];
  if (watch == nullptr) {
    watch = std::make_unique<net::FdWatch>(
        multi->loop_, fd, [multi, fd](unsigned events, bool error) { multi->socket_ready(fd, events, error); });
  }
  unsigned want = 0;
  if (what == CURL_POLL_IN || what == CURL_POLL_INOUT) want |= net::FdWatch::readable;
  if (what == CURL_POLL_OUT || what == CURL_POLL_INOUT) want |= net::FdWatch::writable;
  watch->want(want);
  return 0;
}

int Multi::on_timer(CURLM*, long timeout_ms, void* self) {
  auto* multi = static_cast<Multi*>(self);
  multi->timer_.cancel();
  if (timeout_ms < 0) return 0;
  multi->timer_ =
      multi->loop_.schedule(std::chrono::milliseconds(timeout_ms), [multi] { multi->drive(CURL_SOCKET_TIMEOUT, 0); });
  return 0;
}

void Multi::socket_ready(int fd, unsigned events, bool error) {
  int seen = error ? CURL_CSELECT_ERR : 0;
  if ((events & net::FdWatch::readable) != 0) seen |= CURL_CSELECT_IN;
  if ((events & net::FdWatch::writable) != 0) seen |= CURL_CSELECT_OUT;
  drive(fd, seen);
}

void Multi::drive(curl_socket_t fd, int events) {
  {
    InCurl guard(*this);
    int running = 0;
    (void)curl_multi_socket_action(multi_, fd, events, &running);  // fails only for a broken multi handle
  }
  collect();
}

void Multi::collect() {
  const auto alive = life_.watch();
  for (;;) {
    int left = 0;
    const CURLMsg* message = curl_multi_info_read(multi_, &left);
    if (message == nullptr) break;
    if (message->msg != CURLMSG_DONE) continue;
    const CURLcode code = message->data.result;
    CURL* easy = message->easy_handle;
    char* owner = nullptr;
    (void)curl_easy_getinfo(easy, CURLINFO_PRIVATE, &owner);
    auto* transfer = reinterpret_cast<RunningTransfer*>(owner);
    {
      InCurl guard(*this);
      (void)curl_multi_remove_handle(multi_, easy);
    }
    transfer->in_multi = false;
    const auto dropped = std::find_if(dropped_.begin(), dropped_.end(), [&](auto& d) { return d.get() == transfer; });
    if (dropped != dropped_.end()) {
      dropped_.erase(dropped);
      continue;
    }
    transfer->hop_done(code);
    if (alive.gone()) return;
  }
}

}  // namespace shoal::fetch
