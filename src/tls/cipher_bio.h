// The BIO between an SSL and a TlsStream: reads take from `held` and `arriving`, writes append to `out`; neither ever
// waits. Reading makes OpenSSL write too (the answer to a KeyUpdate, an alert that refuses a renegotiation): reads find
// nothing while `out` is full, so that a peer who sends and never reads cannot make it grow.
#pragma once

#include <openssl/bio.h>

#include <string>
#include <string_view>

namespace shoal::tls {

struct CipherBytes {
  // Above the largest write in flight (TlsStream's batch and its records' overhead): that alone never stops reading.
  static constexpr std::size_t kFull = 80 * 1024;

  std::string_view arriving;  // during one call of the plain stream's reader
  std::string held;           // came before, not yet taken; before `arriving`
  std::string out;
  bool limited = false;  // once the session is open: what a handshake writes is bounded by itself

  [[nodiscard]] bool full() const { return limited && out.size() > kFull; }
};

[[nodiscard]] BIO* make_cipher_bio(CipherBytes& bytes);  // for SSL_set_bio, which takes it

}  // namespace shoal::tls
