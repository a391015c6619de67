// ContentRemove: DELETE of a tag, a manifest or a blob. OCI distribution-spec "Content management".
#pragma once

#include "push_exchange.h"
#include "shoal/registry/name.h"

namespace shoal::serve {

class ContentRemove final : public PushExchange {
 public:
  ContentRemove(const DistributionHandler::Parts& parts, const http::Request& request, http::Responder responder,
                Subject subject, std::string repository, registry::Reference reference);
  void start();

 private:
  void remove_tag(const std::string& tag);
  void remove_content(const base::Digest& digest);
  void refuse_fixed(const std::string& tag);
  void refuse_unknown();
  void done(const base::Result<void>& result);

  Subject subject_;
  registry::Reference reference_;
};

}  // namespace shoal::serve
