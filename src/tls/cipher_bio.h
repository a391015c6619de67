// The BIO between an SSL and a TlsStream: reads take from `in`, writes append to `out`; neither ever waits.
#pragma once

#include <openssl/bio.h>

#include <string>
#include <string_view>

namespace shoal::tls {

struct CipherBytes {
  std::string_view arriving;  // during one call of the plain stream's reader
  std::string held;           // came before, not yet taken; before `arriving`
  std::string out;
};

[[nodiscard]] BIO* make_cipher_bio(CipherBytes& bytes);  // for SSL_set_bio, which takes it

}  // namespace shoal::tls
