#include "plan.h"

#include <algorithm>
#include <cmath>

#include "shoal/base/format.h"

namespace shoal::bench {
namespace {

using base::Error;
using base::ErrorKind;
using base::format;
using base::Result;

Error wrong(std::string text) { return {ErrorKind::invalid, std::move(text)}; }

Result<void> check_numbers(const Options& options) {
  if (!options.pulls && options.rates.empty()) return wrong("nothing is left to measure: --no-pulls needs --manifests");
  if (options.rounds < 1 || options.rounds > kMostRounds) return wrong(format("--rounds is 1 to {}", kMostRounds));
  for (const auto clients : options.clients) {
    if (clients < 1 || clients > kMostClients) return wrong(format("--clients is 1 to {}", kMostClients));
  }
  for (const auto rate : options.rates) {
    if (!std::isfinite(rate) || rate <= 0 || rate > kMostRate) {
      return wrong(format("--manifests is a rate a second, up to {:g}", kMostRate));
    }
    if (rate * static_cast<double>(options.rate_length.count()) / 1000 < 1) {
      return wrong("at that rate of --manifests no request is due within --seconds");
    }
  }
  if (options.generate.size() > kMostLayers) return wrong(format("--generate makes {} layers at most", kMostLayers));
  for (const auto size : options.generate) {
    if (size < 1 || size > kMostLayer) return wrong("a layer of --generate has 1 byte to 1 TiB");
  }
  if (options.verify && options.profile == "ranged") {
    return wrong("--verify hashes a layer in its order, and the pieces of profile ranged come in any");
  }
  return {};
}

// Honest beforehand: a cold round that is none would be worse than an error.
Result<void> check_mode(const Options& options) {
  const bool forgets = !options.admin.empty();
  if (!options.upstream.empty() && options.generate.empty()) {
    return wrong("--upstream is where --generate pushes its layers");
  }
  if (!options.neighbour.empty() && options.mode != Mode::peer) return wrong("--neighbour belongs to --mode peer");
  if (options.mode == Mode::warm) {
    return forgets ? Result<void>(wrong("--admin belongs to --mode cold and peer")) : Result<void>();
  }
  if (options.mode == Mode::peer && options.neighbour.empty()) {
    return wrong("--mode peer needs --neighbour http://host:port/name:tag: the node that is to have the layers");
  }
  if (forgets && !options.generate.empty()) {
    return wrong("either --admin (forget what was pulled) or --generate (a new image each time), not both");
  }
  if (forgets && options.admin.size() != options.targets.size()) {
    return wrong(format("{} targets need {} --admin, in their order", options.targets.size(), options.targets.size()));
  }
  if (forgets) return {};
  if (options.generate.empty()) {
    return wrong(
        "a cold target must be made to forget: --admin URL of a Shoal node, or new layers each time with "
        "--generate SIZES --upstream URL");
  }
  if (options.upstream.empty()) {
    return wrong(
        "what is pushed to a target is not cold there: --generate needs --upstream URL, the registry behind "
        "the target");
  }
  return {};
}

}  // namespace

Result<Plan> make_plan(const Options& options) {
  if (options.targets.empty()) return wrong("no target");
  const auto profile = find_profile(options.profile, options.parallel, options.piece);
  if (!profile) return wrong("--profile is docker, containerd, podman or ranged");
  if (auto checked = check_numbers(options); !checked.ok()) return checked.error();
  if (auto checked = check_mode(options); !checked.ok()) return checked.error();
  Plan plan;
  plan.profile = *profile;
  plan.fresh = options.mode != Mode::warm && !options.generate.empty();
  for (const auto& text : options.targets) {
    auto target = parse_target(text, options.image);
    if (!target.ok()) return target.error();
    plan.targets.push_back(std::move(*target));
  }
  if (!options.upstream.empty()) {
    auto target = parse_target(options.upstream, options.image);
    if (!target.ok()) return target.error().at("--upstream");
    plan.upstream = std::move(*target);
  }
  if (!options.neighbour.empty()) {
    auto target = parse_target(options.neighbour, options.image);
    if (!target.ok()) return target.error().at("--neighbour");
    plan.neighbour = std::move(*target);
  }
  return plan;
}

Login login_for(const Options& options, const Target& target) {
  const auto host = target.url.substr(target.url.find("://") + 3);
  auto found = options.logins.find(host);
  if (found == options.logins.end()) found = options.logins.find(host.substr(0, host.rfind(':')));
  if (found == options.logins.end() && host == "registry-1.docker.io") found = options.logins.find("docker.io");
  return found != options.logins.end() ? found->second : options.login;
}

}  // namespace shoal::bench
