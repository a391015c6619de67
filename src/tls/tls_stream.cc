#include "tls_stream.h"

#include <openssl/err.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "shoal/obs/log.h"

namespace shoal::tls {

namespace {

constexpr std::size_t kBatch = 64 * 1024;  // plaintext of one write to the plain stream: four full records
constexpr std::size_t kRecord = 16 * 1024;
constexpr std::size_t kReadChunk = 64 * 1024;
constexpr std::size_t kKeptCapacity = 4096;  // an idle connection keeps no buffer larger than this
constexpr std::string_view kNotTls =
    "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 52\r\nConnection: close\r\n"
    "\r\nThis address speaks HTTPS: use https:// to reach it\n";

// One for reading and one for writing, for all streams of a thread: no stream holds one across a turn, and a reader
// that still looks at what it was given may write.
char* read_scratch() {
  thread_local const std::unique_ptr<char[]> kBuffer(new char[kReadChunk]);
  return kBuffer.get();
}
char* write_scratch() {
  thread_local const std::unique_ptr<char[]> kBuffer(new char[kBatch]);
  return kBuffer.get();
}

void let_go(std::string& buffer) {
  if (buffer.capacity() > kKeptCapacity) {
    buffer = std::string();
  } else {
    buffer.clear();
  }
}

}  // namespace

TlsStream::TlsStream(std::unique_ptr<net::Stream> plain, std::shared_ptr<const ServerContext> context, base::Loop& loop,
                     std::chrono::milliseconds handshake_timeout)
    : plain_(std::move(plain)),
      context_(std::move(context)),
      loop_(loop),
      handshake_timeout_(handshake_timeout),
      ssl_(SSL_new(context_->impl().context.get())) {
  if (ssl_ == nullptr) {  // out of memory
    enter(State::broken);
    return;
  }
  // In this order: without ktls nobody has tried yet what the kernel can, and here is no place to.
  const bool wanted = (SSL_CTX_get_options(context_->impl().context.get()) & SSL_OP_ENABLE_KTLS) != 0;
  if (wanted && plain_->kernel_tls() != nullptr) {
    bytes_.to_kernel = [this](std::string_view keys) { return give_to_kernel(keys); };
  }
  BIO* const bio = make_cipher_bio(bytes_);
  SSL_set_bio(ssl_.get(), bio, bio);
  SSL_set_accept_state(ssl_.get());
}

TlsStream::~TlsStream() {
  // An end that was meant, not a cut: said so, if there is room for it. Never behind bytes that did not leave.
  if (state_ != State::open || write_ended_ || owed_ > 0 || !bytes_.out.empty()) return;
  ERR_clear_error();
  if (SSL_shutdown(ssl_.get()) >= 0) (void)flush();  // best effort: the connection ends either way
}

base::Error TlsStream::broken_error() const {
  return base::Error(base::ErrorKind::gone, "TLS: the connection is closed");
}

void TlsStream::read_start(base::UniqueFunction<void(base::Result<std::string_view>)> data) {
  data_ = std::move(data);
  reading_ = true;
  if (!std::exchange(started_, true)) {
    timer_ = loop_.schedule(handshake_timeout_, [this] {
      if (state_ != State::handshaking) return;
      obs::debug(obs::Category::http, "TLS handshake with {}: too slow", peer().ip);
      fail(base::Error(base::ErrorKind::timeout, "TLS handshake: the client is too slow"));
    });
  }
  if (!rests_) start_plain();
  if (!pumping_ && has_input()) pump_later();
}

void TlsStream::start_plain() {
  plain_->read_start([this](base::Result<std::string_view> bytes) { on_plain(std::move(bytes)); });
}

// The peer does not take what its own messages make us answer. flush_on_writable() is asked for already: go_on().
void TlsStream::rest() {
  rests_ = true;
  plain_->read_stop();
}

void TlsStream::go_on() {
  rests_ = false;
  if (!reading_) return;
  start_plain();
  pump_later();
}

// Something that no event of the plain stream will bring: it came before the last read_stop.
bool TlsStream::has_input() const {
  if (ssl_ == nullptr || state_ == State::broken) return true;
  const bool end = (SSL_get_shutdown(ssl_.get()) & SSL_RECEIVED_SHUTDOWN) != 0 && !ended_;
  return end || !bytes_.held.empty() || SSL_has_pending(ssl_.get()) == 1;
}

void TlsStream::read_stop() {
  reading_ = false;
  plain_->read_stop();
}

void TlsStream::pump_later() {
  if (std::exchange(pump_posted_, true)) return;
  loop_.post([alive = life_.watch(), this] {
    if (alive.gone()) return;
    pump_posted_ = false;
    pump();
  });
}

void TlsStream::on_plain(base::Result<std::string_view> data) {
  if (!data) return fail(data.error());
  if (data->empty()) {
    if (ended_ || state_ == State::broken) return;
    // Without a close_notify anybody on the way could have cut it.
    return fail(base::Error(base::ErrorKind::gone, "TLS: the client left without ending the session"));
  }
  if (ended_ || state_ == State::broken) return;  // nothing counts behind a close_notify
  bytes_.arriving = *data;
  const auto alive = life_.watch();
  pump();
  if (alive.gone()) return;
  bytes_.held.append(bytes_.arriving);  // reading stopped in between
  bytes_.arriving = {};
}

void TlsStream::pump() {
  if (ssl_ == nullptr) return fail(base::Error(base::ErrorKind::full, "TLS: out of memory"));
  if (state_ == State::broken) return fail(broken_error());
  if (!reading_ || pumping_) return;
  const auto alive = life_.watch();
  pumping_ = true;
  if (state_ == State::handshaking && !shake_hands()) {
    if (!alive.gone()) pumping_ = false;
    return;
  }
  bool sound = true;
  while (state_ == State::open && reading_ && !ended_) {
    if (bytes_.full()) sound = flush();
    if (!sound) break;
    if (bytes_.full()) {
      rest();
      break;
    }
    const bool more = read_records();
    if (alive.gone()) return;
    if (!more && !bytes_.full()) break;
  }
  pumping_ = false;
  if (bytes_.held.empty()) let_go(bytes_.held);
  if (state_ != State::broken && (!sound || !flush())) fail(broken_error());
}

// True when the session is open. Otherwise it waits for more bytes, or failed, and `this` may be gone.
bool TlsStream::shake_hands() {
  ERR_clear_error();
  const int done = SSL_do_handshake(ssl_.get());
  if (done != 1 && SSL_get_error(ssl_.get(), done) != SSL_ERROR_WANT_READ) {
    fail_handshake();
    return false;
  }
  if (!flush()) {
    fail(broken_error());
    return false;
  }
  if (done != 1) return false;
  timer_.cancel();
  enter(State::open);
  certified_ = shows_members_certificate(context_->impl(), ssl_.get());
  bytes_.limited = true;
  if (ready_) flush_on_writable();
  return true;
}

void TlsStream::fail_handshake() {
  const auto error = ERR_peek_error();
  const bool plain_http = ERR_GET_LIB(error) == ERR_LIB_SSL && ERR_GET_REASON(error) == SSL_R_HTTP_REQUEST;
  auto reason = take_ssl_error();
  if (plain_http) bytes_.out = kNotTls;
  (void)flush();  // the alert, or the answer; best effort
  if (plain_http) plain_->shutdown_write();
  obs::debug(obs::Category::http, "TLS handshake with {}: {}", peer().ip, reason);
  fail(base::Error(base::ErrorKind::invalid, "TLS handshake: " + reason));
}

// As many records as came, up to kReadChunk, as one piece. False: nothing more now. `this` may be gone afterwards.
bool TlsStream::read_records() {
  char* const buffer = read_scratch();
  std::size_t size = 0;
  int error = SSL_ERROR_NONE;
  while (size < kReadChunk && error == SSL_ERROR_NONE) {
    std::size_t got = 0;
    ERR_clear_error();
    const int done = SSL_read_ex(ssl_.get(), buffer + size, kReadChunk - size, &got);
    if (done == 1) size += got;
    if (done != 1) error = SSL_get_error(ssl_.get(), done);
  }
  auto reason = error == SSL_ERROR_SSL ? take_ssl_error() : std::string();
  if (size > 0 && !deliver(std::string_view(buffer, size))) return false;
  switch (error) {
    case SSL_ERROR_NONE: return true;
    case SSL_ERROR_WANT_READ: return false;
    case SSL_ERROR_ZERO_RETURN:
      if (!reading_) return false;
      ended_ = true;
      (void)deliver(std::string_view());
      return false;
    default:
      (void)flush();  // the alert; best effort
      fail(base::Error(base::ErrorKind::invalid, "TLS: " + reason));
      return false;
  }
}

// False: `this` is gone.
bool TlsStream::deliver(base::Result<std::string_view> data) {
  auto call = std::move(data_);
  if (!call) return true;
  const auto alive = life_.watch();
  call(std::move(data));
  if (alive.gone()) return false;
  if (!data_) data_ = std::move(call);
  return true;
}

void TlsStream::fail(base::Error error) {
  enter(State::broken);
  timer_.cancel();
  bytes_.arriving = {};
  let_go(bytes_.held);
  const auto alive = life_.watch();
  if (std::exchange(reading_, false)) {
    plain_->read_stop();
    if (!deliver(std::move(error))) return;
  }
  if (ready_ && !alive.gone()) plain_->on_writable([ready = std::move(ready_)]() mutable { ready(); });
}

// Gives the plain stream what it takes. False: it broke.
bool TlsStream::flush() {
  if (bytes_.out.empty()) return true;
  const std::string_view part = bytes_.out;
  const auto sent =
      bytes_.in_kernel ? plain_->kernel_tls()->write_record(bytes_.type, part) : plain_->write_some({&part, 1});
  if (!sent) return false;
  if (*sent == part.size()) {
    let_go(bytes_.out);
  } else {
    bytes_.out.erase(0, *sent);
    flush_on_writable();
  }
  return true;
}

void TlsStream::flush_on_writable() {
  if (std::exchange(waits_for_room_, true)) return;
  plain_->on_writable([this] {
    waits_for_room_ = false;
    const bool sound = state_ != State::broken && flush();
    // While it rests, the plain stream's reader would not hear of the break.
    if (!sound && rests_ && state_ != State::broken) return fail(broken_error());
    if (sound && rests_ && !bytes_.full()) go_on();
    if (sound && !bytes_.out.empty()) return;  // flush() asked again
    if (sound && std::exchange(fin_after_flush_, false)) plain_->shutdown_write();
    if (sound && state_ == State::handshaking) return;  // shake_hands() asks again
    auto ready = std::move(ready_);
    if (ready) ready();
  });
}

void TlsStream::on_writable(base::UniqueFunction<void()> ready) {
  ready_ = std::move(ready);
  if (state_ != State::handshaking) flush_on_writable();
}

// OpenSSL asks in the handshake. What it has encrypted itself must have left before.
bool TlsStream::give_to_kernel(std::string_view keys) {
  return flush() && bytes_.out.empty() && plain_->kernel_tls()->begin(keys);
}

// Bytes at the beginning of what is offered that left before, but were not reported.
std::optional<std::size_t> TlsStream::owed(std::size_t offered) {
  if (owed_ == 0) return std::nullopt;
  const auto left = std::min(owed_, offered);
  owed_ -= left;
  return left;
}

base::Result<std::size_t> TlsStream::taken_by_kernel(base::Result<std::size_t> sent) {
  if (!sent || *sent == 0 || plain_->kernel_tls()->settled()) return sent;
  owed_ = *sent;
  return std::size_t{0};
}

// True: all of it is in the plain stream; false: it is encrypted and waits for room.
base::Result<bool> TlsStream::encrypt(std::string_view bytes) {
  ERR_clear_error();
  std::size_t written = 0;
  if (SSL_write_ex(ssl_.get(), bytes.data(), bytes.size(), &written) != 1 || written != bytes.size()) {
    return base::Error(base::ErrorKind::gone, "TLS: " + take_ssl_error());
  }
  if (!flush()) return broken_error();
  return bytes_.out.empty();
}

base::Result<std::size_t> TlsStream::write_some(std::span<const std::string_view> parts) {
  if (state_ == State::broken || write_ended_) return broken_error();
  if (state_ == State::handshaking) return std::size_t{0};
  if (!flush()) return broken_error();
  if (!bytes_.out.empty()) return std::size_t{0};
  if (bytes_.in_kernel) {
    std::size_t size = 0;
    for (const auto part : parts) size += part.size();
    if (const auto left = owed(size)) return *left;
    return taken_by_kernel(plain_->write_some(parts));
  }
  std::size_t taken = 0;
  std::size_t gathered = 0;  // small parts leave in one record
  char* const scratch = write_scratch();
  const auto leave = [&](std::string_view batch) -> base::Result<bool> {
    auto left = encrypt(batch);
    if (left && *left) taken += batch.size();
    if (left && !*left) owed_ = batch.size();
    return left;
  };
  for (auto part : parts) {
    const auto skipped = std::min(owed_, part.size());
    owed_ -= skipped;
    taken += skipped;
    part.remove_prefix(skipped);
    while (!part.empty()) {
      const bool direct = gathered == 0 && part.size() >= kRecord;
      const auto n = std::min(part.size(), direct ? kBatch : kRecord - gathered);
      if (!direct) {
        part.copy(scratch + gathered, n);
        gathered += n;
      }
      if (direct || gathered == kRecord) {
        auto left = leave(direct ? part.substr(0, n) : std::string_view(scratch, gathered));
        if (!left) return left.error();
        if (!*left) return taken;
        gathered = 0;
      }
      part.remove_prefix(n);
    }
  }
  if (gathered > 0) {
    if (auto left = leave({scratch, gathered}); !left) return left.error();
  }
  return taken;
}

base::Result<std::size_t> TlsStream::send_file(const base::File& file, std::uint64_t offset, std::size_t size) {
  if (state_ == State::broken || write_ended_) return broken_error();
  if (state_ == State::handshaking || size == 0) return std::size_t{0};
  if (!flush()) return broken_error();
  if (!bytes_.out.empty()) return std::size_t{0};
  if (const auto left = owed(size)) return *left;
  if (bytes_.in_kernel) return taken_by_kernel(plain_->send_file(file, offset, size));
  char* const scratch = write_scratch();
  ssize_t got = 0;
  do {
    got = ::pread(file.fd(), scratch, std::min(size, kBatch), static_cast<off_t>(offset));
  } while (got < 0 && errno == EINTR);
  if (got < 0) return net::unreadable(errno);
  if (got == 0) return base::Error(base::ErrorKind::corrupt, "read: the file is shorter than its record says");
  const auto n = static_cast<std::size_t>(got);
  auto left = encrypt({scratch, n});
  if (!left) return left.error();
  if (*left) return n;
  owed_ = n;
  return std::size_t{0};
}

void TlsStream::reset() {
  enter(State::broken);
  timer_.cancel();
  reading_ = false;
  plain_->reset();
}

void TlsStream::shutdown_write() {
  if (std::exchange(write_ended_, true)) return;
  if (state_ == State::open && owed_ == 0) {
    ERR_clear_error();
    (void)SSL_shutdown(ssl_.get());  // fails only if the session is broken: then the FIN alone has to do
    ERR_clear_error();
  }
  if (state_ == State::broken || !flush()) return plain_->shutdown_write();
  if (bytes_.out.empty()) return plain_->shutdown_write();
  fin_after_flush_ = true;
}

std::unique_ptr<net::Stream> accept(std::unique_ptr<net::Stream> plain, std::shared_ptr<const ServerContext> context,
                                    base::Loop& loop, std::chrono::milliseconds handshake_timeout) {
  return std::make_unique<TlsStream>(std::move(plain), std::move(context), loop, handshake_timeout);
}

}  // namespace shoal::tls
