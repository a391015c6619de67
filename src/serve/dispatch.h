// dispatch(): the operation for a routed request. The one place that knows which method does what where.
#pragma once

#include "exchange.h"

namespace shoal::serve {

// Answers at once: the ping, and everything that is refused by its path, its method or its sender.
class Direct final : public Exchange {
 public:
  Direct(const DistributionHandler::Parts& parts, const http::Request& request, http::Responder responder,
         std::string repository = {})
      : Exchange(parts, request, std::move(responder), Subject::other, std::move(repository)) {}
  void ping();
  void challenge(std::string_view message);  // 401
  using Exchange::begin;
  using Exchange::hand_over;
  using Exchange::refuse;
  using Exchange::refuse_method;
};

[[nodiscard]] std::unique_ptr<http::Operation> dispatch(const DistributionHandler::Parts& parts,
                                                        const http::Request& request, http::Responder responder,
                                                        const Routed& routed, bool has_catalog, Caller caller);

}  // namespace shoal::serve
