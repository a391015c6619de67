// Digest: the name of content ("sha256:<64 hex>"), and the running hash that makes one.
// OCI image-spec, descriptor.md, "Digests". sha256 and sha512 are the registered algorithms; no other is a Digest here.
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "shoal/base/result.h"

namespace shoal::base {

enum class HashAlgorithm : std::uint8_t { sha256 = 1, sha512 = 2 };  // values reach disk

// A value of 65 bytes; compares and hashes by content. Always well-formed: parse() is the only way from text.
class Digest {
 public:
  [[nodiscard]] static Result<Digest> parse(std::string_view text);  // lower-case hex only; ErrorKind::invalid
  [[nodiscard]] static Digest from_bytes(HashAlgorithm algorithm, std::span<const std::uint8_t> raw);

  [[nodiscard]] HashAlgorithm algorithm() const { return algorithm_; }
  [[nodiscard]] std::span<const std::uint8_t> bytes() const { return {raw_.data(), size()}; }
  [[nodiscard]] std::string hex() const;
  [[nodiscard]] std::string to_string() const;  // "sha256:..."
  [[nodiscard]] std::size_t hash() const;       // well spread already; also chooses the owner loop

  friend auto operator<=>(const Digest&, const Digest&) = default;

 private:
  Digest(HashAlgorithm algorithm) : algorithm_(algorithm) {}
  [[nodiscard]] std::size_t size() const { return algorithm_ == HashAlgorithm::sha256 ? 32 : 64; }
  HashAlgorithm algorithm_;
  std::array<std::uint8_t, 64> raw_{};
};

[[nodiscard]] std::string_view to_string(HashAlgorithm algorithm);

// Running hash. Move-only; one thread at a time. More than 64 KiB at once belongs off the event loop.
class Hasher {
 public:
  explicit Hasher(HashAlgorithm algorithm);
  Hasher(Hasher&&) noexcept;
  Hasher& operator=(Hasher&&) noexcept;
  ~Hasher();
  void update(std::span<const std::byte> bytes);
  void update(std::string_view bytes);
  [[nodiscard]] Digest finish();  // once; the hasher is spent afterwards

 private:
  struct State;
  std::unique_ptr<State> state_;
  HashAlgorithm algorithm_;
};

[[nodiscard]] Digest digest_of(std::string_view bytes, HashAlgorithm algorithm = HashAlgorithm::sha256);

// HMAC-SHA-256 (RFC 2104). The key is expanded once; a value that is only read: any thread, several at once.
using Mac = std::array<std::uint8_t, 32>;
class HmacKey {
 public:
  explicit HmacKey(std::string_view key);
  HmacKey(HmacKey&&) noexcept;
  HmacKey& operator=(HmacKey&&) noexcept;
  ~HmacKey();
  [[nodiscard]] Mac sign(std::initializer_list<std::string_view> parts) const;  // of all parts, one after the other

 private:
  struct State;
  std::unique_ptr<State> state_;
};
[[nodiscard]] Mac hmac_sha256(std::string_view key, std::string_view data);

// The time it takes depends on the lengths alone, not on where they differ: to compare what is secret.
[[nodiscard]] bool equal_secrets(std::string_view a, std::string_view b);

[[nodiscard]] std::string to_hex(std::span<const std::uint8_t> bytes);  // lower case

}  // namespace shoal::base

template <>
struct std::hash<shoal::base::Digest> {
  std::size_t operator()(const shoal::base::Digest& digest) const noexcept { return digest.hash(); }
};
