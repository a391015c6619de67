#include "session.h"

#include <algorithm>

#include "cache_status.h"
#include "shoal/base/format.h"
#include "shoal/registry/manifest.h"
#include "shoal/registry/name.h"
#include "shoal/registry/platform.h"
#include "shoal/registry/wire.h"

namespace shoal::bench {
namespace {

using base::Error;
using base::ErrorKind;
using base::format;
using base::Result;

constexpr std::size_t kMaxManifest = 16 << 20;
constexpr std::size_t kMaxToken = 256 << 10;
constexpr std::size_t kMaxManifests = 1'000;
constexpr std::chrono::milliseconds kForgetPause{100};
constexpr std::chrono::seconds kForgetPatience{15};  // a node that still writes or sends what should go
constexpr std::chrono::seconds kWarms{5};
constexpr std::chrono::seconds kComes{3};  // until what was just pulled is known to the index

}  // namespace

std::string refusal(int status, std::string_view body) {
  const auto words = registry::first_error(body);
  return words.empty() ? format("HTTP {}", status) : format("HTTP {}: {}", status, words);
}

Session::Session(Drive& drive, Target target, Login login, std::string_view ns)
    : drive_(drive),
      target_(std::move(target)),
      query_(ns.empty() ? "" : format("?ns={}", registry::percent_encoded(ns))) {
  options_.credentials.username = std::move(login.user);
  options_.credentials.password = std::move(login.password);
}

Result<void> Session::open() {
  auto found = drive_.engine().route(target_.url);
  if (!found.ok()) return found.error().at("target", target_.url);
  route_ = *found;
  return {};
}

const std::string& Session::authorization() {
  if (std::chrono::steady_clock::now() >= renew_at_) (void)fetch_token();  // failed: the requests themselves will tell
  return authorization_;
}

Result<Answer> Session::ask(Ask ask) {
  for (int attempt = 0;; ++attempt) {
    Ask now = ask;
    if (now.route == nullptr) now.route = route_;
    if (now.route->origin.host == route_->origin.host) now.authorization = authorization();
    auto answer = drive_.call(std::move(now));
    if (!answer.ok() || answer->head.status != 401 || attempt > 0) return answer;
    if (auto in = log_in(*answer); !in.ok()) return in.error();
  }
}

Result<Answer> Session::expect(Ask ask, std::initializer_list<int> statuses) {
  const auto what = format("{} {}", ask.method, ask.path.substr(0, ask.path.find('?')));
  auto answer = this->ask(std::move(ask));
  if (!answer.ok()) return answer.error().at(what, "at " + target_.url);
  if (std::find(statuses.begin(), statuses.end(), answer->head.status) != statuses.end()) return answer;
  const int status = answer->head.status;
  const auto kind = status == 404                    ? ErrorKind::not_found
                    : status == 401 || status == 403 ? ErrorKind::denied
                                                     : ErrorKind::gone;
  return Error(kind, refusal(status, answer->body)).at(what, "at " + target_.url);
}

Result<void> Session::log_in(const Answer& answer) {
  fetch::ResponseHead head;
  head.status = answer.head.status;
  head.headers.emplace_back("WWW-Authenticate", answer.head.challenge);
  challenge_ = upstream::read_challenges(head).challenge;
  if (!challenge_) {
    return Error(ErrorKind::denied, refusal(401, answer.body) + ", and it does not say how to log in");
  }
  if (challenge_->scheme == upstream::AuthChallenge::Scheme::bearer) return fetch_token();
  if (options_.credentials.username.empty()) {
    return Error(ErrorKind::denied, "HTTP 401: it wants a login (--user and --password-file, or --docker-config)");
  }
  authorization_ = upstream::basic_authorization(options_.credentials);
  return {};
}

Result<void> Session::fetch_token() {
  const auto want = upstream::make_token_want(*challenge_, target_.url, target_.repository, options_, actions_);
  const auto about = fetch::printable_url(want.url);
  auto endpoint = drive_.engine().route(want.url);
  if (!endpoint.ok()) return endpoint.error().at("token endpoint", about);
  Ask ask;
  ask.route = *endpoint;
  const auto slash = want.url.find('/', want.url.find("://") + 3);
  ask.path = slash == std::string::npos ? "/" : want.url.substr(slash);
  ask.authorization = want.authorization;
  ask.keep_body = kMaxToken;
  const auto answer = drive_.call(std::move(ask));
  if (!answer.ok()) return answer.error().at("token endpoint", about);
  if (answer->head.status != 200) {
    auto words = refusal(answer->head.status, answer->body);
    if (!want.withheld.empty()) words += "; " + want.withheld;
    return Error(ErrorKind::denied, words).at("token endpoint", about);
  }
  const auto token = registry::parse_token_reply(answer->body);
  if (!token.ok()) return token.error().at("token endpoint", about);
  authorization_ = "Bearer " + token->token;
  renew_at_ = std::chrono::steady_clock::now() + token->expires_in * 4 / 5;
  return {};
}

Result<Image> Session::resolve(const std::string& reference, const std::string& platform) {
  Image image;
  image.repository = target_.repository;
  image.reference = reference;
  std::set<std::string> seen;
  std::vector<std::string> next{reference};
  for (std::size_t i = 0; i < next.size(); ++i) {
    const auto name = next[i];
    auto taken = take_manifest(image, name, platform.empty() ? registry::own_platform() : platform, seen, next);
    if (!taken.ok()) return taken.error();
    if (next.size() > kMaxManifests) {
      return Error(ErrorKind::full, format("{} leads to more than {} manifests", target_.text(), kMaxManifests));
    }
  }
  std::stable_partition(image.blobs.begin(), image.blobs.end(), [](const auto& blob) { return blob.config; });
  if (image.blobs.empty()) return Error(ErrorKind::not_found, target_.text() + " has no layers");
  return image;
}

Result<void> Session::take_manifest(Image& image, const std::string& reference, const std::string& platform,
                                    std::set<std::string>& seen, std::vector<std::string>& next) {
  Ask ask;
  ask.path = format("/v2/{}/manifests/{}{}", target_.repository, reference, query_);
  ask.headers = format("Accept: {}\r\n", registry::manifest_accept());
  ask.keep_body = kMaxManifest;
  const auto answer = expect(std::move(ask), {200});
  if (!answer.ok()) return answer.error();
  const auto view = registry::parse_manifest(answer->body);
  const auto where = format("manifest {} of {}", reference, target_.url);
  if (!view.ok()) return view.error().at(where);
  if (view->media_type == registry::kDockerSchema1 || view->media_type == registry::kDockerSchema1Signed) {
    return Error(ErrorKind::invalid, where + ": schema 1 does not say how large its layers are");
  }
  const auto named = base::Digest::parse(reference);
  const auto digest =
      base::digest_of(answer->body, named.ok() ? named->algorithm() : base::HashAlgorithm::sha256).to_string();
  if (named.ok() && named->to_string() != digest) {
    return Error(ErrorKind::corrupt, format("{}: what came is {}", where, digest));
  }
  image.manifests.push_back({digest, view->media_type, answer->body.size()});
  const auto children = registry::choose_children(*view, platform);
  if (!children.ok()) return children.error().at(where);
  bool config = true;  // the first child that is not a manifest
  for (const auto& child : *children) {
    const auto name = child.digest.to_string();
    const bool first = !child.is_manifest && std::exchange(config, false);
    if (child.foreign || !seen.insert(name).second) continue;
    if (child.is_manifest) {
      next.push_back(name);
    } else {
      image.blobs.push_back({name, child.media_type, child.size, first});
    }
  }
  return {};
}

Result<void> Session::fetch_all(const Image& image) {
  for (const auto& blob : image.blobs) {
    const auto digest = base::Digest::parse(blob.digest);
    base::Hasher hasher(digest->algorithm());
    Ask ask;
    ask.path = format("/v2/{}/blobs/{}{}", target_.repository, blob.digest, query_);
    ask.hasher = &hasher;
    ask.expected = blob.size;
    if (const auto answer = expect(std::move(ask), {200}); !answer.ok()) return answer.error();
    if (hasher.finish() != *digest) {
      return Error(ErrorKind::corrupt,
                   format("{} at {}: the {} bytes that came do not match it", blob.digest, target_.url, blob.size));
    }
  }
  return {};
}

Result<bool> Session::wait_until_warm(const Image& image) {
  const auto end = std::chrono::steady_clock::now() + kWarms;
  for (const auto& blob : image.blobs) {
    for (;;) {
      Ask ask;
      ask.method = "HEAD";
      ask.path = format("/v2/{}/blobs/{}{}", target_.repository, blob.digest, query_);
      const auto answer = this->ask(std::move(ask));
      if (!answer.ok()) return answer.error();
      const auto source = source_of(answer->head.cache_status);
      if (source == Source::cache || source == Source::untold) break;
      if (std::chrono::steady_clock::now() >= end) return false;
      drive_.sleep(kForgetPause);
    }
  }
  return true;
}

Result<void> Session::forget(const std::string& admin, const Image& image, bool had) {
  const auto api = drive_.engine().route(admin);
  if (!api.ok()) return api.error().at("admin API", admin);
  for (const auto& blob : image.blobs) {
    if (auto gone = forget_blob(*api, blob.digest, had); !gone.ok()) {
      return gone.error().at("make the target forget " + blob.digest, "by " + admin);
    }
  }
  return {};
}

Result<void> Session::forget_blob(const Route* admin, const std::string& digest, bool had) {
  const auto began = std::chrono::steady_clock::now();
  for (;;) {
    Ask ask;
    ask.route = admin;
    ask.method = "DELETE";
    ask.path = "/api/v1/blobs/" + digest;
    ask.headers = "X-Shoal: 1\r\nAccept: application/json\r\n";
    ask.keep_body = kMaxToken;
    const auto answer = drive_.call(std::move(ask));
    if (!answer.ok()) return answer.error();
    const auto waited = std::chrono::steady_clock::now() - began;
    const int status = answer->head.status;
    if (status / 100 == 2) return {};
    if (status == 404 && (!had || waited >= kComes)) return {};
    if ((status != 404 && status != 409) || waited >= kForgetPatience) {
      return Error(ErrorKind::gone, refusal(status, answer->body));
    }
    drive_.sleep(kForgetPause);
  }
}

}  // namespace shoal::bench
