// BlobGet: GET and HEAD of a blob. OCI distribution-spec "Pulling blobs"; RFC 9110 sections 13 and 14.
#pragma once

#include "exchange.h"

namespace shoal::serve {

class BlobGet final : public Exchange {
 public:
  BlobGet(const DistributionHandler::Parts& parts, const http::Request& request, http::Responder responder,
          mirror::Target target, const base::Digest& digest);
  void start();

 private:
  void start_hosted();
  void opened(std::unique_ptr<mirror::Blob> blob);
  void stat_done(const mirror::BlobStat& stat);
  [[nodiscard]] http::Response begin_blob(int status) const;
  void announce_pull(std::optional<std::uint64_t> size);

  mirror::Target target_;  // without a registry: hosted
  base::Digest digest_;
  std::string etag_;
  bool from_here_;  // the client is on this machine: what it takes needs no uplink
};

}  // namespace shoal::serve
