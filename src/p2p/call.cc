#include "call.h"

#include <algorithm>

#include "shoal/base/format.h"

namespace shoal::p2p {

namespace {

std::string_view host_of(std::string_view url) { return url.substr(std::min(url.find("://") + 3, url.size())); }

}  // namespace

std::string sealed_target(std::string_view host, std::string_view target) { return base::format("{}{}", host, target); }

SealedCall sealed_call(const Site::Core& core, std::string_view method, const std::string& url,
                       const std::string& target, std::string body) {
  SealedCall made;
  const std::string host(host_of(url));
  auto sealed = core.seal->request(method, sealed_target(host, target), core.self().id, body, core.clock.wall_now());
  made.nonce = std::move(sealed.nonce);
  made.request.method = method;
  made.request.url = url + target;
  made.request.headers.emplace_back("Host", host);  // as sealed: the client would leave out :80 and :443
  made.request.headers.emplace_back(kSealHeader, std::move(sealed.value));
  if (method == "POST") made.request.headers.emplace_back("Content-Type", "application/json");
  made.request.body = std::move(body);
  made.request.connect_timeout = core.options.call_timeout;
  made.request.first_byte_timeout = core.options.call_timeout;
  made.request.stall_timeout = core.options.stall_timeout;
  made.request.max_redirects = 0;
  made.request.tls = core.options.tls;
  made.request.https_only = core.options.certificates();
  return made;
}

std::string sealed_text(std::string_view proven, std::string_view body) { return base::format("{}\n{}", proven, body); }

std::string manifest_text(std::string_view media_type) { return base::format("manifest\n{}", media_type); }

std::string blob_text(std::string_view offset, std::string_view size) { return base::format("{}\n{}", offset, size); }

std::string map_text(std::string_view swarm_port) { return base::format("pieces\n{}", swarm_port); }

base::Error answer_error(int status, const std::string& url, std::string_view said) {
  auto kind = base::ErrorKind::gone;
  if (status == 404) kind = base::ErrorKind::not_found;
  if (status == 401 || status == 403) kind = base::ErrorKind::denied;
  if (status == 429 || status == 503) kind = base::ErrorKind::busy;
  return {kind, base::format("{}: answered {}{}{}", url, status, said.empty() ? "" : ": ", said.substr(0, 200))};
}

fetch::Transfer call(const Site::Core& core, fetch::Client& client, std::string_view method, const std::string& url,
                     const std::string& target, std::string body, std::size_t max_answer, Covers covers,
                     Answered done) {
  auto made = sealed_call(core, method, url, target, std::move(body));
  auto judge = [&core, url, covers, nonce = std::move(made.nonce),
                done = std::move(done)](base::Result<fetch::Client::Reply> reply) mutable {
    if (!reply.ok()) return done(reply.error());
    const auto& head = reply->head;
    const bool by_head = covers == Covers::head && head.status == 200;
    const auto manifest = by_head ? manifest_text(head.header("content-type")) : std::string();
    const auto text = sealed_text(head.header(kProvenHeader), by_head ? manifest : reply->body);
    if (!core.seal->check_answer(head.header(kSealHeader), nonce, head.status, text)) {
      // What a stranger says is not repeated.
      if (head.status != 200) return done(answer_error(head.status, url, {}));
      return done(base::Error(base::ErrorKind::denied, url + ": answered, but without the site's seal"));
    }
    if (head.status != 200) return done(answer_error(head.status, url, reply->body));
    done(std::move(reply));
  };
  return client.fetch_all(std::move(made.request), max_answer, std::move(judge));
}

base::Result<void> check_head(const Site::Core& core, const fetch::ResponseHead& head, const std::string& nonce,
                              const std::string& url) {
  if (head.status != 200) return answer_error(head.status, url, {});
  const auto text =
      sealed_text(head.header(kProvenHeader), blob_text(head.header(kOffsetHeader), head.header(kSizeHeader)));
  if (!core.seal->check_answer(head.header(kSealHeader), nonce, head.status, text)) {
    return base::Error(base::ErrorKind::denied, url + ": answered, but without the site's seal");
  }
  return {};
}

}  // namespace shoal::p2p
