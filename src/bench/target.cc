#include "target.h"

#include "shoal/base/digest.h"
#include "shoal/base/format.h"
#include "shoal/fetch/url.h"
#include "shoal/registry/name.h"

namespace shoal::bench {
using base::format;

namespace {

base::Error wrong(std::string_view text, std::string_view why) {
  return {base::ErrorKind::invalid, format("target '{}': {}", text, why)};
}

base::Result<void> take_name(Target& target, std::string_view text, std::string_view name) {
  if (const auto at = name.find('@'); at != std::string_view::npos) {
    const auto digest = base::Digest::parse(name.substr(at + 1));
    if (!digest) return wrong(text, "what follows the @ is no digest");
    target.reference = digest->to_string();
    name = name.substr(0, at);
  }
  const auto slash = name.rfind('/');
  const auto colon = name.find(':', slash == std::string_view::npos ? 0 : slash);
  if (colon != std::string_view::npos) {
    const auto tag = name.substr(colon + 1);
    if (!registry::valid_tag(tag)) return wrong(text, format("'{}' is no tag", tag));
    if (target.reference.empty()) target.reference = tag;  // with both, the digest says it all
    name = name.substr(0, colon);
  }
  if (target.reference.empty()) target.reference = "latest";
  // A mirror takes the registry's name, which may have a port, as the first part of the path.
  const auto first = name.find('/');
  const bool mirrored = first != std::string_view::npos && registry::valid_registry_host(name.substr(0, first)) &&
                        registry::valid_repository(name.substr(first + 1));
  if (!mirrored && !registry::valid_repository(name)) {
    return wrong(text, name.empty() ? "no repository: http://host:port/name:tag, or --image name:tag"
                                    : format("'{}' is no repository", name));
  }
  target.repository = name;
  return {};
}

}  // namespace

std::string Target::text() const {
  return format("{}/{}{}{}", url, repository, reference.find(':') == std::string::npos ? ":" : "@", reference);
}

base::Result<Target> parse_target(std::string_view text, std::string_view image) {
  std::string_view rest = text;
  std::string scheme = "https://";
  if (const auto at = rest.find("://"); at != std::string_view::npos) {
    scheme = std::string(rest.substr(0, at + 3));
    rest.remove_prefix(at + 3);
  }
  if (rest.find_first_of("?#") != std::string_view::npos) return wrong(text, "a query has no meaning here");
  auto host = rest.substr(0, rest.find('/'));
  auto name = host.size() < rest.size() ? rest.substr(host.size() + 1) : std::string_view();
  if (host.find('@') != std::string_view::npos) {
    return base::Error(base::ErrorKind::invalid, "a target has no user name: --user and --password-file");
  }
  while (name.ends_with('/')) name.remove_suffix(1);
  if (!image.empty() && !name.empty()) return wrong(text, "with --image, a target is http://host:port alone");
  if (!image.empty()) name = image;
  Target target;
  std::string hub;
  if (host == "docker.io") {
    host = "registry-1.docker.io";
    if (name.find('/') == std::string_view::npos && !name.empty()) hub = format("library/{}", name);
  }
  const auto origin = fetch::origin_of(scheme + std::string(host));
  if (!origin) return wrong(text, "not http://host:port/name:tag, nor https://, nor host/name:tag");
  target.url = format("{}://{}", origin->scheme, host);  // in lower case, as everybody compares it: RFC 3986, 3.1
  if (auto taken = take_name(target, text, hub.empty() ? name : hub); !taken.ok()) return taken.error();
  return target;
}

}  // namespace shoal::bench
