// fetch_blocking(): the same requests for the command line, without a loop.
#include <algorithm>

#include "easy.h"
#include "head_reader.h"
#include "shoal/base/format.h"

namespace shoal::fetch {
namespace {

using base::Error;
using base::ErrorKind;

struct Hop {
  HeadReader head;
  std::size_t max_body;
  std::string body;
  bool too_large = false;
};

std::size_t on_header(char* bytes, std::size_t size, std::size_t count, void* self) {
  const auto state = static_cast<Hop*>(self)->head.line({bytes, size * count});
  if (state == HeadReader::State::too_large || state == HeadReader::State::malformed) return 0;
  return size * count;
}

std::size_t on_body(char* bytes, std::size_t size, std::size_t count, void* self) {
  auto* hop = static_cast<Hop*>(self);
  hop->too_large = size * count > hop->max_body - hop->body.size();
  if (hop->too_large) return 0;
  hop->body.append(bytes, size * count);
  return size * count;
}

}  // namespace

base::Result<Client::Reply> fetch_blocking(const Request& request, std::size_t max_body) {
  init_curl_once();
  const ClientOptions options;
  Easy easy;
  std::string url = request.url;
  std::string method = request.method;
  bool send_authorization = true;
  const auto first_origin = origin_of(url);
  const auto patience = std::max(request.first_byte_timeout, request.stall_timeout);
  for (int redirects = 0;; ++redirects) {
    Hop hop{HeadReader(options.max_header_bytes), max_body, {}, false};
    configure(easy, request, options, url, method, send_authorization);
    CURL* handle = easy.handle.get();
    const auto set = [handle](CURLoption option, auto value) { (void)curl_easy_setopt(handle, option, value); };
    set(CURLOPT_HEADERFUNCTION, &on_header);
    set(CURLOPT_HEADERDATA, &hop);
    set(CURLOPT_WRITEFUNCTION, &on_body);
    set(CURLOPT_WRITEDATA, &hop);
    set(CURLOPT_LOW_SPEED_LIMIT, static_cast<long>(std::max<std::uint64_t>(request.min_bytes_per_second, 1)));
    set(CURLOPT_LOW_SPEED_TIME, std::max(1L, static_cast<long>((patience.count() + 999) / 1000)));
    const CURLcode code = curl_easy_perform(handle);
    if (hop.too_large) {
      return Error(ErrorKind::full, base::format("{}: the answer exceeds {} bytes", printable_url(url), max_body));
    }
    if (code != CURLE_OK) return describe_failure(easy, code, url, request);
    ResponseHead& head = hop.head.head();
    if (request.max_redirects > 0 && is_redirect(head)) {
      const auto target = resolve_url(url, head.header("location"));
      if (redirects >= request.max_redirects || !target) {
        return Error(ErrorKind::gone, base::format("{}: more than {} redirects, or a bad one",
                                                   printable_url(request.url), request.max_redirects));
      }
      method = redirected_method(head.status, method);
      if (origin_of(*target) != first_origin) send_authorization = false;
      url = *target;
      continue;
    }
    head.effective_url = printable_url(url);
    head.redirects = redirects;
    return Client::Reply{std::move(head), std::move(hop.body)};
  }
}

}  // namespace shoal::fetch
