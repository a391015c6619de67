// Which credentials go where: pure functions over challenges, URLs and credentials. RFC 7617, RFC 6750, and the
// distribution token specification.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "shoal/fetch/client.h"
#include "shoal/upstream/upstream.h"

namespace shoal::upstream {

struct AuthChallenge {
  enum class Scheme { basic, bearer };
  Scheme scheme = Scheme::basic;
  std::string realm;  // bearer: URL of the token endpoint
  std::string service;
  friend bool operator==(const AuthChallenge&, const AuthChallenge&) = default;
};

struct Challenged {
  std::optional<AuthChallenge> challenge;  // Bearer before Basic; nullopt: none that we can answer
  bool insufficient_scope = false;
};
[[nodiscard]] Challenged read_challenges(const fetch::ResponseHead& head);

// May a token endpoint at `realm` get the credentials of the registry at `registry_url`? The same host (any port), or
// the same registrable domain (approximated: the last two labels, three under suffixes like co.uk), or listed; and
// never over plain http when the registry is https.
[[nodiscard]] bool realm_trusted(std::string_view realm, std::string_view registry_url,
                                 const std::vector<std::string>& listed);

[[nodiscard]] std::string basic_authorization(const Credentials& credentials);

// One token to ask for. `key` is what it is cached by; it holds no secret (a hash of the credentials).
struct TokenWant {
  std::string key;
  std::string url;            // with query
  std::string authorization;  // "" : anonymous
  std::string withheld;       // why credentials that exist are not sent; "" otherwise
};
// The scope is always ours: some registries (ghcr.io) challenge with a placeholder.
[[nodiscard]] TokenWant make_token_want(const AuthChallenge& challenge, std::string_view registry_url,
                                        std::string_view repository, const UpstreamOptions& options,
                                        std::string_view actions = "pull");

}  // namespace shoal::upstream
