#include "transfers.h"

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>

#include "call.h"
#include "rendezvous.h"
#include "shoal/base/format.h"
#include "shoal/registry/name.h"

namespace shoal::p2p {
namespace {

constexpr std::size_t kMaxManifest = 4 << 20;
constexpr std::size_t kHashOnLoop = 64 * 1024;
constexpr std::size_t kTagAsked = 3;

std::optional<std::uint64_t> number(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::string content_target(std::string_view kind, const base::Digest& digest, const std::string& repository) {
  return base::format("/p2p/v1/{}/{}?repository={}", kind, digest.to_string(), registry::percent_encoded(repository));
}

class BlobCall final : public PeerCall, private fetch::Sink {
 public:
  BlobCall(Site::Core& core, fetch::Client& client, const NodeInfo& from, const std::string& target,
           std::uint64_t offset, PeerSink& sink)
      : core_(core), url_(from.url), offset_(offset), sink_(sink) {
    auto made = sealed_call(core, "GET", from.url, target + "&offset=" + std::to_string(offset));
    nonce_ = std::move(made.nonce);
    // It may be waiting for upstream itself, but not longer than its lease lasts.
    made.request.first_byte_timeout = core.options.lease_patience + core.options.call_timeout;
    transfer_ = client.start(std::move(made.request), *this);
  }
  void resume() override {
    if (transfer_.running()) transfer_.resume();
  }

 private:
  void on_head(const fetch::ResponseHead& head) override {
    if (auto good = check_head(core_, head, nonce_, url_); !good.ok()) {
      refused_ = good.error();
      return;
    }
    if (number(head.header(kOffsetHeader)) != offset_) {
      refused_ = base::Error(base::ErrorKind::gone, url_ + ": answered another range");
      return;
    }
    started_ = true;
    sink_.on_peer_start(offset_, number(head.header(kSizeHeader)), head.header(kProvenHeader) == "1");
  }
  fetch::Flow on_data(std::string_view bytes) override {
    if (!started_) return fetch::Flow::go_on;
    core_.probe.received(bytes.size());
    return sink_.on_peer_data(bytes);
  }
  void on_end(base::Result<void> result) override {
    if (refused_) result = *refused_;
    if (!result.ok()) core_.probe.transfer_failed();
    sink_.on_peer_end(result.ok() ? std::nullopt : std::optional(result.error()));
  }

  Site::Core& core_;
  std::string url_;
  std::uint64_t offset_;
  PeerSink& sink_;
  std::string nonce_;
  std::optional<base::Error> refused_;
  bool started_ = false;
  fetch::Transfer transfer_;
};

class ManifestCall final : public PeerCall {
 public:
  ManifestCall(Site::Core& core, base::Loop& loop, fetch::Client& client, const NodeInfo& from,
               const base::Digest& digest, const std::string& target,
               base::UniqueFunction<void(base::Result<PeerManifest>)> done)
      : core_(core), loop_(loop), url_(from.url), digest_(digest), done_(std::move(done)) {
    transfer_ = call(core, client, "GET", from.url, target, {}, kMaxManifest, Covers::head,
                     [this](base::Result<fetch::Client::Reply> reply) { answered(std::move(reply)); });
  }
  void resume() override {}

 private:
  void answered(base::Result<fetch::Client::Reply> reply) {
    if (!reply.ok()) return std::exchange(done_, nullptr)(reply.error());
    core_.probe.received(reply->body.size());
    manifest_.media_type = std::string(reply->head.header("content-type"));
    manifest_.proven = reply->head.header(kProvenHeader) == "1";
    manifest_.bytes = std::make_shared<const std::string>(std::move(reply->body));
    if (manifest_.bytes->size() <= kHashOnLoop) return hashed(base::digest_of(*manifest_.bytes, digest_.algorithm()));
    core_.pool.post(
        [bytes = manifest_.bytes, algorithm = digest_.algorithm(), &loop = loop_, watch = life_.watch(), this] {
          loop.post([digest = base::digest_of(*bytes, algorithm), watch, this] {
            if (!watch.gone()) hashed(digest);
          });
        });
  }
  void hashed(const base::Digest& digest) {
    auto done = std::exchange(done_, nullptr);
    if (digest == digest_) return done(std::move(manifest_));
    done(base::Error(base::ErrorKind::corrupt, url_ + ": sent another manifest than " + digest_.to_string()));
  }

  Site::Core& core_;
  base::Loop& loop_;
  std::string url_;
  base::Digest digest_;
  base::UniqueFunction<void(base::Result<PeerManifest>)> done_;
  PeerManifest manifest_;
  fetch::Transfer transfer_;
  base::Lifetime life_;
};

base::Result<PeerTag> parse_tag(std::string_view body) {
  const base::Error bad(base::ErrorKind::invalid, "a neighbour's tag record cannot be read");
  const auto json = nlohmann::json::parse(body, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return bad;
  const auto text = json.find("digest"), fetched = json.find("fetched_ago"), checked = json.find("checked_ago");
  if (text == json.end() || !text->is_string() || fetched == json.end() || !fetched->is_number_unsigned() ||
      checked == json.end() || !checked->is_number_unsigned()) {
    return bad;
  }
  const auto digest = base::Digest::parse(text->get_ref<const std::string&>());
  if (!digest.ok()) return bad;
  constexpr std::uint64_t kLongest = 100ULL * 366 * 86400;
  return PeerTag{*digest, std::chrono::seconds(std::min(fetched->get<std::uint64_t>(), kLongest)),
                 std::chrono::seconds(std::min(checked->get<std::uint64_t>(), kLongest))};
}

// Asks a few at once; the record that was confirmed last wins.
class TagCall final : public PeerCall {
 public:
  TagCall(Site::Core& core, base::Loop& loop, fetch::Client& client, const std::string& repository,
          const std::string& tag, base::UniqueFunction<void(base::Result<PeerTag>)> done)
      : done_(std::move(done)) {
    const auto view = core.view();
    std::vector<std::string> ids;
    for (const auto& peer : view->peers) ids.push_back(peer.id);
    const auto target = base::format("/p2p/v1/tags?repository={}&tag={}", registry::percent_encoded(repository),
                                     registry::percent_encoded(tag));
    const auto chosen = ranked(ids, base::digest_of(repository + ":" + tag), kTagAsked);
    waiting_ = chosen.size();
    for (const auto index : chosen) {
      calls_.push_back(call(core, client, "GET", view->peers[index].url, target, {}, kMaxAnswer, Covers::body,
                            [this](base::Result<fetch::Client::Reply> reply) { answered(reply); }));
    }
    if (waiting_ == 0) timer_ = loop.schedule(std::chrono::milliseconds(0), [this] { finish(); });
  }
  void resume() override {}

 private:
  void answered(const base::Result<fetch::Client::Reply>& reply) {
    if (reply.ok()) {
      auto tag = parse_tag(reply->body);
      if (tag.ok() && (!best_ || tag->checked_ago < best_->checked_ago)) best_ = *tag;
    }
    if (--waiting_ == 0) finish();
  }
  void finish() {
    auto done = std::move(done_);
    if (!best_) return done(base::Error(base::ErrorKind::not_found, "no neighbour knows that tag"));
    done(*best_);
  }

  base::UniqueFunction<void(base::Result<PeerTag>)> done_;
  std::vector<fetch::Transfer> calls_;
  std::size_t waiting_ = 0;
  std::optional<PeerTag> best_;
  base::Timer timer_;
};

}  // namespace

std::unique_ptr<PeerCall> get_peer_blob(Site::Core& core, fetch::Client& client, const NodeInfo& from,
                                        const base::Digest& digest, const std::string& repository, std::uint64_t offset,
                                        PeerSink& sink) {
  return std::make_unique<BlobCall>(core, client, from, content_target("blobs", digest, repository), offset, sink);
}

std::unique_ptr<PeerCall> get_peer_manifest(Site::Core& core, base::Loop& loop, fetch::Client& client,
                                            const NodeInfo& from, const base::Digest& digest,
                                            const std::string& repository,
                                            base::UniqueFunction<void(base::Result<PeerManifest>)> done) {
  return std::make_unique<ManifestCall>(core, loop, client, from, digest,
                                        content_target("manifests", digest, repository), std::move(done));
}

std::unique_ptr<PeerCall> find_peer_tag(Site::Core& core, base::Loop& loop, fetch::Client& client,
                                        const std::string& repository, const std::string& tag,
                                        base::UniqueFunction<void(base::Result<PeerTag>)> done) {
  return std::make_unique<TagCall>(core, loop, client, repository, tag, std::move(done));
}

}  // namespace shoal::p2p
