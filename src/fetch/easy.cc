#include "easy.h"

#include <mutex>
#include <string_view>

namespace shoal::fetch {
namespace {

// libcurl caches a parsed CA bundle per multi handle, but only when there is a file and no directory. Reading the
// system bundle anew for each connection costs tens of milliseconds on the loop.
std::string system_ca_file() {
  static const std::string file = [] {
    const auto* info = curl_version_info(CURLVERSION_NOW);
    return info->age >= CURLVERSION_SEVENTH && info->cainfo != nullptr ? std::string(info->cainfo) : std::string();
  }();
  return file;
}

bool is_authorization(std::string_view name) {
  static constexpr std::string_view kName = "authorization";
  if (name.size() != kName.size()) return false;
  for (std::size_t i = 0; i < name.size(); ++i) {
    const char c = name[i] >= 'A' && name[i] <= 'Z' ? static_cast<char>(name[i] - 'A' + 'a') : name[i];
    if (c != kName[i]) return false;
  }
  return true;
}

bool clean(std::string_view text) {
  return text.find_first_of(std::string_view("\r\n\0", 3)) == std::string_view::npos;
}

void add_header(Easy& easy, const std::string& line) {
  curl_slist* grown = curl_slist_append(easy.headers.get(), line.c_str());
  if (grown == nullptr) return;
  (void)easy.headers.release();  // the same list, or its new head
  easy.headers.reset(grown);
}

template <class T>
void set(Easy& easy, CURLoption option, T value) {
  (void)curl_easy_setopt(easy.handle.get(), option, value);  // fails only for options this libcurl does not know
}

void set_tls(Easy& easy, const TlsTrust& tls) {
  set(easy, CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
  set(easy, CURLOPT_SSL_VERIFYPEER, tls.verify ? 1L : 0L);
  set(easy, CURLOPT_SSL_VERIFYHOST, tls.verify ? 2L : 0L);
  const std::string ca = tls.ca_file.empty() ? system_ca_file() : tls.ca_file;
  if (!ca.empty()) {
    set(easy, CURLOPT_CAINFO, ca.c_str());
    set(easy, CURLOPT_CAPATH, static_cast<char*>(nullptr));
  }
  set(easy, CURLOPT_CA_CACHE_TIMEOUT, 600L);
  if (!tls.client_cert.empty()) set(easy, CURLOPT_SSLCERT, tls.client_cert.c_str());
  if (!tls.client_key.empty()) set(easy, CURLOPT_SSLKEY, tls.client_key.c_str());
}

}  // namespace

void init_curl_once() {
  static std::once_flag once;
  std::call_once(once, [] { (void)curl_global_init(CURL_GLOBAL_DEFAULT); });  // fails only without memory
}

void configure(Easy& easy, const Request& request, const ClientOptions& options, const std::string& url,
               const std::string& method, bool send_authorization) {
  if (easy.handle == nullptr) {
    easy.handle.reset(curl_easy_init());
    if (easy.handle == nullptr) std::abort();  // no memory
  } else {
    curl_easy_reset(easy.handle.get());
  }
  easy.headers.reset();
  easy.error_text[0] = '\0';

  set(easy, CURLOPT_ERRORBUFFER, easy.error_text);
  set(easy, CURLOPT_URL, url.c_str());
  set(easy, CURLOPT_NOSIGNAL, 1L);
  set(easy, CURLOPT_QUICK_EXIT, 1L);  // dropping a transfer must not wait for its resolver thread
  set(easy, CURLOPT_PROTOCOLS_STR, request.https_only ? "https" : "http,https");
  set(easy, CURLOPT_DISALLOW_USERNAME_IN_URL, 1L);
  set(easy, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
  set(easy, CURLOPT_FOLLOWLOCATION, 0L);
  set(easy, CURLOPT_PROXY, request.proxy.c_str());  // "" also stops it from reading the environment
  set(easy, CURLOPT_NOPROXY, request.no_proxy.c_str());
  set(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
  set(easy, CURLOPT_USERAGENT, options.user_agent.c_str());
  set(easy, CURLOPT_BUFFERSIZE, static_cast<long>(options.buffer_bytes));
  set(easy, CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(request.connect_timeout.count()));
  set(easy, CURLOPT_TCP_KEEPALIVE, 1L);
  set(easy, CURLOPT_TCP_KEEPIDLE, 30L);
  set(easy, CURLOPT_TCP_KEEPINTVL, 15L);
  set_tls(easy, request.tls);

  if (method == "HEAD") {
    set(easy, CURLOPT_NOBODY, 1L);
  } else if (method == "POST") {
    set(easy, CURLOPT_POST, 1L);
    set(easy, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request.body.size()));
    set(easy, CURLOPT_POSTFIELDS, request.body.c_str());
  } else {
    set(easy, CURLOPT_HTTPGET, 1L);
    if (method != "GET") set(easy, CURLOPT_CUSTOMREQUEST, method.c_str());
  }

  add_header(easy, "Accept-Encoding: identity");
  add_header(easy, "Expect:");
  for (const auto& [name, value] : request.headers) {
    if (!clean(name) || !clean(value)) continue;  // would smuggle a header
    if (!send_authorization && is_authorization(name)) continue;
    add_header(easy, std::string(name).append(": ").append(value));
  }
  set(easy, CURLOPT_HTTPHEADER, easy.headers.get());
}

bool is_redirect(const ResponseHead& head) {
  switch (head.status) {
    case 301:
    case 302:
    case 303:
    case 307:
    case 308: return !head.header("location").empty();
    default: return false;
  }
}

std::string redirected_method(int status, const std::string& method) {
  if (method == "HEAD") return method;
  return status == 307 || status == 308 ? method : "GET";
}

}  // namespace shoal::fetch
