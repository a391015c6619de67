// Multi: Client's inside. One libcurl multi handle driven by the loop: its sockets are FdWatches, its one timer a loop
// timer. Owns the running transfers (Hop chains). Loop thread only.
//
// libcurl forbids most calls inside its callbacks, and our sinks may do anything there. So while libcurl is on the
// stack (depth_ > 0), starts, resumes and drops are noted and done when it has returned.
#pragma once

#include <curl/curl.h>

#include <memory>
#include <unordered_map>
#include <vector>

#include "shoal/base/loop.h"
#include "shoal/fetch/client.h"
#include "shoal/net/event_loop.h"
#include "transfer.h"

namespace shoal::fetch {

class Multi {
 public:
  Multi(net::EventLoop& loop, ClientOptions options);
  ~Multi();
  Multi(const Multi&) = delete;
  Multi& operator=(const Multi&) = delete;

  [[nodiscard]] Transfer start(Request request, Sink& sink);

  // For RunningTransfer.
  [[nodiscard]] net::EventLoop& loop() { return loop_; }
  [[nodiscard]] const ClientOptions& options() const { return options_; }
  void add(RunningTransfer& transfer);                             // its easy handle, now or soon
  void unpause(RunningTransfer& transfer);                         // soon
  void drop(RunningTransfer& transfer);                            // frees it, now or soon; no callback any more
  void end(RunningTransfer& transfer, base::Result<void> result);  // not inside libcurl: on_end, then frees it

 private:
  class InCurl;
  static int on_socket(CURL* easy, curl_socket_t fd, int what, void* self, void* watch);
  static int on_timer(CURLM* multi, long timeout_ms, void* self);
  void socket_ready(int fd, unsigned events, bool error);
  void drive(curl_socket_t fd, int events);
  void settle();  // what was put off while libcurl was on the stack
  void settle_in_curl(std::vector<RunningTransfer*>& refused);
  void collect();  // finished hops
  void wake_later();
  std::unique_ptr<RunningTransfer> release(RunningTransfer& transfer);

  net::EventLoop& loop_;
  ClientOptions options_;
  CURLM* multi_;
  base::Timer timer_;
  std::unordered_map<int, std::unique_ptr<net::FdWatch>> watches_;
  std::unordered_map<RunningTransfer*, std::unique_ptr<RunningTransfer>> transfers_;
  std::vector<RunningTransfer*> to_add_, to_unpause_;
  std::vector<std::unique_ptr<RunningTransfer>> dropped_;  // libcurl still holds their handles
  int depth_ = 0;
  bool wake_posted_ = false;
  base::Lifetime life_;
};

}  // namespace shoal::fetch
