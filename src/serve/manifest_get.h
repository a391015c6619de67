// ManifestGet: GET and HEAD of a manifest by tag or digest. OCI distribution-spec "Pulling manifests".
#pragma once

#include "exchange.h"

namespace shoal::serve {

class ManifestGet final : public Exchange {
 public:
  ManifestGet(const DistributionHandler::Parts& parts, const http::Request& request, http::Responder responder,
              mirror::Target target, registry::Reference reference);
  void start();

 private:
  void answer(const mirror::ManifestAnswer& manifest);
  void announce_pull(const mirror::ManifestAnswer& manifest);

  mirror::Target target_;  // without a registry: hosted
  registry::Reference reference_;
};

}  // namespace shoal::serve
