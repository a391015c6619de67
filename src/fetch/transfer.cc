#include "transfer.h"

#include "multi.h"
#include "shoal/base/format.h"

namespace shoal::fetch {

using base::Error;
using base::ErrorKind;
using base::format;

namespace {
// A redirect's body is small; reading it keeps the connection. Larger ones are not worth it.
constexpr std::size_t kMaxRedirectBody = 64 * 1024;
}  // namespace

RunningTransfer::Handle::~Handle() {
  if (transfer_ == nullptr) return;
  RunningTransfer* transfer = std::exchange(transfer_, nullptr);
  transfer->handle_ = nullptr;
  transfer->multi_.drop(*transfer);
}

void RunningTransfer::Handle::resume() {
  if (transfer_ != nullptr) transfer_->resume();
}

RunningTransfer::RunningTransfer(Multi& multi, Request request, Sink& sink)
    : multi_(multi),
      request_(std::move(request)),
      sink_(&sink),
      url_(request_.url),
      method_(request_.method),
      head_(multi.options().max_header_bytes),
      meter_(request_.stall_timeout, request_.min_bytes_per_second) {
  if (const auto origin = origin_of(url_)) first_origin_ = *origin;
}

RunningTransfer::~RunningTransfer() { detach(); }

std::unique_ptr<RunningTransfer::Handle> RunningTransfer::make_handle() {
  auto handle = std::make_unique<Handle>(this);
  handle_ = handle.get();
  return handle;
}

void RunningTransfer::detach() {
  if (handle_ != nullptr) handle_->transfer_ = nullptr;
  handle_ = nullptr;
  sink_ = nullptr;
  timer_.cancel();
}

void RunningTransfer::start_hop() {
  head_ = HeadReader(multi_.options().max_header_bytes);
  next_url_.clear();
  discarded_ = 0;
  timer_.cancel();
  configure(easy_, request_, multi_.options(), url_, method_, send_authorization_);
  CURL* easy = easy_.handle.get();
  (void)curl_easy_setopt(easy, CURLOPT_PRIVATE, this);
  (void)curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, &RunningTransfer::on_header);
  (void)curl_easy_setopt(easy, CURLOPT_HEADERDATA, this);
  (void)curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, &RunningTransfer::on_body);
  (void)curl_easy_setopt(easy, CURLOPT_WRITEDATA, this);
  (void)curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, &RunningTransfer::on_request);
  (void)curl_easy_setopt(easy, CURLOPT_PREREQDATA, this);
  multi_.add(*this);
}

// Connected (TLS too), the request goes out now: from here the server owes us a head.
int RunningTransfer::on_request(void* self, char*, char*, int, int) {
  auto* transfer = static_cast<RunningTransfer*>(self);
  if (transfer->sink_ == nullptr) return CURL_PREREQFUNC_ABORT;
  transfer->arm_first_byte();
  return CURL_PREREQFUNC_OK;
}

std::size_t RunningTransfer::on_header(char* bytes, std::size_t size, std::size_t count, void* self) {
  return static_cast<RunningTransfer*>(self)->header_line({bytes, size * count});
}

std::size_t RunningTransfer::on_body(char* bytes, std::size_t size, std::size_t count, void* self) {
  return static_cast<RunningTransfer*>(self)->body_bytes({bytes, size * count});
}

std::size_t RunningTransfer::header_line(std::string_view line) {
  if (sink_ == nullptr) return 0;
  const std::size_t size = line.size();
  switch (head_.line(line)) {
    case HeadReader::State::reading: return size;
    case HeadReader::State::complete: return head_complete() ? size : 0;
    case HeadReader::State::too_large:
      failure_ = Error(ErrorKind::full, format("{}: the answer's headers exceed {} bytes", printable_url(url_),
                                               multi_.options().max_header_bytes));
      return 0;
    case HeadReader::State::malformed:
      failure_ = Error(ErrorKind::corrupt, format("{}: malformed answer head", printable_url(url_)));
      return 0;
  }
  return 0;
}

bool RunningTransfer::head_complete() {
  meter_ = StallMeter(request_.stall_timeout, request_.min_bytes_per_second);
  arm_stall_tick();
  ResponseHead& head = head_.head();
  if (request_.max_redirects > 0 && is_redirect(head)) {
    if (redirects_ >= request_.max_redirects) {
      failure_ = Error(ErrorKind::gone, format("{}: more than {} redirects", printable_url(request_.url), redirects_));
      return false;
    }
    auto target = resolve_url(url_, head.header("location"));
    if (!target) {
      failure_ =
          Error(ErrorKind::gone, format("{}: redirect to something that is not an http URL", printable_url(url_)));
      return false;
    }
    next_url_ = std::move(*target);
    return true;
  }
  head.effective_url = printable_url(url_);
  head.redirects = redirects_;
  sink_->on_head(head);  // may drop us: then sink_ is null
  return sink_ != nullptr;
}

std::size_t RunningTransfer::body_bytes(std::string_view bytes) {
  if (sink_ == nullptr) return 0;
  if (!head_.complete()) {
    failure_ = Error(ErrorKind::corrupt, format("{}: a body without a head", printable_url(url_)));
    return 0;
  }
  if (!next_url_.empty()) {
    discarded_ += bytes.size();
    return discarded_ <= kMaxRedirectBody ? bytes.size() : 0;
  }
  if (paused_) {
    curl_paused_ = true;
    return CURL_WRITEFUNC_PAUSE;  // libcurl keeps these and stops reading
  }
  meter_.add(bytes.size());
  in_data_ = true;
  resumed_in_data_ = false;
  const Flow flow = sink_->on_data(bytes);  // may drop us: the object stays until libcurl has returned
  in_data_ = false;
  if (sink_ == nullptr) return 0;
  if (flow == Flow::pause && !resumed_in_data_) {
    paused_ = true;
    meter_.paused();
  }
  return bytes.size();
}

void RunningTransfer::resume() {
  if (in_data_) resumed_in_data_ = true;
  if (!paused_) return;
  paused_ = false;
  if (curl_paused_) multi_.unpause(*this);
}

void RunningTransfer::arm_first_byte() {
  timer_ = multi_.loop().schedule(request_.first_byte_timeout, [this] {
    const auto origin = origin_of(url_);
    abort(Error(ErrorKind::timeout, format("{}: no answer within {} ms", origin ? origin->host : printable_url(url_),
                                           request_.first_byte_timeout.count())));
  });
}

void RunningTransfer::arm_stall_tick() {
  timer_ = multi_.loop().schedule(meter_.tick_length(), [this] {
    if (!meter_.tick(paused_)) return arm_stall_tick();
    const auto origin = origin_of(url_);
    abort(
        Error(ErrorKind::timeout, format("{}: stalled: {} bytes in {} ms", origin ? origin->host : printable_url(url_),
                                         meter_.recent_bytes(), request_.stall_timeout.count())));
  });
}

void RunningTransfer::abort(Error error) { multi_.end(*this, std::move(error)); }

void RunningTransfer::hop_done(CURLcode code) {
  if (failure_) return multi_.end(*this, std::move(*failure_));
  if (!next_url_.empty()) {
    // Whether the redirect's own body came whole does not matter.
    method_ = redirected_method(head_.head().status, method_);
    if (origin_of(next_url_) != first_origin_) send_authorization_ = false;
    url_ = std::move(next_url_);
    ++redirects_;
    return start_hop();
  }
  if (code != CURLE_OK) return multi_.end(*this, describe_failure(easy_, code, url_, request_));
  multi_.end(*this, {});
}

}  // namespace shoal::fetch
