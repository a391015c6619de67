// Lists of hosted repositories: tags, referrers, the catalog. Each request gets one page, read and put together on the
// pool, and a Link when there is more. OCI distribution-spec "Content discovery".
#pragma once

#include "exchange.h"

namespace shoal::serve {

// A page on its way: what the pool made.
struct ListPage {
  std::string body;
  std::string next;  // query of the Link; "" at the end
  bool known = true;
};

class HostedList : public Exchange {
 protected:
  using Exchange::Exchange;
  // False: n is malformed, and the request refused. Sets n_ (cut to what one page may hold) and last_.
  [[nodiscard]] bool read_paging(const std::string& query);
  void answer(const ListPage& page, std::string_view path, std::string_view content_type);

  std::size_t n_ = 0;
  std::string last_;
  std::string filters_;  // OCI-Filters-Applied; "" for none
};

class HostedTags final : public HostedList {
 public:
  HostedTags(const DistributionHandler::Parts& parts, const http::Request& request, http::Responder responder,
             std::string repository, std::string query);
  void start();

 private:
  std::string repository_, query_;
};

class HostedCatalog final : public HostedList {
 public:
  HostedCatalog(const DistributionHandler::Parts& parts, const http::Request& request, http::Responder responder,
                std::string query);
  void start();

 private:
  std::string query_;
};

class HostedReferrers final : public HostedList {
 public:
  HostedReferrers(const DistributionHandler::Parts& parts, const http::Request& request, http::Responder responder,
                  std::string repository, const base::Digest& subject, std::string query);
  void start();

 private:
  std::string repository_, query_;
  base::Digest subject_;
};

}  // namespace shoal::serve
