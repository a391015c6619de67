// Admission: who sends a request, and may they? Everything before the operation starts; the body is not read yet.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "dispatch.h"

namespace shoal::serve {

// What a request needs the right to. nullopt: none (a ping, a catalog).
[[nodiscard]] std::optional<auth::Action> action_of(const Routed& routed, http::Method method);
// May a password come this way? TLS, loopback, or allowed.
[[nodiscard]] bool takes_passwords(const http::Request& request, const Access& access);

// Why a request goes no further.
struct Turned {
  int status;  // 401 or 403
  std::string message;
};
[[nodiscard]] std::optional<Turned> turn_away(const http::Request& request, const Access& access,
                                              const auth::Identity& who, const Routed& routed);

// Waits for a password to be checked, then becomes the operation.
class Login final : public http::Operation {
 public:
  using Go =
      std::function<std::unique_ptr<http::Operation>(const http::Request&, http::Responder, const Routed&, Caller)>;
  Login(const DistributionHandler::Parts& parts, const http::Request& request, http::Responder responder, Routed routed,
        Caller caller, Go go);
  void start();

 private:
  void checked(base::Result<auth::Identity> who);
  DistributionHandler::Parts parts_;
  http::Request request_;
  Routed routed_;
  Caller caller_;
  Go go_;
  std::unique_ptr<Direct> waiting_;             // until the identity is known; logs a client that leaves
  std::unique_ptr<http::Operation> operation_;  // afterwards
  base::Lifetime life_;
};

// Admits, refuses, or waits; then `go`. The policy is enabled.
[[nodiscard]] std::unique_ptr<http::Operation> admit(const DistributionHandler::Parts& parts,
                                                     const http::Request& request, http::Responder responder,
                                                     Routed routed, Caller caller, Login::Go go);

}  // namespace shoal::serve
