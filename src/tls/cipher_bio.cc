#include "cipher_bio.h"

#include <linux/tls.h>

#include <algorithm>
#include <cstring>
#include <utility>

namespace shoal::tls {

namespace {

CipherBytes& bytes_of(BIO* bio) { return *static_cast<CipherBytes*>(BIO_get_data(bio)); }

// Commands of OpenSSL to its socket BIO. Its bio.h names them in a comment only, as they are its own.
constexpr int kSetKtls = 72, kSetRecordType = 74, kClearRecordType = 75;

int put(BIO* bio, const char* data, std::size_t size, std::size_t* written) {
  auto& bytes = bytes_of(bio);
  if (bytes.in_kernel) {
    const auto type = std::exchange(bytes.next_type, std::uint8_t{0});
    const bool other = !bytes.out.empty() && bytes.type != type;  // the socket took nothing since: a lost connection
    if (other || type == 0) {
      BIO_clear_retry_flags(bio);
      return 0;
    }
    bytes.type = type;
  }
  bytes.out.append(data, size);
  *written = size;
  return 1;
}

int take(BIO* bio, char* to, std::size_t size, std::size_t* taken) {
  auto& bytes = bytes_of(bio);
  BIO_clear_retry_flags(bio);
  std::string_view from = bytes.held.empty() ? bytes.arriving : std::string_view(bytes.held);
  if (from.empty() || bytes.full()) {
    BIO_set_retry_read(bio);
    return 0;
  }
  *taken = from.copy(to, size);
  if (bytes.held.empty()) {
    bytes.arriving.remove_prefix(*taken);
  } else {
    bytes.held.erase(0, *taken);
  }
  return 1;
}

// OpenSSL's structure begins with that of the kernel for the cipher.
std::string_view kernel_keys(const void* from) {
  tls_crypto_info info;
  std::memcpy(&info, from, sizeof info);
  std::size_t size = 0;
  if (info.cipher_type == TLS_CIPHER_AES_GCM_128) size = sizeof(tls12_crypto_info_aes_gcm_128);
  if (info.cipher_type == TLS_CIPHER_AES_GCM_256) size = sizeof(tls12_crypto_info_aes_gcm_256);
  if (info.cipher_type == TLS_CIPHER_CHACHA20_POLY1305) size = sizeof(tls12_crypto_info_chacha20_poly1305);
  return {static_cast<const char*>(from), size};
}

bool give_to_kernel(CipherBytes& bytes, const void* keys) {
  if (!bytes.to_kernel || bytes.in_kernel) return false;
  const auto given = kernel_keys(keys);
  bytes.in_kernel = !given.empty() && bytes.to_kernel(given);
  return bytes.in_kernel;
}

long control(BIO* bio, int command, long number, void* pointer) {
  auto& bytes = bytes_of(bio);
  switch (command) {
    case BIO_CTRL_FLUSH: return 1;
    case BIO_CTRL_GET_KTLS_SEND: return bytes.in_kernel ? 1 : 0;
    case kSetKtls: return number != 0 && give_to_kernel(bytes, pointer) ? 1 : 0;  // 0: for what is received
    case kSetRecordType: bytes.next_type = static_cast<std::uint8_t>(number); return 1;
    case kClearRecordType: bytes.next_type = 0; return 1;
    default: return 0;
  }
}

const BIO_METHOD* method() {
  static const BIO_METHOD* const kMethod = [] {
    BIO_METHOD* made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "shoal");
    BIO_meth_set_write_ex(made, put);
    BIO_meth_set_read_ex(made, take);
    BIO_meth_set_ctrl(made, control);
    return made;
  }();
  return kMethod;
}

}  // namespace

BIO* make_cipher_bio(CipherBytes& bytes) {
  BIO* bio = BIO_new(method());
  BIO_set_data(bio, &bytes);
  BIO_set_init(bio, 1);
  return bio;
}

}  // namespace shoal::tls
