#include <deque>

#include "calls.h"
#include "judge.h"
#include "shoal/base/format.h"

namespace shoal::upstream {
namespace {

class HttpRegistry final : public Registry {
 public:
  HttpRegistry(std::shared_ptr<SharedState> state, base::Loop& loop, fetch::Client& client, bool is_home)
      : state_(std::move(state)), loop_(loop), client_(client), is_home_(is_home), options_(state_->options()) {}
  ~HttpRegistry() override {
    if (is_home_) state_->close_home();
  }

  // Valid until the second reload from now: callers look and let go.
  [[nodiscard]] const UpstreamOptions& options() const override {
    if (auto now = state_->options(); now != options_) {
      former_options_ = std::move(options_);
      options_ = std::move(now);
    }
    return *options_;
  }
  [[nodiscard]] Health health() const override { return state_->health(); }

  [[nodiscard]] Call head_manifest(std::string_view repository, std::string_view reference,
                                   Done<ManifestHead> done) override {
    return start_manifest_head(context(), repository, reference, std::move(done));
  }
  [[nodiscard]] Call get_manifest(std::string_view repository, std::string_view reference,
                                  Done<Manifest> done) override {
    return start_manifest_get(context(), repository, reference, std::move(done));
  }
  [[nodiscard]] Call head_blob(std::string_view repository, const base::Digest& digest, Done<BlobHead> done) override {
    return start_blob_head(context(), repository, digest, std::move(done));
  }
  [[nodiscard]] Call get_blob(std::string_view repository, const base::Digest& digest, std::uint64_t offset,
                              std::optional<std::uint64_t> expected_size, unsigned source, BlobSink& sink) override {
    return start_blob_get(context(), repository, digest, offset, expected_size, source, sink,
                          [this, alive = life_.watch(), digest](const std::string& url) {
                            if (!alive.gone()) remember_server(digest, url);
                          });
  }
  [[nodiscard]] Call list_tags(std::string_view repository, std::string_view query, Done<TagPage> done) override {
    return start_page_get(context(), repository, api_path(repository, "tags", "list", query), std::move(done));
  }
  [[nodiscard]] Call referrers(std::string_view repository, const base::Digest& digest, std::string_view query,
                               Done<TagPage> done) override {
    return start_page_get(context(), repository, api_path(repository, "referrers", digest.to_string(), query),
                          std::move(done));
  }

  void report_corrupt(std::string_view what) override {
    // The newest server of the blob that `what` names; of any blob if it names none we know.
    const std::string* url = servers_.empty() ? nullptr : &servers_.back().url;
    for (const auto& server : servers_) {
      if (what.find(server.digest) != std::string_view::npos) url = &server.url;
    }
    if (url != nullptr) state_->url_failed(*url, base::format("{}: served damaged bytes: {}", options().name, what));
  }

 private:
  static constexpr std::size_t kServersRemembered = 64;

  CallContext context() {
    look_at_failing_url();
    return {state_, loop_, client_};
  }

  // With several URLs, calls avoid those that fail; this sees when one is well again.
  void look_at_failing_url() {
    const auto& now = options();
    const auto url = state_->claim_probe(now);
    if (!url) return;
    fetch::Request request;
    request.url = *url + (url->ends_with('/') ? "v2/" : "/v2/");
    request.connect_timeout = now.connect_timeout;
    request.first_byte_timeout = now.first_byte_timeout;
    request.stall_timeout = now.stall_timeout;
    request.tls = now.tls;
    request.proxy = now.proxy;
    request.no_proxy = now.no_proxy;
    probe_ = client_.fetch_all(std::move(request), 64 * 1024, [this, url = *url](auto reply) {
      if (reply.ok() && reply->head.status < 500 && reply->head.status != 429) return state_->url_answered(url);
      state_->url_failed(url, reply.ok()
                                  ? base::format("{}: answered {}", subject(options().name, url), reply->head.status)
                                  : base::format("{}: {}", subject(options().name, url), reply.error().message()));
    });
  }

  void remember_server(const base::Digest& digest, const std::string& url) {
    servers_.push_back({digest.to_string(), url});
    if (servers_.size() > kServersRemembered) servers_.pop_front();
  }

  std::shared_ptr<SharedState> state_;  // shared with the other loops
  base::Loop& loop_;
  fetch::Client& client_;
  bool is_home_;
  mutable std::shared_ptr<const UpstreamOptions> options_, former_options_;
  struct Server {
    std::string digest, url;
  };
  std::deque<Server> servers_;
  fetch::Transfer probe_;
  base::Lifetime life_;
};

}  // namespace

std::string api_path(std::string_view repository, std::string_view kind, std::string_view reference,
                     std::string_view query) {
  std::string path = base::format("/v2/{}/{}/{}", repository, kind, reference);
  if (!query.empty()) path.append("?").append(query);
  return path;
}

std::unique_ptr<Registry> make_registry(std::shared_ptr<UpstreamState> state, base::Loop& loop, fetch::Client& client,
                                        base::Loop& home, fetch::Client& home_client) {
  auto shared = std::static_pointer_cast<SharedState>(std::move(state));  // make_state makes no other
  shared->set_home(home, home_client);
  return std::make_unique<HttpRegistry>(std::move(shared), loop, client, &loop == &home);
}

}  // namespace shoal::upstream
