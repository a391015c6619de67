#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>

#include <cstdlib>

#include "shoal/base/digest.h"

namespace shoal::base {
namespace {

EVP_MAC* hmac() {
  static EVP_MAC* const mac = EVP_MAC_fetch(nullptr, "HMAC", nullptr);  // looked up once
  return mac;
}

}  // namespace

struct HmacKey::State {
  EVP_MAC_CTX* keyed = EVP_MAC_CTX_new(hmac());
  ~State() { EVP_MAC_CTX_free(keyed); }
};

HmacKey::HmacKey(std::string_view key) : state_(std::make_unique<State>()) {
  char digest[] = "SHA256";
  const OSSL_PARAM params[] = {OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
                               OSSL_PARAM_construct_end()};
  static constexpr unsigned char kNone = 0;  // a null pointer would mean "keep the key", not "an empty one"
  const auto* bytes = key.empty() ? &kNone : reinterpret_cast<const unsigned char*>(key.data());
  if (EVP_MAC_init(state_->keyed, bytes, key.size(), params) != 1) std::abort();  // out of memory
}
HmacKey::HmacKey(HmacKey&&) noexcept = default;
HmacKey& HmacKey::operator=(HmacKey&&) noexcept = default;
HmacKey::~HmacKey() = default;

Mac HmacKey::sign(std::initializer_list<std::string_view> parts) const {
  EVP_MAC_CTX* context = EVP_MAC_CTX_dup(state_->keyed);
  Mac mac;
  std::size_t size = 0;
  bool ok = context != nullptr;
  for (const auto part : parts)
    ok = ok && EVP_MAC_update(context, reinterpret_cast<const unsigned char*>(part.data()), part.size()) == 1;
  ok = ok && EVP_MAC_final(context, mac.data(), &size, mac.size()) == 1 && size == mac.size();
  EVP_MAC_CTX_free(context);
  if (!ok) std::abort();  // out of memory
  return mac;
}

Mac hmac_sha256(std::string_view key, std::string_view data) { return HmacKey(key).sign({data}); }

bool equal_secrets(std::string_view a, std::string_view b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace shoal::base
