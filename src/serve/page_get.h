// PageGet: tag lists and referrers. OCI distribution-spec "Content discovery".
#pragma once

#include "exchange.h"

namespace shoal::serve {

class PageGet final : public Exchange {
 public:
  // `path`: of the request, as the client wrote it, for the Link to the next page.
  PageGet(const DistributionHandler::Parts& parts, const http::Request& request, http::Responder responder,
          mirror::Target target, std::optional<base::Digest> subject, std::string path, std::string query);
  void start();

 private:
  void answer(const mirror::TagPage& page);

  mirror::Target target_;
  std::optional<base::Digest> subject_;  // of referrers; absent: tags
  std::string path_;
  std::string query_;
};

}  // namespace shoal::serve
