// What ServerContext holds: an SSL_CTX, set up and never changed afterwards.
#pragma once

#include <openssl/ssl.h>

#include <chrono>
#include <memory>

#include "shoal/tls/tls.h"

namespace shoal::tls {

struct FreeSsl {
  void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
  void operator()(SSL* ssl) const { SSL_free(ssl); }
};

struct FreeStore {
  void operator()(X509_STORE* store) const { X509_STORE_free(store); }
};

struct ServerContext::Impl {
  std::unique_ptr<X509_STORE, FreeStore> members;  // null: no members_ca_file
  ClientAuth client_auth = ClientAuth::none;
  std::unique_ptr<SSL_CTX, FreeSsl> context;
  std::chrono::system_clock::time_point expires;
  bool ktls = false;
};

// After the handshake; also of a resumed session.
[[nodiscard]] bool shows_members_certificate(const ServerContext::Impl& context, const SSL* ssl);

// Empties this thread's queue of OpenSSL errors; the first of them as text.
[[nodiscard]] std::string take_ssl_error();

}  // namespace shoal::tls
