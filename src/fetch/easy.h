// One libcurl easy handle set up from a Request, and what its outcome means. Used by the loop client and the blocking
// one. Nothing here reads the environment, keeps cookies, follows redirects (the caller does) or decodes a body.
#pragma once

#include <curl/curl.h>

#include <memory>
#include <string>

#include "shoal/fetch/client.h"
#include "shoal/fetch/url.h"

namespace shoal::fetch {

void init_curl_once();

struct EasyDeleter {
  void operator()(CURL* easy) const { curl_easy_cleanup(easy); }
};
struct SlistDeleter {
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};

// One hop: the handle and what it points to. Neither copied nor moved: libcurl holds addresses inside.
struct Easy {
  std::unique_ptr<curl_slist, SlistDeleter> headers;
  char error_text[CURL_ERROR_SIZE] = {};
  std::unique_ptr<CURL, EasyDeleter> handle;  // last: goes first
};

// Sets everything but the callbacks. `send_authorization` false: the hop left the origin it was meant for.
void configure(Easy& easy, const Request& request, const ClientOptions& options, const std::string& url,
               const std::string& method, bool send_authorization);

// What failed, in an operator's words. `url`: of the hop. Secrets in URLs are left out.
[[nodiscard]] base::Error describe_failure(const Easy& easy, CURLcode code, const std::string& url,
                                           const Request& request);

// 301, 302, 303, 307, 308 with a Location.
[[nodiscard]] bool is_redirect(const ResponseHead& head);
// The method of the next hop.
[[nodiscard]] std::string redirected_method(int status, const std::string& method);

}  // namespace shoal::fetch
