// TlsStream: the server side of TLS over a plain stream. One loop; owned like any stream.
//
//   handshaking -> open -> (peer's close_notify) ... -> broken
//
// Writing: what the caller gives is encrypted a batch at a time and reported as taken only when all of its records are
// in the plain stream, so that whoever closes after the last byte was taken loses nothing. owed_ counts what is
// encrypted but not reported: the caller gives those bytes again, and they are skipped.
//
// Where the kernel makes the records (kTLS), bytes and files go straight to the plain stream, and OpenSSL is left with
// what arrives, and with its own messages.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "cipher_bio.h"
#include "server_context.h"
#include "shoal/base/loop.h"

namespace shoal::tls {

class TlsStream final : public net::Stream {
 public:
  TlsStream(std::unique_ptr<net::Stream> plain, std::shared_ptr<const ServerContext> context, base::Loop& loop,
            std::chrono::milliseconds handshake_timeout);
  ~TlsStream() override;

  void read_start(base::UniqueFunction<void(base::Result<std::string_view>)> data) override;
  void read_stop() override;
  base::Result<std::size_t> write_some(std::span<const std::string_view> parts) override;
  base::Result<std::size_t> send_file(const base::File& file, std::uint64_t offset, std::size_t size) override;
  void on_writable(base::UniqueFunction<void()> ready) override;
  void cork(bool on) override { plain_->cork(on); }
  void reset() override;
  void shutdown_write() override;
  const net::Address& peer() const override { return plain_->peer(); }
  bool certified() const override { return certified_; }

 private:
  enum class State : std::uint8_t { handshaking, open, broken };
  void enter(State next) { state_ = next; }
  void on_plain(base::Result<std::string_view> data);
  void start_plain();
  void rest();
  void go_on();
  [[nodiscard]] bool has_input() const;
  void pump();
  void pump_later();
  [[nodiscard]] bool shake_hands();
  [[nodiscard]] bool read_records();
  [[nodiscard]] bool deliver(base::Result<std::string_view> data);
  void fail(base::Error error);
  void fail_handshake();
  [[nodiscard]] bool flush();
  void flush_on_writable();
  [[nodiscard]] bool give_to_kernel(std::string_view keys);
  [[nodiscard]] std::optional<std::size_t> owed(std::size_t offered);
  [[nodiscard]] base::Result<std::size_t> taken_by_kernel(base::Result<std::size_t> sent);
  [[nodiscard]] base::Result<bool> encrypt(std::string_view bytes);
  [[nodiscard]] base::Error broken_error() const;

  std::unique_ptr<net::Stream> plain_;
  std::shared_ptr<const ServerContext> context_;
  base::Loop& loop_;
  std::chrono::milliseconds handshake_timeout_;
  CipherBytes bytes_;
  std::unique_ptr<SSL, FreeSsl> ssl_;
  base::Timer timer_;
  base::UniqueFunction<void(base::Result<std::string_view>)> data_;
  base::UniqueFunction<void()> ready_;
  std::size_t owed_ = 0;
  State state_ = State::handshaking;
  bool reading_ = false;
  bool started_ = false;
  bool ended_ = false;            // close_notify came and was passed on
  bool write_ended_ = false;      // ours is sent, or waits in bytes_.out
  bool fin_after_flush_ = false;  // shutdown_write() waits for room
  bool rests_ = false;            // bytes_.out is full: the plain stream is not read, whatever reading_ says
  bool waits_for_room_ = false;   // on_writable of the plain stream is asked for
  bool pumping_ = false;          // the user's reader, or OpenSSL, is below us on the stack
  bool pump_posted_ = false;
  bool certified_ = false;
  base::Lifetime life_;
};

}  // namespace shoal::tls
