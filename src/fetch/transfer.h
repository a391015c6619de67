// RunningTransfer: one request across its redirects. Owned by Multi; talks to the Sink until it ended or was dropped.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "easy.h"
#include "head_reader.h"
#include "shoal/base/loop.h"
#include "stall_meter.h"

namespace shoal::fetch {

class Multi;

class RunningTransfer {
 public:
  // What the caller holds. Outlives the transfer or drops it.
  class Handle final : public Transfer::Impl {
   public:
    explicit Handle(RunningTransfer* transfer) : transfer_(transfer) {}
    ~Handle() override;
    void resume() override;

   private:
    friend class RunningTransfer;
    RunningTransfer* transfer_;  // null once it ended
  };

  RunningTransfer(Multi& multi, Request request, Sink& sink);
  ~RunningTransfer();

  [[nodiscard]] std::unique_ptr<Handle> make_handle();
  [[nodiscard]] Sink* sink() { return sink_; }
  void detach();  // from sink and handle: nothing is called any more
  [[nodiscard]] CURL* easy() { return easy_.handle.get(); }

  void start_hop();
  // libcurl is done with the hop; its handle is out of the multi. Ends the transfer or starts the next hop.
  void hop_done(CURLcode code);
  // Multi has put the handle in.
  bool in_multi = false;
  // on_data asked for a pause and libcurl obeyed.
  void flow_again() { curl_paused_ = false; }

 private:
  static std::size_t on_header(char* bytes, std::size_t size, std::size_t count, void* self);
  static std::size_t on_body(char* bytes, std::size_t size, std::size_t count, void* self);
  static int on_request(void* self, char* ip, char* local_ip, int port, int local_port);
  std::size_t header_line(std::string_view line);
  std::size_t body_bytes(std::string_view bytes);
  bool head_complete();
  void arm_first_byte();
  void arm_stall_tick();
  void abort(base::Error error);  // outside libcurl
  void resume();

  Multi& multi_;
  Request request_;
  Sink* sink_;
  Handle* handle_ = nullptr;
  Easy easy_;
  std::string url_, method_;
  Origin first_origin_;
  bool send_authorization_ = true;
  int redirects_ = 0;
  HeadReader head_;
  std::string next_url_;                // set: this hop is a redirect, its body is thrown away
  std::size_t discarded_ = 0;           // of that body
  std::optional<base::Error> failure_;  // ours, found inside a callback
  StallMeter meter_;
  base::Timer timer_;  // first byte, then the stall ticks
  bool in_data_ = false, resumed_in_data_ = false;
  bool paused_ = false;       // the sink wants no bytes
  bool curl_paused_ = false;  // libcurl holds bytes back
};

}  // namespace shoal::fetch
