#include "shoal/upstream/auth.h"

#include <algorithm>

#include "shoal/base/base64.h"
#include "shoal/base/digest.h"
#include "shoal/base/format.h"
#include "shoal/fetch/url.h"
#include "shoal/registry/wire.h"
#include "text.h"

namespace shoal::upstream {
namespace {

bool is_ip(std::string_view host) {
  return host.find(':') != std::string_view::npos || host.find_first_not_of("0123456789.") == std::string_view::npos;
}

// The last two labels; three when those look like a public suffix (co.uk, com.au).
std::string_view registrable(std::string_view host) {
  const auto tld = host.rfind('.');
  if (tld == std::string_view::npos || tld == 0) return host;
  const auto second = host.rfind('.', tld - 1);
  if (second == std::string_view::npos) return host;
  const bool suffix_like = host.size() - tld - 1 == 2 && tld - second - 1 <= 3;
  if (!suffix_like) return host.substr(second + 1);
  const auto third = second == 0 ? std::string_view::npos : host.rfind('.', second - 1);
  return third == std::string_view::npos ? host : host.substr(third + 1);
}

}  // namespace

Challenged read_challenges(const fetch::ResponseHead& head) {
  Challenged out;
  for (const auto& challenge : registry::parse_challenges(joined_headers(head, "www-authenticate"))) {
    const auto parameter = [&challenge](const char* name) {
      const auto found = challenge.parameters.find(name);
      return found == challenge.parameters.end() ? std::string() : found->second;
    };
    if (challenge.scheme == "bearer") {
      if (parameter("error") == "insufficient_scope") out.insufficient_scope = true;
      if (parameter("realm").empty()) continue;
      out.challenge = AuthChallenge{AuthChallenge::Scheme::bearer, parameter("realm"), parameter("service")};
      return out;
    }
    if (challenge.scheme == "basic" && !out.challenge) {
      out.challenge = AuthChallenge{AuthChallenge::Scheme::basic, {}, {}};
    }
  }
  return out;
}

bool realm_trusted(std::string_view realm, std::string_view registry_url, const std::vector<std::string>& listed) {
  const auto to = fetch::origin_of(realm);
  const auto from = fetch::origin_of(registry_url);
  if (!to || !from) return false;
  if (from->scheme == "https" && to->scheme != "https") return false;
  if (to->host == from->host) return true;
  const std::string with_port = base::format("{}:{}", to->host, to->port);
  for (const auto& entry : listed) {
    if (same_ignoring_case(entry, to->host) || same_ignoring_case(entry, with_port)) return true;
  }
  if (is_ip(to->host) || is_ip(from->host)) return false;
  if (to->host.find('.') == std::string::npos || from->host.find('.') == std::string::npos) return false;
  return registrable(to->host) == registrable(from->host);
}

std::string basic_authorization(const Credentials& credentials) {
  return "Basic " + base::base64(credentials.username + ":" + credentials.password);
}

TokenWant make_token_want(const AuthChallenge& challenge, std::string_view registry_url, std::string_view repository,
                          const UpstreamOptions& options, std::string_view actions) {
  TokenWant want;
  const std::string scope = base::format("repository:{}:{}", repository, actions);
  const Credentials& credentials = options.credentials;
  const bool trusted = realm_trusted(challenge.realm, registry_url, options.auth_realms);
  const bool with_credentials = !credentials.username.empty() && trusted;
  want.url = challenge.realm;
  want.url += challenge.realm.find('?') == std::string::npos ? '?' : '&';
  if (!challenge.service.empty()) want.url += "service=" + fetch::escape_query(challenge.service) + "&";
  want.url += "scope=" + fetch::escape_query(scope);
  std::string who = "anonymous";
  if (with_credentials) {
    want.url += "&account=" + fetch::escape_query(credentials.username);
    want.authorization = basic_authorization(credentials);
    who = base::digest_of(want.authorization).hex();
  } else if (!credentials.username.empty()) {
    want.withheld = base::format(
        "its token endpoint {} is outside the registry's domain, so the credentials were not sent (list the host in "
        "auth_realms)",
        fetch::printable_url(challenge.realm));
  }
  want.key = base::format("{}\n{}\n{}\n{}", challenge.realm, challenge.service, scope, who);
  return want;
}

}  // namespace shoal::upstream
