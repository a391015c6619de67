// libcurl's codes in an operator's words. The kinds: gone = try elsewhere or later, timeout = the same but slow.
#include <cerrno>
#include <system_error>

#include "easy.h"
#include "shoal/base/format.h"

namespace shoal::fetch {
namespace {

using base::Error;
using base::ErrorKind;
using base::format;

std::string lower_first(std::string text) {
  if (text.size() > 1 && text[0] >= 'A' && text[0] <= 'Z' && !(text[1] >= 'A' && text[1] <= 'Z')) {
    text[0] = static_cast<char>(text[0] - 'A' + 'a');
  }
  return text;
}

std::string os_reason(CURL* handle) {
  long number = 0;
  (void)curl_easy_getinfo(handle, CURLINFO_OS_ERRNO, &number);  // 0 if unknown
  return number == 0 ? std::string() : lower_first(std::generic_category().message(static_cast<int>(number)));
}

std::string detail(const Easy& easy, CURLcode code) {
  return lower_first(easy.error_text[0] != '\0' ? std::string(easy.error_text) : std::string(curl_easy_strerror(code)));
}

bool speaks_no_tls(const std::string& text) { return text.find("wrong version number") != std::string::npos; }

std::string tls_text(const Easy& easy, CURLcode code, const std::string& host) {
  long verdict = 0;  // OpenSSL's X509_V_*: stable numbers, and libcurl documents no others
  (void)curl_easy_getinfo(easy.handle.get(), CURLINFO_SSL_VERIFYRESULT, &verdict);
  const std::string text = detail(easy, code);
  switch (verdict) {
    case 2:   // no issuer
    case 18:  // self-signed
    case 19:  // self-signed in the chain
    case 20:  // no issuer here
    case 21:  // leaf cannot be verified
      return format("TLS: the certificate of {} is not signed by a known CA (set ca_file)", host);
    case 9: return format("TLS: the certificate of {} is not valid yet", host);
    case 10: return format("TLS: the certificate of {} has expired", host);
    default: break;
  }
  if (text.find("certificate subject name") != std::string::npos) {
    return format("TLS: the certificate of {} is for another name", host);
  }
  if (speaks_no_tls(text)) {
    return format("TLS: {} does not answer with TLS on that port (is it plain http?)", host);
  }
  return format("TLS: {}: {}", host, text);
}

}  // namespace

Error describe_failure(const Easy& easy, CURLcode code, const std::string& url, const Request& request) {
  CURL* handle = easy.handle.get();
  const auto origin = origin_of(url);
  const std::string host = origin ? origin->host : printable_url(url);
  const bool bracketed = host.find(':') != std::string::npos && origin;
  const std::string where =
      origin ? (bracketed ? format("[{}]:{}", host, origin->port) : format("{}:{}", host, origin->port)) : host;
  const bool proxied = !request.proxy.empty();
  const std::string via = proxied ? format("proxy {} for {}", printable_url(request.proxy), where) : where;
  const std::string os = os_reason(handle);
  switch (code) {
    case CURLE_URL_MALFORMAT: return {ErrorKind::invalid, format("not a URL: {}", printable_url(url))};
    case CURLE_UNSUPPORTED_PROTOCOL:
      // libcurl says so for an answer without a status line, too
      if (origin) return {ErrorKind::corrupt, format("{}: not HTTP: {}", where, detail(easy, code))};
      return {ErrorKind::invalid, format("not http or https: {}", printable_url(url))};
    case CURLE_LOGIN_DENIED: return {ErrorKind::invalid, format("{}: the URL must not hold credentials", where)};
    case CURLE_COULDNT_RESOLVE_HOST: return {ErrorKind::gone, format("DNS: no address for {}", host)};
    case CURLE_COULDNT_RESOLVE_PROXY:
      return {ErrorKind::gone, format("DNS: no address for proxy {}", printable_url(request.proxy))};
    case CURLE_COULDNT_CONNECT:
      return {ErrorKind::gone, format("connect to {}: {}", via, os.empty() ? detail(easy, code) : os)};
    case CURLE_OPERATION_TIMEDOUT:
      return {ErrorKind::timeout,
              format("connect to {}: no connection within {} ms", via, request.connect_timeout.count())};
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_ISSUER_ERROR: return {ErrorKind::invalid, tls_text(easy, code, host)};
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_SSL_CIPHER:
    case CURLE_SSL_INVALIDCERTSTATUS:
      return {speaks_no_tls(detail(easy, code)) ? ErrorKind::invalid : ErrorKind::gone, tls_text(easy, code, host)};
    case CURLE_SSL_CACERT_BADFILE:
      return {ErrorKind::invalid, format("TLS: cannot read the CA file {}",
                                         request.tls.ca_file.empty() ? "of the system" : request.tls.ca_file)};
    case CURLE_SSL_CERTPROBLEM:
      return {ErrorKind::invalid, format("TLS: cannot use the client certificate {}", request.tls.client_cert)};
    case CURLE_PARTIAL_FILE:
      return {ErrorKind::gone, format("{}: the answer was cut short: {}", where, detail(easy, code))};
    case CURLE_GOT_NOTHING: return {ErrorKind::gone, format("{}: closed the connection without an answer", where)};
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
      return {ErrorKind::gone, format("{}: connection lost: {}", where, os.empty() ? detail(easy, code) : os)};
    case CURLE_PROXY:
      return {ErrorKind::gone, format("proxy {}: {}", printable_url(request.proxy), detail(easy, code))};
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_HTTP2:
    case CURLE_BAD_CONTENT_ENCODING: return {ErrorKind::corrupt, format("{}: not HTTP: {}", where, detail(easy, code))};
    // libcurl's word for a header line past its own limit, too, and that is what it mostly is.
    case CURLE_OUT_OF_MEMORY:
      return {ErrorKind::full,
              format("{}: a header of the answer is too large (over 100 KiB), or memory is out", where)};
    default: return {ErrorKind::gone, format("{}: {}", via, detail(easy, code))};
  }
}

}  // namespace shoal::fetch
