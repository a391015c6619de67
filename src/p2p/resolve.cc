// Where trackers are configured: addresses, names that lead to many, files.
#include <netdb.h>
#include <sys/socket.h>

#include <algorithm>
#include <fstream>

#include "roster.h"
#include "shoal/base/format.h"
#include "shoal/obs/log.h"
#include "wire.h"

namespace shoal::p2p {
namespace {

constexpr std::size_t kMaxLines = 256;

std::string url_of(std::string_view entry, std::string_view scheme) {
  if (entry.starts_with("http://") || entry.starts_with("https://")) return std::string(entry);
  return std::string(scheme).append(entry);
}

void resolve_name(std::string_view entry, std::string_view scheme, std::vector<std::string>& urls) {
  const auto colon = entry.rfind(':');
  if (colon == std::string_view::npos) return;
  const std::string host(entry.substr(0, colon));
  const std::string port(entry.substr(colon + 1));
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (const int error = getaddrinfo(host.c_str(), port.c_str(), &hints, &found); error != 0) {
    obs::debug(obs::Category::p2p, "trackers: {}: {}", host, gai_strerror(error));
    return;
  }
  for (const auto* at = found; at != nullptr; at = at->ai_next) {
    char text[NI_MAXHOST];
    if (getnameinfo(at->ai_addr, at->ai_addrlen, text, sizeof text, nullptr, 0, NI_NUMERICHOST) != 0) continue;
    const std::string ip(text);
    urls.push_back(url_of((ip.find(':') == std::string::npos ? ip : "[" + ip + "]") + ":" + port, scheme));
  }
  freeaddrinfo(found);
}

void read_lines(const std::string& path, std::string_view scheme, std::vector<std::string>& urls) {
  std::ifstream file(path);
  if (!file) obs::debug(obs::Category::p2p, "trackers: cannot read {}", path);
  std::string line;
  while (urls.size() < kMaxLines && std::getline(file, line)) {
    line.erase(std::find(line.begin(), line.end(), '#'), line.end());
    line.erase(std::remove_if(line.begin(), line.end(), [](unsigned char c) { return c <= ' '; }), line.end());
    if (!line.empty()) urls.push_back(url_of(line, scheme));
  }
}

}  // namespace

std::vector<std::string> resolve_trackers(const std::vector<std::string>& entries, std::string_view scheme) {
  std::vector<std::string> urls;
  for (const auto& entry : entries) {
    if (entry.starts_with("dns:")) {
      resolve_name(std::string_view(entry).substr(4), scheme, urls);
    } else if (entry.starts_with("file:")) {
      read_lines(entry.substr(5), scheme, urls);
    } else {
      urls.push_back(url_of(entry, scheme));
    }
  }
  std::sort(urls.begin(), urls.end());
  urls.erase(std::unique(urls.begin(), urls.end()), urls.end());
  return urls;
}

base::Result<void> check_tracker(std::string_view entry, bool https_only) {
  const auto wrong = [entry](std::string_view why) {
    return base::Error(base::ErrorKind::invalid, base::format("\"{}\" {}", entry.substr(0, 100), why));
  };
  if (entry.starts_with("file:")) {
    if (!entry.substr(5).starts_with('/')) return wrong("needs an absolute path, as file:/etc/shoal/trackers");
    return {};
  }
  const bool name = entry.starts_with("dns:");
  const auto url = url_of(name ? entry.substr(4) : entry, "https://");
  const bool nested = name && (url == entry.substr(4));
  if (nested || !check(NodeInfo{std::string(32, '0'), url, "", 0})) {
    return wrong(
        "is no tracker; write 10.0.0.1:5000, http://host:5000, https://host:5000, dns:name:5000 or file:/path");
  }
  if (https_only && url.starts_with("http://")) return wrong("is not https: there are client certificates");
  return {};
}

}  // namespace shoal::p2p
