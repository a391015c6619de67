#include "seal.h"

#include <array>
#include <charconv>
#include <cstdlib>

#include "nonce_memory.h"
#include "shoal/base/digest.h"
#include "shoal/base/format.h"
#include "shoal/base/random.h"

namespace shoal::p2p {
namespace {

using std::chrono::milliseconds;

constexpr std::size_t kMinSecret = 16;
constexpr std::size_t kNonceBytes = 16;

bool hex(std::string_view text, std::size_t digits) {
  return text.size() == digits && text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

std::optional<std::int64_t> time_from(std::string_view text) {
  std::int64_t ms = 0;
  if (text.empty() || text.size() > 15 || text.find_first_not_of("0123456789") != std::string_view::npos) return {};
  std::from_chars(text.data(), text.data() + text.size(), ms);
  return ms;
}

std::int64_t ms_of(base::WallTime time) {
  return std::chrono::duration_cast<milliseconds>(time.time_since_epoch()).count();
}

struct RequestSeal {
  std::string_view node, time, nonce, mac;
  std::int64_t ms = 0;
};

std::optional<RequestSeal> parse_request(std::string_view value) {
  std::array<std::string_view, 5> part;
  for (std::size_t i = 0; i < part.size(); ++i) {
    const auto space = i + 1 < part.size() ? value.find(' ') : value.size();
    if (space == std::string_view::npos) return {};
    part[i] = value.substr(0, space);
    value.remove_prefix(i + 1 < part.size() ? space + 1 : space);
  }
  const auto ms = time_from(part[2]);
  if (part[0] != "v1" || !hex(part[1], 32) || !ms || !hex(part[3], 2 * kNonceBytes) || !hex(part[4], 64)) return {};
  return RequestSeal{part[1], part[2], part[3], part[4], *ms};
}

base::Error denied(std::string message) { return {base::ErrorKind::denied, std::move(message)}; }

}  // namespace

struct Seal::Impl {
  Impl(std::string_view secret, SealOptions options)
      : key(secret),
        window(options.window),
        // A request may be dated `window` ahead of our clock, and is then good for two of them.
        nonces(2 * options.window, options.max_nonces) {}

  [[nodiscard]] std::string request_mac(std::string_view method, std::string_view target, std::string_view node,
                                        std::string_view time, std::string_view nonce, std::string_view body) const {
    const auto hash = base::digest_of(body).hex();
    return base::to_hex(
        key.sign({"v1\nrequest\n", method, "\n", target, "\n", node, "\n", time, "\n", nonce, "\n", hash}));
  }
  [[nodiscard]] std::string answer_value(std::string_view nonce, int status, std::string_view body_hash) const {
    return "v1 " + base::to_hex(key.sign({"v1\nanswer\n", nonce, "\n", base::format("{}", status), "\n", body_hash}));
  }

  const base::HmacKey key;
  const milliseconds window;
  NonceMemory nonces;
};

Seal::Seal(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Seal::~Seal() = default;

base::Result<std::unique_ptr<Seal>> Seal::make(std::string secret, SealOptions options) {
  if (secret.size() < kMinSecret)
    return base::Error(
        base::ErrorKind::invalid,
        base::format("the secret of a site must have at least {} bytes, this one has {}", kMinSecret, secret.size()));
  return std::unique_ptr<Seal>(new Seal(std::make_unique<Impl>(secret, options)));
}

SealedRequest Seal::request(std::string_view method, std::string_view target, std::string_view node,
                            std::string_view body, base::WallTime now) const {
  const auto time = base::format("{}", ms_of(now));
  auto nonce = base::random_hex(kNonceBytes);
  const auto mac = impl_->request_mac(method, target, node, time, nonce, body);
  return {base::format("v1 {} {} {} {}", node, time, nonce, mac), std::move(nonce)};
}

base::Result<Seal::Caller> Seal::check_request(std::string_view value, std::string_view method, std::string_view target,
                                               std::string_view body, base::WallTime now) {
  if (value.empty()) return denied("the request carries no seal");
  const auto seal = parse_request(value);
  if (!seal) return denied("the seal is not of the form this version knows");
  // A line break would let one request's fields pass for another's.
  if (method.find('\n') != std::string_view::npos || target.find('\n') != std::string_view::npos)
    return denied("a line break in the request's method or target");
  const auto right = impl_->request_mac(method, target, seal->node, seal->time, seal->nonce, body);
  if (!base::equal_secrets(seal->mac, right)) return denied("the seal is wrong: another secret, or changed on the way");
  const auto apart = std::abs(ms_of(now) - seal->ms);
  if (apart > impl_->window.count())
    return denied(base::format("the clocks are {} s apart, at most {} s are allowed", apart / 1000,
                               impl_->window.count() / 1000));
  if (!impl_->nonces.add(seal->nonce, now)) return denied("the request was seen before");
  return Caller{std::string(seal->node), std::string(seal->nonce)};
}

std::string Seal::answer(std::string_view nonce, int status, std::string_view body) const {
  return impl_->answer_value(nonce, status, base::digest_of(body).hex());
}

bool Seal::check_answer(std::string_view value, std::string_view nonce, int status, std::string_view body) const {
  return base::equal_secrets(value, answer(nonce, status, body));
}

}  // namespace shoal::p2p
