#include "shoal/fetch/url.h"

#include <curl/curl.h>

#include <charconv>
#include <memory>

namespace shoal::fetch {
namespace {

constexpr std::size_t kMaxUrlBytes = 16 * 1024;

struct UrlDeleter {
  void operator()(CURLU* url) const { curl_url_cleanup(url); }
};
using UrlHandle = std::unique_ptr<CURLU, UrlDeleter>;

std::string part(CURLU* url, CURLUPart which, unsigned flags = 0) {
  char* text = nullptr;
  if (curl_url_get(url, which, &text, flags) != CURLUE_OK) return {};
  std::string out(text);
  curl_free(text);
  return out;
}

UrlHandle parse(std::string_view text) {
  if (text.size() > kMaxUrlBytes || text.find('\0') != std::string_view::npos) return nullptr;
  UrlHandle url(curl_url());
  if (url == nullptr || curl_url_set(url.get(), CURLUPART_URL, std::string(text).c_str(), 0) != CURLUE_OK)
    return nullptr;
  const std::string scheme = part(url.get(), CURLUPART_SCHEME);
  if (scheme != "http" && scheme != "https") return nullptr;
  return url;
}

void lower(std::string& text) {
  for (char& c : text) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
}

}  // namespace

std::optional<Origin> origin_of(std::string_view text) {
  const UrlHandle url = parse(text);
  if (url == nullptr) return std::nullopt;
  Origin origin;
  origin.scheme = part(url.get(), CURLUPART_SCHEME);
  origin.host = part(url.get(), CURLUPART_HOST);
  lower(origin.host);
  if (origin.host.size() > 2 && origin.host.front() == '[') origin.host = origin.host.substr(1, origin.host.size() - 2);
  const std::string port = part(url.get(), CURLUPART_PORT, CURLU_DEFAULT_PORT);
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), origin.port);
  if (error != std::errc{} || end != port.data() + port.size() || origin.host.empty()) return std::nullopt;
  return origin;
}

std::string printable_url(std::string_view text) {
  text = text.substr(0, text.find_first_of("?#"));
  const auto slashes = text.find("://");
  if (slashes == std::string_view::npos) return std::string(text);
  const auto path = text.find('/', slashes + 3);
  const auto at = text.substr(0, path).rfind('@');
  if (at == std::string_view::npos) return std::string(text);
  return std::string(text.substr(0, slashes + 3)).append(text.substr(at + 1));
}

std::optional<std::string> resolve_url(std::string_view base, std::string_view location) {
  if (location.empty() || location.size() > kMaxUrlBytes || location.find('\0') != std::string_view::npos) {
    return std::nullopt;
  }
  const UrlHandle url = parse(base);
  if (url == nullptr) return std::nullopt;
  // CURLU_URLENCODE: some registries put raw spaces or UTF-8 into Location.
  if (curl_url_set(url.get(), CURLUPART_URL, std::string(location).c_str(), CURLU_URLENCODE) != CURLUE_OK) {
    return std::nullopt;
  }
  std::string out = part(url.get(), CURLUPART_URL);
  if (parse(out) == nullptr) return std::nullopt;
  return out;
}

std::string escape_query(std::string_view value) {
  static constexpr char kHex[] = "0123456789ABCDEF";
  std::string out;
  out.reserve(value.size());
  for (const char c : value) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
                       c == '.' || c == '_' || c == '~';
    if (plain) {
      out.push_back(c);
    } else {
      const auto byte = static_cast<unsigned char>(c);
      out.push_back('%');
      out.push_back(kHex[byte >> 4]);
      out.push_back(kHex[byte & 15]);
    }
  }
  return out;
}

}  // namespace shoal::fetch
