// Lists of hosted repositories: tags, referrers, the catalog. With n (and for referrers, by bytes) a request gets one
// page, read and put together on the pool, and a Link when there is more; without n all names, streamed when they are
// many. OCI distribution-spec "Content discovery".
#pragma once

#include "exchange.h"
#include "name_stream.h"

namespace shoal::serve {

// A page on its way: what the pool made.
struct ListPage {
  std::string body;
  std::string next;  // query of the Link; "" at the end
};

// On the pool. At most `limit` names behind `last`.
using NameReader = std::function<base::Result<NameSlice>(const std::string& last, std::size_t limit)>;

class HostedList : public Exchange {
 protected:
  using Exchange::Exchange;
  // False: n is malformed, and the request refused. Sets n_ (cut to what one page may hold) and last_.
  [[nodiscard]] bool read_paging(const std::string& query);
  // A page or a stream of what `read` finds behind `last`. `head`: the JSON before the first name.
  void list(NameReader read, std::string head, std::string path, std::string last);
  void answer(const ListPage& page, std::string_view path, std::string_view content_type);
  void refuse_unread(const base::Error& why);

  std::optional<std::size_t> n_;  // nullopt: all
  std::string last_;
  std::string filters_;  // OCI-Filters-Applied; "" for none

 private:
  void listed(base::Result<NameSlice> names);
  void stream(const NameSlice& first);
  [[nodiscard]] virtual bool known(const NameSlice&) { return true; }  // false: refused

  NameReader read_;
  std::string head_, path_;
};

class HostedTags final : public HostedList {
 public:
  HostedTags(const DistributionHandler::Parts& parts, const http::Request& request, http::Responder responder,
             std::string repository, std::string query);
  void start();

 private:
  [[nodiscard]] bool known(const NameSlice& names) override;
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
