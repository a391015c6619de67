// The BIO between an SSL and a TlsStream: reads take from `held` and `arriving`, writes append to `out`; neither ever
// waits. Reading makes OpenSSL write too (the answer to a KeyUpdate, an alert that refuses a renegotiation): reads find
// nothing while `out` is full, so that a peer who sends and never reads cannot make it grow.
//
// With SSL_OP_ENABLE_KTLS, OpenSSL offers the keys of what it sends once the handshake has them. If they are taken,
// what it writes afterwards are no records but what goes into them: `out` is then of one type at a time, and
// application data does not come this way at all.
#pragma once

#include <openssl/bio.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "shoal/base/unique_function.h"

namespace shoal::tls {

struct CipherBytes {
  // Above the largest write in flight (TlsStream's batch and its records' overhead): that alone never stops reading.
  static constexpr std::size_t kFull = 80 * 1024;

  std::string_view arriving;  // during one call of the plain stream's reader
  std::string held;           // came before, not yet taken; before `arriving`
  std::string out;
  bool limited = false;  // once the session is open: what a handshake writes is bounded by itself

  // A tls12_crypto_info_* of linux/tls.h. True: the kernel has it, and all that was in `out` has left before.
  base::UniqueFunction<bool(std::string_view keys)> to_kernel;
  bool in_kernel = false;
  std::uint8_t type = 0;       // of what is in `out`, in_kernel
  std::uint8_t next_type = 0;  // of what OpenSSL writes next

  [[nodiscard]] bool full() const { return limited && out.size() > kFull; }
};

[[nodiscard]] BIO* make_cipher_bio(CipherBytes& bytes);  // for SSL_set_bio, which takes it

}  // namespace shoal::tls
