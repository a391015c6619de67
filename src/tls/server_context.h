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

struct ServerContext::Impl {
  std::unique_ptr<SSL_CTX, FreeSsl> context;
  std::chrono::system_clock::time_point expires;
};

// Empties this thread's queue of OpenSSL errors; the first of them as text.
[[nodiscard]] std::string take_ssl_error();

}  // namespace shoal::tls
