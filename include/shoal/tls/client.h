// The client side of TLS 1.2 and 1.3 over a socket that does not block, for who has an event loop of their own (the
// benchmark's client). Requests upstream do not come this way: they are libcurl's.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "shoal/base/result.h"

namespace shoal::tls {

struct ClientOptions {
  std::string ca_file;  // PEM; empty: the system's
  bool verify = true;   // the server's chain and name
};

// Immutable after load(); any thread. Reads files: not on a loop.
class ClientContext {
 public:
  [[nodiscard]] static base::Result<std::shared_ptr<const ClientContext>> load(const ClientOptions& options);
  ~ClientContext();
  struct Impl;
  explicit ClientContext(std::unique_ptr<Impl> impl);
  [[nodiscard]] const Impl& impl() const { return *impl_; }

 private:
  std::unique_ptr<Impl> impl_;
};

enum class Io { done, want_read, want_write, ended, failed };

// One connection; one thread. The descriptor is the caller's and stays open. Sessions are not resumed: clients written
// in Go do not, either. A write to a socket that the other side closed raises SIGPIPE, which the program must ignore.
class ClientConnection {
 public:
  // `host`: for SNI and the check of the name; an IP address is checked as one.
  ClientConnection(std::shared_ptr<const ClientContext> context, int fd, const std::string& host);
  ~ClientConnection();
  ClientConnection(const ClientConnection&) = delete;
  ClientConnection& operator=(const ClientConnection&) = delete;

  [[nodiscard]] Io handshake();
  // done: `count` bytes went. ended: the server's close_notify; its FIN without one is failed.
  [[nodiscard]] Io read(std::span<char> into, std::size_t& count);
  [[nodiscard]] Io write(std::string_view bytes, std::size_t& count);
  [[nodiscard]] std::string reason() const;   // after failed
  [[nodiscard]] std::string session() const;  // "TLSv1.3 TLS_AES_128_GCM_SHA256", after the handshake

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace shoal::tls
