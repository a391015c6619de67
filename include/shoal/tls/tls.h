// Tls: OpenSSL as a decorator of a net stream; server contexts that can be replaced while connections run.
// TLS 1.2 and 1.3 (RFC 8446, RFC 5246). The only user of openssl/ssl.h.
#pragma once

#include <chrono>
#include <memory>
#include <mutex>
#include <string>

#include "shoal/base/result.h"
#include "shoal/net/stream.h"

namespace shoal::tls {

enum class ClientAuth { none, optional, required };

struct ServerOptions {
  std::string cert_file;  // PEM, with its chain
  std::string key_file;   // PEM
  std::string client_ca_file;
  ClientAuth client_auth = ClientAuth::none;
  // Clients are asked for a certificate of this CA as well, and let in with it; Stream::certified() tells who showed
  // one. Whoever shows none, or another, is treated as `client_auth` says.
  std::string members_ca_file{};
  // The kernel makes the records of what is sent, if it can (kTLS).
  bool ktls = true;
};

// Immutable; shared by all loops. Blocks (files): not on a loop.
class ServerContext {
 public:
  // Says which file and why; also when the key is not the certificate's. Never prints key material.
  [[nodiscard]] static base::Result<std::shared_ptr<const ServerContext>> load(const ServerOptions& options);
  ~ServerContext();
  // Of the certificate: for a metric and a warning.
  [[nodiscard]] std::chrono::system_clock::time_point expires() const;
  [[nodiscard]] bool kernel_makes_records() const;  // of connections whose cipher it knows
  struct Impl;
  explicit ServerContext(std::unique_ptr<Impl> impl);
  [[nodiscard]] const Impl& impl() const { return *impl_; }

 private:
  std::unique_ptr<Impl> impl_;
};

// The context for new connections; any thread. Replacing it leaves running connections with theirs.
class SharedContext {
 public:
  explicit SharedContext(std::shared_ptr<const ServerContext> context) : context_(std::move(context)) {}
  [[nodiscard]] std::shared_ptr<const ServerContext> get() const {
    const std::lock_guard lock(mutex_);
    return context_;
  }
  void replace(std::shared_ptr<const ServerContext> context) {
    const std::lock_guard lock(mutex_);
    context_.swap(context);
  }

 private:
  mutable std::mutex mutex_;
  std::shared_ptr<const ServerContext> context_;
};

// `plain` becomes the server side of a TLS connection. The handshake runs by itself once reading starts; one that fails
// or takes longer than `handshake_timeout` ends reading with an error. send_file reads from the page cache. Bytes that
// a write did not take must be the next ones written: they may be encrypted already.
[[nodiscard]] std::unique_ptr<net::Stream> accept(std::unique_ptr<net::Stream> plain,
                                                  std::shared_ptr<const ServerContext> context, base::Loop& loop,
                                                  std::chrono::milliseconds handshake_timeout);

}  // namespace shoal::tls
