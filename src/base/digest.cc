#include "shoal/base/digest.h"

#include <openssl/evp.h>

#include <algorithm>
#include <cstring>

namespace shoal::base {
namespace {

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

// Fetched once: EVP_sha256() looks the implementation up at each init.
const EVP_MD* implementation(HashAlgorithm algorithm) {
  static EVP_MD* const sha256 = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  static EVP_MD* const sha512 = EVP_MD_fetch(nullptr, "SHA512", nullptr);
  return algorithm == HashAlgorithm::sha256 ? sha256 : sha512;
}

}  // namespace

std::string_view to_string(HashAlgorithm algorithm) { return algorithm == HashAlgorithm::sha256 ? "sha256" : "sha512"; }

Result<Digest> Digest::parse(std::string_view text) {
  const auto bad = [] {
    return Error(ErrorKind::invalid, "digest must be sha256:<64 lower-case hex> or sha512:<128>");
  };
  const auto colon = text.find(':');
  if (colon == std::string_view::npos) return bad();
  const auto name = text.substr(0, colon);
  if (name != "sha256" && name != "sha512") return bad();
  Digest digest(name == "sha256" ? HashAlgorithm::sha256 : HashAlgorithm::sha512);
  const auto hex = text.substr(colon + 1);
  if (hex.size() != digest.size() * 2) return bad();
  for (std::size_t i = 0; i < digest.size(); ++i) {
    const int high = hex_value(hex[2 * i]);
    const int low = hex_value(hex[2 * i + 1]);
    if (high < 0 || low < 0) return bad();
    digest.raw_[i] = static_cast<std::uint8_t>(high << 4 | low);
  }
  return digest;
}

Digest Digest::from_bytes(HashAlgorithm algorithm, std::span<const std::uint8_t> raw) {
  Digest digest(algorithm);
  if (raw.size() != digest.size()) std::abort();
  std::copy(raw.begin(), raw.end(), digest.raw_.begin());
  return digest;
}

std::string to_hex(std::span<const std::uint8_t> bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  text.reserve(bytes.size() * 2);
  for (const auto byte : bytes) {
    text.push_back(kDigits[byte >> 4]);
    text.push_back(kDigits[byte & 15]);
  }
  return text;
}

std::string Digest::hex() const { return to_hex(bytes()); }

std::string Digest::to_string() const {
  std::string text(base::to_string(algorithm_));
  text.push_back(':');
  return text.append(hex());
}

std::size_t Digest::hash() const {
  std::size_t value;
  std::memcpy(&value, raw_.data(), sizeof value);
  return value;
}

struct Hasher::State {
  EVP_MD_CTX* context = EVP_MD_CTX_new();
  ~State() { EVP_MD_CTX_free(context); }
};

Hasher::Hasher(HashAlgorithm algorithm) : state_(std::make_unique<State>()), algorithm_(algorithm) {
  if (EVP_DigestInit_ex(state_->context, implementation(algorithm), nullptr) != 1) std::abort();  // out of memory
}
Hasher::Hasher(Hasher&&) noexcept = default;
Hasher& Hasher::operator=(Hasher&&) noexcept = default;
Hasher::~Hasher() = default;

void Hasher::update(std::span<const std::byte> bytes) {
  if (EVP_DigestUpdate(state_->context, bytes.data(), bytes.size()) != 1) std::abort();
}

void Hasher::update(std::string_view bytes) { update(std::as_bytes(std::span(bytes.data(), bytes.size()))); }

Digest Hasher::finish() {
  std::uint8_t raw[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  if (EVP_DigestFinal_ex(state_->context, raw, &size) != 1) std::abort();
  state_.reset();
  return Digest::from_bytes(algorithm_, {raw, size});
}

Digest digest_of(std::string_view bytes, HashAlgorithm algorithm) {
  Hasher hasher(algorithm);
  hasher.update(bytes);
  return hasher.finish();
}

}  // namespace shoal::base
