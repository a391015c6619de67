#include "admission.h"

#include "shoal/base/format.h"

namespace shoal::serve {
namespace {

bool is_loopback(std::string_view ip) {
  if (ip.starts_with("::ffff:")) ip.remove_prefix(7);
  return ip == "::1" || ip.starts_with("127.");
}

std::unique_ptr<http::Operation> refuse(std::unique_ptr<Direct> direct, const Turned& turned) {
  if (turned.status == 401) {
    direct->challenge(turned.message);
  } else {
    direct->refuse(turned.status, "DENIED", turned.message);
  }
  return direct;
}

std::unique_ptr<Direct> direct_for(const DistributionHandler::Parts& parts, const http::Request& request,
                                   http::Responder responder, const Routed& routed, Caller caller) {
  auto direct = std::make_unique<Direct>(parts, request, std::move(responder), routed.canonical);
  if (routed.by_ns) direct->set_namespace(routed.ns);
  direct->set_caller(std::move(caller));
  return direct;
}

constexpr std::string_view kNeedsTls =
    "passwords are not taken over a plain connection: use https, or set allow_plaintext in the node's configuration";

}  // namespace

std::optional<auth::Action> action_of(const Routed& routed, http::Method method) {
  if (routed.canonical.empty()) return std::nullopt;
  if (std::holds_alternative<registry::UploadPath>(routed.path)) return auth::Action::push;
  switch (method) {
    case http::Method::get:
    case http::Method::head:
    case http::Method::options: return auth::Action::pull;
    case http::Method::del: return auth::Action::remove;
    default: return auth::Action::push;
  }
}

bool takes_passwords(const http::Request& request, const Access& access) {
  return request.secure || access.allow_plaintext || is_loopback(request.peer.ip);
}

std::optional<Turned> turn_away(const http::Request& request, const Access& access, const auth::Identity& who,
                                const Routed& routed) {
  const auto log_in = [&](std::string message) -> Turned {
    if (takes_passwords(request, access)) return {401, std::move(message)};
    return {403, std::string(kNeedsTls)};  // a challenge would make the client send one
  };
  const auto action = action_of(routed, request.method);
  if (!action) {
    if (who.anonymous() && auth::asks_for_login(access.policy)) return log_in("log in");
    return std::nullopt;
  }
  const auto what = base::format("{} {}", auth::to_string(*action), routed.canonical);
  switch (auth::decide(access.policy, who, routed.canonical, *action)) {
    case auth::Verdict::allow: return std::nullopt;
    case auth::Verdict::log_in: return log_in("log in to " + what);
    case auth::Verdict::deny: break;
  }
  return Turned{403, base::format("{} may not {}", who.anonymous() ? "an anonymous client" : who.user, what)};
}

Login::Login(const DistributionHandler::Parts& parts, const http::Request& request, http::Responder responder,
             Routed routed, Caller caller, Go go)
    : parts_(parts),
      request_(request),
      routed_(std::move(routed)),
      caller_(std::move(caller)),
      go_(std::move(go)),
      waiting_(direct_for(parts, request, std::move(responder), routed_, caller_)) {}

void Login::start() {
  parts_.authenticator->authenticate(std::string(request_.headers.get("authorization")), request_.peer.ip, parts_.loop,
                                     [this, watch = life_.watch()](base::Result<auth::Identity> who) {
                                       if (!watch.gone()) checked(std::move(who));
                                     });
}

void Login::checked(base::Result<auth::Identity> who) {
  if (!who) {
    switch (who.error().kind()) {
      case base::ErrorKind::denied: return waiting_->challenge("wrong user or password");
      case base::ErrorKind::invalid: return waiting_->challenge("the Authorization header is not understood");
      default: break;
    }
    const bool their_own = who.error().kind() == base::ErrorKind::full;
    auto response = waiting_->begin(their_own ? 429 : 503);
    if (const auto wait = who.error().retry_after()) response.headers.add("Retry-After", std::to_string(wait->count()));
    return waiting_->refuse(std::move(response), their_own ? "TOOMANYREQUESTS" : "UNAVAILABLE", who.error().message());
  }
  caller_.identity = std::move(*who);
  auto responder = waiting_->hand_over();
  waiting_.reset();
  if (const auto turned = turn_away(request_, *caller_.access, caller_.identity, routed_)) {
    operation_ = refuse(direct_for(parts_, request_, std::move(responder), routed_, caller_), *turned);
    return;
  }
  operation_ = go_(request_, std::move(responder), routed_, caller_);
}

std::unique_ptr<http::Operation> admit(const DistributionHandler::Parts& parts, const http::Request& request,
                                       http::Responder responder, Routed routed, Caller caller, Login::Go go) {
  const auto& access = *caller.access;
  const auto authorization = request.headers.get("authorization");
  const bool speaks = !authorization.empty() && parts.authenticator != nullptr;
  if (speaks && !takes_passwords(request, access)) {
    return refuse(direct_for(parts, request, std::move(responder), routed, caller), {403, std::string(kNeedsTls)});
  }
  if (speaks) {
    const auto known = parts.authenticator->try_authenticate(authorization);
    if (!known) {
      auto login = std::make_unique<Login>(parts, request, std::move(responder), std::move(routed), std::move(caller),
                                           std::move(go));
      login->start();
      return login;
    }
    caller.identity = *known;
  }
  if (const auto turned = turn_away(request, access, caller.identity, routed)) {
    return refuse(direct_for(parts, request, std::move(responder), routed, std::move(caller)), *turned);
  }
  return go(request, std::move(responder), routed, std::move(caller));
}

}  // namespace shoal::serve
