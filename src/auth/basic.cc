#include "basic.h"

#include <cstdint>
#include <optional>

namespace shoal::auth {
namespace {

constexpr std::size_t kMaxHeader = 4096;

int base64_value(char c) {
  if (c >= 'A' && c <= 'Z') return c - 'A';
  if (c >= 'a' && c <= 'z') return c - 'a' + 26;
  if (c >= '0' && c <= '9') return c - '0' + 52;
  if (c == '+') return 62;
  if (c == '/') return 63;
  return -1;
}

// RFC 4648 section 4; the padding may be missing. Bits that say nothing must be zero.
std::optional<std::string> decode_base64(std::string_view text) {
  for (int i = 0; i < 2 && text.ends_with('='); ++i) text.remove_suffix(1);
  if (text.size() % 4 == 1) return {};
  std::string bytes;
  bytes.reserve(text.size() * 3 / 4);
  std::uint32_t bits = 0;
  int held = 0;
  for (const char c : text) {
    const int value = base64_value(c);
    if (value < 0) return {};
    bits = bits << 6 | static_cast<std::uint32_t>(value);
    held += 6;
    if (held < 8) continue;
    held -= 8;
    bytes.push_back(static_cast<char>(bits >> held & 0xff));
    bits &= (1U << held) - 1;
  }
  if (bits != 0) return {};
  return bytes;
}

bool is_basic(std::string_view scheme) {
  constexpr std::string_view kBasic = "basic";
  if (scheme.size() != kBasic.size()) return false;
  for (std::size_t i = 0; i < scheme.size(); ++i) {
    if ((scheme[i] | 0x20) != kBasic[i]) return false;
  }
  return true;
}

}  // namespace

base::Result<BasicCredentials> parse_basic(std::string_view authorization) {
  const auto bad = [](const char* what) { return base::Error(base::ErrorKind::invalid, what); };
  if (authorization.empty()) return BasicCredentials{};
  if (authorization.size() > kMaxHeader) return bad("the Authorization header is too long");
  const auto space = authorization.find(' ');
  if (!is_basic(authorization.substr(0, space))) return bad("only Basic authorization is understood");
  if (space == std::string_view::npos) return bad("the Authorization header has no credentials");
  auto text = authorization.substr(space);
  while (text.starts_with(' ')) text.remove_prefix(1);
  while (text.ends_with(' ')) text.remove_suffix(1);
  const auto pair = decode_base64(text);
  if (!pair) return bad("the credentials are not base64");
  const auto colon = pair->find(':');
  if (colon == std::string::npos) return bad("the credentials have no colon");
  return BasicCredentials{pair->substr(0, colon), pair->substr(colon + 1)};
}

}  // namespace shoal::auth
