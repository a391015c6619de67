// Stream: one connected byte stream (a TCP connection; later TLS over one). Listener: makes them.
// Loop-bound: made, used and dropped on one loop; dropping closes. Callbacks never run inside the call that takes them.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "shoal/base/byte_source.h"
#include "shoal/base/loop.h"
#include "shoal/net/event_loop.h"

namespace shoal::net {

struct Address {
  std::string ip;  // no brackets
  std::uint16_t port = 0;
  [[nodiscard]] std::string to_string() const;  // "127.0.0.1:5000", "[::1]:5000"
};
// "127.0.0.1:5000", "[::]:5000", ":5000" (all addresses, both families). Numeric only: no DNS here.
[[nodiscard]] base::Result<Address> parse_address(std::string_view text);

// TLS records of what is sent, made by the kernel: kTLS (kernel documentation, networking/tls.rst). A side of a stream,
// which owns it; same loop.
class KernelTls {
 public:
  // `keys`: a tls12_crypto_info_* of linux/tls.h. False: this kernel does not take them, and nothing has changed. From
  // then on what the stream sends is application data.
  [[nodiscard]] virtual bool begin(std::string_view keys) = 0;
  // A record of another content type (RFC 8446, 5.1). Takes and returns what write_some does.
  [[nodiscard]] virtual base::Result<std::size_t> write_record(std::uint8_t type, std::string_view bytes) = 0;
  // All that was taken is in the socket's buffer. What is not would be lost by closing; on_writable tells when to ask
  // again.
  [[nodiscard]] virtual bool settled() = 0;

 protected:
  ~KernelTls() = default;
};

// The first call tries it out, with a connection of its own: it blocks, and may make the kernel load modules.
[[nodiscard]] bool kernel_makes_tls_records();

class Stream {
 public:
  virtual ~Stream() = default;

  // Calls `data` with each arriving chunk (valid during the call) until read_stop(); an empty chunk is the peer's end
  // (FIN); an error ends reading. The stream may be dropped inside the callback.
  virtual void read_start(base::UniqueFunction<void(base::Result<std::string_view>)> data) = 0;
  virtual void read_stop() = 0;

  // Tries now, without waiting: how many bytes the kernel took (0 = wait with on_writable).
  [[nodiscard]] virtual base::Result<std::size_t> write_some(std::span<const std::string_view> parts) = 0;
  // The same from a file's page cache (sendfile). The caller has made sure the pages are there (PageCache).
  // ErrorKind::corrupt: it is the file that failed (short, or not readable), not the connection.
  [[nodiscard]] virtual base::Result<std::size_t> send_file(const base::File& file, std::uint64_t offset,
                                                            std::size_t size) = 0;
  // Calls `ready` once when the socket takes bytes again or broke.
  virtual void on_writable(base::UniqueFunction<void()> ready) = 0;

  virtual void cork(bool on) = 0;     // TCP_CORK around a header and its file
  virtual void reset() = 0;           // close with RST: "cut, never ended as if complete"
  virtual void shutdown_write() = 0;  // send FIN
  [[nodiscard]] virtual const Address& peer() const = 0;
  // The peer proved to hold a certificate of tls::ServerOptions::members_ca_file. Known once bytes arrive.
  [[nodiscard]] virtual bool certified() const { return false; }
  [[nodiscard]] virtual KernelTls* kernel_tls() { return nullptr; }  // null: not of this stream
};

struct ListenOptions {
  int backlog = 1024;
  bool reuse_port = true;  // several loops listen on one address
};

class Listener {
 public:
  // `accepted` runs on the loop for each connection. Port 0 picks one: see address().
  [[nodiscard]] static base::Result<std::unique_ptr<Listener>> listen(
      EventLoop& loop, const Address& address, ListenOptions options,
      base::UniqueFunction<void(std::unique_ptr<Stream>)> accepted);
  ~Listener();  // on its loop
  [[nodiscard]] const Address& address() const;
  void pause();  // stop accepting for now (connection limit, no file descriptors)
  void resume();
  struct Impl;
  explicit Listener(std::unique_ptr<Impl> impl);

 private:
  std::unique_ptr<Impl> impl_;
};

// Are these bytes of the file in the page cache (mincore)? Cheap; any thread. load_pages blocks: pool only.
[[nodiscard]] bool pages_resident(const base::File& file, std::uint64_t offset, std::uint64_t size);
// Fails with unreadable().
[[nodiscard]] base::Result<void> load_pages(const base::File& file, std::uint64_t offset, std::uint64_t size);

// The error of a failed read of a file. ErrorKind::corrupt: the disk did not give the bytes.
[[nodiscard]] base::Error unreadable(int error);

}  // namespace shoal::net
